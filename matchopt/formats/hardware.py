"""Measured hardware weights from .npy, .npz, CSV or plain text, for people with a chip."""

import io
import math
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float

from matchopt.errors import FormatError, UnknownName
from matchopt.formats.number_table import read_table
from matchopt.formats.sources import FREE_BYTES, MAX_RATIO, Source
from matchopt.instances import Hardware

FIELDS = ("weights", "variance", "usable", "off", "bus")  # of one `Hardware`; "weights" must be there
MAX_ARRAY = 2**31  # bytes of all arrays of one file
MAX_MEMBERS = 1000
_ZIP = b"PK"
_NPY = b"\x93NUMPY"


def read_hardware(path: str | PathLike[str], name: str | None = None) -> Hardware:
    """Read the fixed weights of one layer of a chip, one hardware neuron per row.

    An .npz file either holds the fields of `Hardware` (weights, and variance, usable, off, bus where they differ from
    the default) or arrays of weights, of which `name` chooses one. Every other file is one matrix of weights. Readings
    that are NaN are refused: mark such cells in `usable` instead.

    Parameters
    ----------
    path : .npy, .npz, CSV (comma or semicolon) or text in columns; compressed with gzip or not.
    name : the array of an .npz file; None for the fields of `Hardware`, or for the only array.

    Raises
    ------
    FormatError
        naming the file and what is wrong.
    UnknownName
        when the file has no array of that name; lists those it has.
    """
    source = Source(Path(path))
    arrays = _arrays(source, name)
    with source.named():
        return Hardware.from_arrays(arrays)


def read_array(path: str | PathLike[str], name: str | None = None) -> Float[np.ndarray, "neurons cells"]:
    """Read one matrix of finite numbers; see `read_hardware`."""
    return read_hardware(path, name).weights


def _arrays(source: Source, name: str | None) -> Mapping[str, np.ndarray]:
    if source.head.startswith(_ZIP):
        return _from_npz(source, name)
    if name is not None:
        raise source.error(f"holds one array without a name, {name!r} was asked for; only .npz files name arrays")
    if source.head.startswith(_NPY):
        return {"weights": _from_npy(io.BytesIO(source.data), len(source.data), "", source)}
    return {"weights": read_table(source)}


def _from_npz(source: Source, name: str | None) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            _check_members(archive, source)
            chosen = _chosen(sorted(members), name, source)
            return {field: _member(archive, members[key], source) for field, key in chosen.items()}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as cause:
        raise source.error(f"damaged .npz file: {cause}") from None
    except ValueError as cause:  # zipfile lets some through
        if isinstance(cause, FormatError):
            raise
        raise source.error(f"damaged .npz file: {cause}") from None


def _chosen(names: list[str], name: str | None, source: Source) -> dict[str, str]:
    if name is not None:
        if name not in names:
            raise UnknownName(f"array of {source.path}", name, names)
        return {"weights": name}
    if "weights" in names:
        stray = sorted(set(names) - set(FIELDS))
        if stray:
            raise source.error(f"array {stray[0]!r} is none of {', '.join(FIELDS)}; choose one array by its name")
        return {field: field for field in names}
    if len(names) == 1:
        return {"weights": names[0]}
    if not names:
        raise source.error("the .npz file holds no array")
    raise source.error(f"holds {len(names)} arrays, choose one by its name: {', '.join(names)[:400]}")


def _check_members(archive: zipfile.ZipFile, source: Source) -> None:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise source.error(f"at most {MAX_MEMBERS} arrays are read, found {len(infos)}")
    total = sum(info.file_size for info in infos)
    if total > MAX_ARRAY or total > max(FREE_BYTES, MAX_RATIO * len(source.data)):
        raise source.error(f"arrays of {total} bytes in a file of {len(source.data)}, refused as a zip bomb")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: Source) -> np.ndarray:
    what = f"array {info.filename.removesuffix('.npy')!r}: "
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
    except Exception as cause:  # zlib, lzma and bz2 each raise errors of their own
        raise source.error(f"{what}damaged: {cause}") from None
    return _from_npy(io.BytesIO(content), len(content), what, source)


def _from_npy(file: io.BytesIO, size: int, what: str, source: Source) -> np.ndarray:
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
    if len(shape) > 2 or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise source.error(f"{what}must be a matrix, found shape {str(shape)[:80]}")
    needed = math.prod(shape) * dtype.itemsize
    if needed != size - file.tell():
        raise source.error(f"{what}shape {shape} of {dtype} takes {needed} bytes, found {size - file.tell()}")
    if needed == 0:
        raise source.error(f"{what}holds no numbers, shape {shape}")
    values = np.frombuffer(file.read(), dtype=dtype)
    return values.reshape(shape, order="F" if by_columns else "C")
