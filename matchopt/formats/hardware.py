"""Measured hardware weights from .npy, .npz, CSV or plain text, for people with a chip."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float

from matchopt.errors import UnknownName
from matchopt.formats.number_table import read_table
from matchopt.formats.numpy_files import NPY, ZIP, npz_names, read_npy, read_npz
from matchopt.formats.sources import Source
from matchopt.instances import Hardware

FIELDS = ("weights", "variance", "usable", "off", "bus")  # of one `Hardware`; "weights" must be there


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
    if source.head.startswith(ZIP):
        chosen = _chosen(npz_names(source), name, source)
        found = read_npz(source, set(chosen.values()))
        return {field: found[key] for field, key in chosen.items()}
    if name is not None:
        raise source.error(f"holds one array without a name, {name!r} was asked for; only .npz files name arrays")
    if source.head.startswith(NPY):
        return {"weights": read_npy(source)}
    return {"weights": read_table(source)}


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
