"""Measured arrays in HDF5, in the layout that the ArC TWO control software writes (version 0.2).

The root has the attributes `words` and `bits`. `crosspoints` has a group for each cell that was touched, with a table
`timeseries` of everything that was done to it, called `W03B12` in its attribute TITLE; `crossbar` has `current` and
`voltage` of the last reading of every cell, by bit and word. Conductance is current by voltage, in siemens. Words are
rows, and so hardware neurons. Of a cell's readings those since its last pulse count.

References
----------
arc-instruments/arc2control, `arc2control/h5utils.py`.
"""

import re
from typing import Any

import numpy as np

from matchopt.formats.hdf5 import foreign_filter, is_elsewhere, opened
from matchopt.formats.number_table import ADVICE
from matchopt.formats.numpy_files import MAX_ARRAY
from matchopt.formats.sources import FREE_BYTES, MAX_RATIO, Source

MAX_CELLS = 2**24
READ, PULSE = 1, 2  # bits of op_type
FIELDS = ("current", "voltage", "read_voltage", "op_type")
_TITLE = re.compile(r"W(\d+)B(\d+)")


def read_arc_two(source: Source, dead: bool) -> dict[str, np.ndarray]:
    """The fields of the array in the file.

    Parameters
    ----------
    source : an HDF5 file. Links are not followed, and nothing outside the file is opened.
    dead : whether cells that were never read cannot be used; else they are refused.

    Raises
    ------
    FormatError
        when it has another layout, or something in it is not what it should be.
    MissingExtra
        when h5py is not installed.
    """
    damaged = (
        "chips are read from .npy, .npz, text and HDF5 in the layout of ArC TWO; it is an HDF5 file that is damaged"
    )
    with opened(source, f"reading {source.path}, HDF5,", "hdf5", damaged) as (h5py, file):
        return _read(_Reader(h5py, source), file, dead)


class _Reader:
    """What is in the file itself, within bounds."""

    def __init__(self, h5py: Any, source: Source) -> None:
        self.h5py, self.source = h5py, source
        self.left = max(FREE_BYTES, MAX_RATIO * len(source.data))

    def member(self, group: Any, name: str) -> Any:
        """A member of a group; links to other places are refused."""
        link = group.get(name, getlink=True)
        if link is None:
            raise self.source.error(f"holds no {name!r} in {group.name}; HDF5 is read in the layout of ArC TWO, others "
                                    "as .npz")  # fmt: skip
        if not isinstance(link, self.h5py.HardLink):
            raise self.source.error(f"{group.name}/{name[:40]} is a link to another place, which is not followed")
        return group[name]

    def group(self, group: Any, name: str) -> Any:
        """A group in a group."""
        found = self.member(group, name)
        if not isinstance(found, self.h5py.Group):
            raise self.source.error(f"{found.name} must be a group")
        return found

    def values(self, dataset: Any, rows: int | None = None) -> np.ndarray:
        """All values of a dataset, or the first rows."""
        if not isinstance(dataset, self.h5py.Dataset) or dataset.shape is None:
            raise self.source.error(f"{dataset.name} must be a dataset")
        if is_elsewhere(dataset):
            raise self.source.error(f"{dataset.name} keeps its values in another file, which is not opened")
        packed = foreign_filter(dataset)
        if packed is not None:
            raise self.source.error(f"{dataset.name} is packed by filter {packed}, which is not read; use gzip")
        sizes = (
            [dataset.dtype] if dataset.dtype.names is None else [dataset.dtype[name] for name in dataset.dtype.names]
        )
        if any(kind.kind not in "biuf" for kind in sizes):
            raise self.source.error(f"{dataset.name} must hold numbers, found type {str(dataset.dtype)[:60]}")
        chunk = int(np.prod(dataset.chunks or (0,), dtype=object)) * dataset.dtype.itemsize
        needed = int(np.prod(dataset.shape if rows is None else (rows,), dtype=object)) * dataset.dtype.itemsize
        self.left -= max(needed, chunk)
        if max(needed, chunk) > MAX_ARRAY or self.left < 0:
            raise self.source.error(f"{dataset.name} has shape {str(dataset.shape)[:80]}, more than a file of "
                                    f"{len(self.source.data)} bytes may hold")  # fmt: skip
        return np.asarray(dataset[:rows] if rows is not None else dataset[()])

    def whole(self, thing: Any, name: str, most: int) -> int:
        """An attribute that is a whole number >= 0."""
        value = thing.attrs.get(name)
        if not isinstance(value, int | np.integer) or not 0 <= value <= most:
            raise self.source.error(f"{thing.name}: attribute {name} must be in 0 .. {most}, found {str(value)[:40]}")
        return int(value)


