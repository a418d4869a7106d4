"""HDF5 files within bounds: nothing outside the file is opened, and no memory taken that its bytes do not fill."""

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from matchopt.errors import FormatError, MissingExtra
from matchopt.formats.numpy_files import MAX_ARRAY
from matchopt.formats.sources import FREE_BYTES, MAX_RATIO, Source

HDF5 = b"\x89HDF\r\n\x1a\n"  # what files begin with
MAX_OBJECTS = 10_000
MAX_DEPTH = 16
MAX_TEXTS = 2**16  # of one array: each is read by itself
_FILTERS = {1, 2, 3, 4, 32000}  # deflate, shuffle, checksum, szip, lzf: all others would load code from elsewhere

Tree = dict[str, Any]  # groups as dictionaries of arrays, texts and groups


def read_hdf5(source: Source, extra: str) -> Tree:
    """All groups and arrays of an HDF5 file.

    Parameters
    ----------
    source : the file.
    extra : of matchopt, that brings the package h5py.

    Raises
    ------
    FormatError
        when it is damaged, announces more than it holds, points to other files, or holds anything but numbers and
        texts.
    MissingExtra
        when h5py is not installed.
    """
    with opened(source, f"reading {source.path}", extra, "damaged HDF5 file") as (h5py, file):
        return _Reader(source, h5py).group(file, "", 0)


@contextmanager
def opened(source: Source, what: str, extra: str, damaged: str) -> Iterator[tuple[Any, Any]]:
    """The package h5py, and the file opened from its bytes.

    Parameters
    ----------
    source : the file.
    what : what h5py is needed for.
    extra : of matchopt, that brings it.
    damaged : what is said before the library's own words about a file that it cannot read.

    Raises
    ------
    FormatError
        for whatever the library raises on the way.
    MissingExtra
        when h5py is not installed.
    """
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError:
        raise MissingExtra(what, "h5py", extra) from None
    try:
        with h5py.File(io.BytesIO(source.data), "r") as file:
            yield h5py, file
    except FormatError:
        raise
    except Exception as cause:  # the library and its bindings raise whatever they meet
        reason = " ".join(str(cause).split()) or repr(cause)
        raise source.error(f"{damaged}: {reason[:160]}") from None


def is_elsewhere(dataset: Any) -> bool:
    """Whether the values of a dataset are kept in another file."""
    return bool(dataset.external) or bool(dataset.is_virtual)


def foreign_filter(dataset: Any) -> int | None:
    """The number of a filter that is not h5py's own; None where it has none."""
    stored = dataset.id.get_create_plist()
    filters = {stored.get_filter(n)[0] for n in range(stored.get_nfilters())}
    return max(filters - _FILTERS, default=None)


class _Reader:
    """Counts what has been read."""

    def __init__(self, source: Source, h5py: Any) -> None:
        self.source, self.h5py = source, h5py
        self.objects, self.bytes = 0, 0
        self.most = min(MAX_ARRAY, max(FREE_BYTES, MAX_RATIO * len(source.data)))

    def group(self, group: Any, place: str, depth: int) -> Tree:
        """What a group holds."""
        found: Tree = {}
        for name in group:
            self.objects += 1
            if self.objects > MAX_OBJECTS or depth >= MAX_DEPTH:
                raise self.source.error(f"at most {MAX_OBJECTS} objects, {MAX_DEPTH} deep, are read, found more")
            path, link = f"{place}/{name}", group.get(name, getlink=True)
            if not isinstance(link, self.h5py.HardLink):
                raise self.source.error(f"{path[:80]!r} is a link, which is never followed; save a copy without links")
            item = group[name]
            found[name] = (
                self.group(item, path, depth + 1) if isinstance(item, self.h5py.Group) else self._data(item, path)
            )
        return found

    def _data(self, item: Any, path: str) -> Any:
        if not isinstance(item, self.h5py.Dataset) or item.shape is None:
            raise self.source.error(f"{path[:80]!r} is neither a group nor an array")
        if is_elsewhere(item):
            raise self.source.error(f"{path[:80]!r} is kept in another file, which is never opened")
        packed = foreign_filter(item)
        if packed is not None:
            raise self.source.error(f"{path[:80]!r} is packed by filter {packed}, which is not read; use gzip")
        text = self.h5py.check_string_dtype(item.dtype) is not None
        if not text and item.dtype.kind not in "biuf":
            raise self.source.error(f"{path[:80]!r} must hold numbers or texts, found {str(item.dtype)[:60]}")
        self._count(max(prod(item.shape), prod(item.chunks or ())) * max(1, item.dtype.itemsize), item, path)
        return self._texts(item, path) if text else np.asarray(item[()])

    def _count(self, size: int, item: Any, path: str) -> None:
        self.bytes += size
        if self.bytes > self.most or len(item.shape) > 8:
            raise self.source.error(f"{path[:80]!r} of shape {str(item.shape)[:80]} makes {self.bytes} bytes in a file "
                                    f"of {len(self.source.data)}, refused")  # fmt: skip

    def _texts(self, item: Any, path: str) -> Any:
        """One after the other: all may be the same one in the file, and each takes memory of its own."""
        if prod(item.shape) > MAX_TEXTS:
            raise self.source.error(f"{path[:80]!r} has {prod(item.shape)} texts; at most {MAX_TEXTS} are read")
        words = []
        for place in np.ndindex(item.shape):
            word = item[place]
            self._count(len(word), item, path)
            words.append(word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word))
        return words[0] if item.shape == () else np.array(words, object).reshape(item.shape)
