"""NumPy's own files, read within bounds: no code in them is run, and no memory taken that they do not fill."""

import io
import math
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np

from matchopt.errors import FormatError
from matchopt.formats.sources import FREE_BYTES, MAX_RATIO, Source

MAX_ARRAY = 2**31  # bytes of all arrays of one file
MAX_MEMBERS = 1000
ZIP = b"PK"  # what files begin with
NPY = b"\x93NUMPY"
_OTHERS = {"[Content_Types].xml": "an Office document; save the table as CSV",
           "model.weights.h5": "a Keras model; save its arrays with numpy.savez"}  # fmt: skip


def read_npy(source: Source) -> np.ndarray:
    """The array of numbers in an .npy file.

    Raises
    ------
    FormatError
        when it holds anything else.
    """
    return _array(source.data, "", source)


def npz_names(source: Source) -> list[str]:
    """What an .npz file, or another zip archive, has in it, in its order; without the ending .npy.

    Raises
    ------
    FormatError
        when it is damaged.
    """
    with _opened(source) as archive:
        return [info.filename.removesuffix(".npy") for info in archive.infolist()]


def read_npz(source: Source, chosen: Collection[str]) -> dict[str, np.ndarray]:
    """The arrays of these names.

    Raises
    ------
    FormatError
        when the file is damaged, or an array holds anything but numbers.
    """
    with _opened(source) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {name: _member(archive, info, source) for name, info in members.items() if name in chosen}


@contextmanager
def _opened(source: Source) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            _check_members(archive.infolist(), source)
            yield archive
    except FormatError:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as cause:
        raise source.error(f"damaged archive: {cause}") from None


def _check_members(members: list[zipfile.ZipInfo], source: Source) -> None:
    if len(members) > MAX_MEMBERS:
        raise source.error(f"at most {MAX_MEMBERS} arrays are read, found {len(members)}")
    total = sum(info.file_size for info in members)
    if total > MAX_ARRAY or total > max(FREE_BYTES, MAX_RATIO * len(source.data)):
        raise source.error(f"arrays of {total} bytes in a file of {len(source.data)}, refused as a zip bomb")
    other = next((_OTHERS[info.filename] for info in members if info.filename in _OTHERS), None)
    if other is not None:
        raise source.error(f"it is {other}")
    names = Counter(info.filename.removesuffix(".npy") for info in members)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise source.error(f"holds two arrays called {twice[:80]!r}; remove one")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Source) -> np.ndarray:
    what = f"array {info.filename.removesuffix('.npy')!r}: "
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
    except Exception as cause:  # zlib, lzma and bz2 each raise errors of their own
        raise source.error(f"{what}damaged: {cause}") from None
    return _array(content, what, source)


def _array(content: bytes, what: str, source: Source) -> np.ndarray:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise source.error(f"{what}.npy version {version[0]}.{version[1]} is not read, only 1.0 and 2.0")
        shape, by_columns, dtype = read_header[version](file)
    except FormatError:
        raise
    except Exception as cause:  # the header is Python text; numpy's parser raises whatever it meets
        raise source.error(f"{what}damaged .npy header: {str(cause).splitlines()[0][:120]}") from None
    if dtype.kind not in "biuf":
        raise source.error(f"{what}must hold numbers, found type {str(dtype)[:60]}")
    if len(shape) > 4 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise source.error(f"{what}must have at most 4 dimensions, found shape {str(shape)[:80]}")
    needed = math.prod(shape) * dtype.itemsize
    if needed != len(content) - file.tell():
        raise source.error(f"{what}shape {shape} of {dtype} takes {needed} bytes, found {len(content) - file.tell()}")
    if needed == 0:
        raise source.error(f"{what}holds no numbers, shape {shape}")
    values = np.frombuffer(file.read(), dtype=dtype)
    return values.reshape(shape, order="F" if by_columns else "C")