def _read(reader: _Reader, file: Any, dead: bool) -> dict[str, np.ndarray]:
    crossbar, crosspoints = (reader.group(file, name) for name in ("crossbar", "crosspoints"))
    shape = (reader.whole(file, "words", MAX_CELLS), reader.whole(file, "bits", MAX_CELLS))
    if not 0 < shape[0] * shape[1] <= MAX_CELLS:
        raise reader.source.error(f"words and bits must make 1 .. {MAX_CELLS} cells, found {shape[0]} x {shape[1]}")
    found: dict[tuple[int, int], np.ndarray] = {}
    for name in crosspoints:
        if len(found) == shape[0] * shape[1]:
            raise reader.source.error(f"holds more crosspoints than {shape[0]} x {shape[1]} cells")
        place, reads = _crosspoint(reader, reader.group(crosspoints, name), shape)
        if place in found:
            raise reader.source.error(f"holds two crosspoints for word {place[0]}, bit {place[1]}")
        found[place] = reads
    raster = _raster(reader, crossbar, shape)
    if raster is not None:
        for word, bit in np.argwhere(np.isfinite(raster)).tolist():
            found.setdefault((word, bit), raster[word, bit : bit + 1])
    return _fields(found, shape, reader, dead)


def _crosspoint(reader: _Reader, group: Any, shape: tuple[int, int]) -> tuple[tuple[int, int], np.ndarray]:
    """Word and bit of a crosspoint, and its readings since the last pulse, in siemens."""
    table = reader.member(group, "timeseries")
    title = table.attrs.get("TITLE", group.name.rpartition("/")[2])
    named = _TITLE.fullmatch(title) if isinstance(title, str) else None
    if named is None or int(named[1]) >= shape[0] or int(named[2]) >= shape[1]:
        raise reader.source.error(f"{group.name}: TITLE must be W and B with numbers below {shape[0]} and {shape[1]}, "
                                  f"found {str(title)[:40]!r}")  # fmt: skip
    place = int(named[1]), int(named[2])
    names = table.dtype.names if isinstance(table, reader.h5py.Dataset) else None
    if names is None or not set(FIELDS) <= set(names) or len(table.shape) != 1:
        raise reader.source.error(f"{table.name} must be a table with {', '.join(FIELDS)}")
    rows = reader.values(table, reader.whole(table, "NROWS", table.shape[0]))
    if rows["op_type"].dtype.kind not in "iu" or not np.isin(rows["op_type"], (1, 2, 3)).all():
        raise reader.source.error(f"{table.name}: op_type must be 1, 2 or 3")
    pulses = np.flatnonzero(rows["op_type"] & PULSE)
    rows = rows[pulses[-1] if len(pulses) else 0 :]
    rows = rows[(rows["op_type"] & READ) > 0]
    known = np.isfinite(rows["read_voltage"]) & (rows["read_voltage"] != 0)
    return place, _ratio(rows["current"], np.where(known, rows["read_voltage"], rows["voltage"]))


def _ratio(current: np.ndarray, voltage: np.ndarray) -> np.ndarray:
    """Conductances in siemens; none where nothing was read."""
    across = voltage.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(np.where(across == 0, np.nan, current.astype(np.float64) / across))
    return found[np.isfinite(found)] if found.ndim == 1 else found


def _raster(reader: _Reader, crossbar: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """The last reading of every cell, by word and bit; None where the array is not square and words and bits are
    mixed up in the file.
    """  # fmt: skip
    current, voltage = (reader.values(reader.member(crossbar, name)) for name in ("current", "voltage"))
    if current.shape != shape or voltage.shape != shape:
        raise reader.source.error(f"crossbar must hold {shape[0]} x {shape[1]} cells, found {current.shape} and "
                                  f"{voltage.shape}")  # fmt: skip
    return _ratio(current, voltage).T if shape[0] == shape[1] else None


def _fields(
    found: dict[tuple[int, int], np.ndarray], shape: tuple[int, int], reader: _Reader, dead: bool
) -> dict[str, np.ndarray]:
    """All readings where cells have equally many, else their means and variances."""
    counts = np.zeros(shape, dtype=np.int64)
    for place, reads in found.items():
        counts[place] = len(reads)
    if not counts.all() and not dead:
        word, bit = np.argwhere(counts == 0)[0]
        raise reader.source.error(f"word {word}, bit {bit} was never read, as {(counts == 0).sum()} of {counts.size} "
                                  f"cells: {ADVICE}")  # fmt: skip
    most = int(counts.max())
    if most == 0:
        raise reader.source.error("no cell was read")
    if ((counts == most) | (counts == 0)).all():
        readings = np.zeros((most, *shape))
        for place, reads in found.items():
            readings[(slice(None), *place)] = reads if len(reads) else 0.0
        return {"usable": counts > 0, **({"readings": readings} if most > 1 else {"weights": readings[0]})}
    mean, variance = np.zeros(shape), np.zeros(shape)
    for place, reads in found.items():
        mean[place] = reads.mean() if len(reads) else 0.0
        variance[place] = reads.var(ddof=1) if len(reads) > 1 else 0.0
    return {"usable": counts > 0, "weights": mean, "variance": variance}
