"""Measured hardware weights from .npy, .npz, CSV or plain text, for people with a chip."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, UnknownName
from matchopt.formats.number_table import ADVICE, NO_READING, read_table
from matchopt.formats.numpy_files import NPY, ZIP, npz_names, read_npy, read_npz
from matchopt.formats.sources import Source
from matchopt.instances import Hardware
from matchopt.instances.menus import FIELDS as MENUS

FIELDS = ("weights", "variance", "usable", "off", "bus", *MENUS)  # of one `Hardware`; "weights" must be there


def read_hardware(path: str | PathLike[str], name: str | None = None) -> Hardware:
    """Read the fixed weights of one layer of a chip, one hardware neuron per row.

    An .npz file either holds the fields of `Hardware` (weights, and variance, usable, off, bus, low, high,
    write_variance, levels, level_variance where they differ from the default) or arrays of weights, of which `name`
    chooses one. Every other file is one matrix of weights. Readings that are NaN, infinite or what instruments write in
    their place are refused, except where `usable` is false; so is a first row or column that counts the others.

    Parameters
    ----------
    path : .npy, .npz, CSV or text in columns, see `matchopt.formats.number_table`; compressed with gzip or not.
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
        return Hardware.from_arrays(_cleaned(arrays))


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
    if source.other:
        raise source.error(f"chips are read from .npy, .npz and text{source.other}")
    return {"weights": read_table(source)}


def _cleaned(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays in the types of `Hardware`, zero where a cell is not usable and has no reading."""
    found = dict(arrays)
    for name, kind, right in (("usable", bool, (0, 1)), ("bus", int, None)):  # as tools without these types save them
        given = found.get(name, np.zeros(0, bool))
        if given.dtype != bool and np.isin(given, np.rint(given) if right is None else right).all():
            found[name] = given.astype(kind)
    usable = found.get("usable", np.bool_(True))
    for name in ("weights", "variance", "off"):
        values = found.get(name)
        if values is None or values.ndim != 2 or usable.shape not in ((), values.shape) or usable.dtype != bool:
            continue  # refused by the class, in its words
        lost = ~(np.abs(values.astype(np.float64)) < NO_READING)
        if (lost & usable).any():
            j, k = np.argwhere(lost & usable)[0]
            raise InvalidInstance(f"{name}: {values[j, k]} at neuron {j}, cell {k} is {ADVICE}")
        if lost.any():
            found[name] = np.where(lost, 0.0, values)
    weights = found["weights"]
    for axis, counted in (("column", weights), ("row", weights.T)):
        _check_index(counted, axis)
    return found


def _check_index(weights: np.ndarray, axis: str) -> None:
    if weights.ndim == 2 and min(weights.shape) > 1 and (np.rint(weights[:, 1:]) != weights[:, 1:]).any():
        first = weights[:, 0] - weights[0, 0]
        if weights[0, 0] in (0, 1) and np.array_equal(first, np.arange(len(first))):
            numbers = ", ".join(f"{number:g}" for number in weights[:3, 0])
            raise InvalidInstance(f"weights: the first {axis} counts the others, {numbers}; remove it")


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
