"""Measured chips from .npy, .npz, CSV, plain text, HDF5 or Fusion CSV, one array or many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance, UnknownName
from matchopt.formats.arc_two import read_arc_two
from matchopt.formats.chip_units import parse_unit
from matchopt.formats.fusion_csv import UNIT, is_fusion, read_fusion
from matchopt.formats.hdf5 import HDF5
from matchopt.formats.instrument_csv import has_headings, read_instrument
from matchopt.formats.number_table import ADVICE, NO_READING, read_table
from matchopt.formats.numpy_files import NPY, ZIP, npz_names, read_npy, read_npz
from matchopt.formats.sources import Source
from matchopt.instances import Chip, ChipArray, Hardware, Place
from matchopt.instances.chip import OTHERS, Pairing
from matchopt.parts import readable

OF_CELLS = ("weights", "variance", "usable", "stuck", "off", "readings", *OTHERS)
FIELDS = (*OF_CELLS, "bus", "seconds")  # of one array; "weights" or "readings" must be there
REPEATED = "conductance"  # (cells, times), in siemens, as published data sets of cells read again and again have it
BESIDE = {REPEATED, "seconds", "level", "address"}  # what such a file holds


@dataclass(frozen=True)
class ChipFile:
    """A file of measured weights; `name` chooses an array of an .npz file."""

    path: Path
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ChipFile":
        """From FILE or FILE:NAME."""
        path, colon, name = text.rpartition(":")
        if colon and path and not Path(text).exists():
            return cls(Path(path), name)
        return cls(Path(text))


@dataclass(frozen=True)
class Reading:
    """What files of measured arrays do not say themselves.

    Parameters
    ----------
    unit : of the values, such as "S"; "" if unknown, or what the file says, which it must agree with.
    stuck_below, stuck_above : cells that read less, or more, are stuck there; in the file's unit; None for no such end.
    cells : every so many cells in the file's order make a hardware neuron, what is left over is left out; None where
        the rows of the file are neurons.
    dead_blanks : whether cells without a reading cannot be used; else they are refused.
    """

    unit: str = ""
    stuck_below: float | None = None
    stuck_above: float | None = None
    cells: int | None = None
    dead_blanks: bool = False

    def __post_init__(self) -> None:
        low, high = self.stuck_below, self.stuck_above
        for name, value in (("stuck_below", low), ("stuck_above", high)):
            if value is not None and not np.isfinite(value):
                raise InvalidInstance(f"chip: {name} must be a finite number, found {value}; leave it out for none")
        if low is not None and high is not None and low > high:
            raise InvalidInstance(f"chip: stuck_below {low:g} lies above stuck_above {high:g}, so that all readings "
                                  "would be stuck; exchange them")  # fmt: skip


AS_IT_IS = Reading()


def read_chip(files: Sequence[ChipFile], how: Reading = AS_IT_IS, pairs: Pairing = "none") -> Chip:
    """Read a chip, one array for each file, or all arrays of an .npz file of which none is chosen by its name.

    An .npz file holds the fields of one `ChipArray` (weights or readings, and what else is known of its cells), those
    of several as NAME.FIELD, or plain matrices of weights under any names. Every other file is one matrix of weights, a
    row for each hardware neuron, see `instrument_csv` for tables with headings; but HDF5 (`arc_two`) has one array, and
    a Fusion CSV one for each layer. Cells read again and again come as `conductance`, shape (cells, times), and
    `seconds`.
    Readings that are NaN, infinite or what instruments write in their place are refused, except where `usable` is
    false; so is a first row or column that counts the others.

    Parameters
    ----------
    files : .npy, .npz, CSV or text in columns, see `matchopt.formats.number_table`, or HDF5; compressed with gzip or
        not.
    how : what the files do not say.
    pairs : see `Chip`. Arrays called positive and negative, or NAME.positive and NAME.negative, are G+ and G-; else
        arrays are G+ and G- by turns. The name of a file chooses both halves.

    Raises
    ------
    FormatError
        naming the file and what is wrong, such as a unit that is not `how.unit`, or that of the file before.
    UnknownName
        when a file has no array of that name; lists those it has.
    """
    arrays: list[ChipArray] = []
    unit = how.unit
    for file in files:
        source = Source(Path(file.path))
        arrays_of = _arrays if pairs == "none" else _halves
        held = arrays_of(source, file.name, how)
        if held.unit:
            unit = _agreed(unit, held.unit, source)
        for name, found in held.arrays.items():
            with source.named():
                arrays.append(_array(found, Place(readable(str(file.path)), readable(name)), how))
    return Chip(tuple(arrays), unit, pairs)


def _agreed(unit: str, own: str, source: Source) -> str:
    """The unit of a file that says one, if no other was said before."""
    if unit and str(parse_unit(unit) or unit) != own:
        raise source.error(f"its values are in {own}, and {unit} was said before; values are never converted: give "
                           "files of one unit, and leave --unit out")  # fmt: skip
    return unit or own


def read_hardware(path: str | PathLike[str], name: str | None = None) -> Hardware:
    """Read the fixed weights of one layer of a chip, one hardware neuron per row; see `read_chip`.

    Parameters
    ----------
    path : a file with one array, or with several of which `name` chooses one.
    name : the array of an .npz file; None for the fields of one array, or for the only array.
    """
    return Chip((_single(path, name),)).hardware()


def read_array(path: str | PathLike[str], name: str | None = None) -> Float[np.ndarray, "neurons cells"]:
    """Read one matrix of finite numbers; see `read_hardware`."""
    return _single(path, name).weights


def _single(path: str | PathLike[str], name: str | None) -> ChipArray:
    source = Source(Path(path))
    arrays = _arrays(source, name, AS_IT_IS).arrays
    if len(arrays) > 1:
        raise source.error(f"holds {len(arrays)} arrays, choose one by its name: {', '.join(arrays)[:400]}")
    ((own, fields),) = arrays.items()
    with source.named():
        return _array(fields, Place(readable(str(path)), readable(own)), AS_IT_IS)


@dataclass(frozen=True)
class _Held:
    """The fields of every array of a file, by its name there, and the unit that the file says."""

    arrays: dict[str, dict[str, np.ndarray]]
    unit: str = ""


def _arrays(source: Source, name: str | None, how: Reading) -> _Held:
    if source.head.startswith(ZIP):
        chosen = _chosen(npz_names(source), name, source)
        found = read_npz(source, {key for fields in chosen.values() for key in fields.values()})
        arrays = {own: {field: found[key] for field, key in fields.items()} for own, fields in chosen.items()}
        return _Held(arrays, "S" if any(REPEATED in fields for fields in arrays.values()) else "")
    if not source.head.startswith((NPY, HDF5)) and source.other:
        raise source.error(f"chips are read from .npy, .npz, .h5 and text{source.other}")
    if not source.head.startswith((NPY, HDF5)) and is_fusion(source):
        layers = read_fusion(source, how.dead_blanks)
        if name is not None and name not in layers:
            raise UnknownName(f"array of {source.path}", name, list(layers))
        return _Held(layers if name is None else {name: layers[name]}, UNIT)
    if name is not None:
        raise source.error(f"holds one array without a name, {name!r} was asked for; only .npz files name arrays")
    if source.head.startswith(NPY):
        return _Held({"": {"weights": read_npy(source)}})
    if source.head.startswith(HDF5):
        return _Held({"": read_arc_two(source, how.dead_blanks)}, "S")
    if has_headings(source):
        fields, unit = read_instrument(source, how.dead_blanks)
        return _Held({"": fields}, unit)
    return _Held({"": {"weights": read_table(source, how.dead_blanks)}})


def _halves(source: Source, name: str | None, how: Reading) -> _Held:
    """The arrays of pairs: those of this name, or of all names, G+ before its G-."""
    if name is None or not source.head.startswith(ZIP):
        held = _arrays(source, name, how)
        found = held.arrays
    else:
        held = _arrays(source, None, how)
        found = {own: fields for own, fields in held.arrays.items() if name in (own, own.rpartition(".")[0])}
        if not found:
            raise UnknownName(f"array of {source.path}", name, list(held.arrays))
    if {own.rpartition(".")[2] for own in found} != {"positive", "negative"}:
        return replace(held, arrays=found)
    owners = list(dict.fromkeys(own.rpartition(".")[0] for own in found))
    order = [f"{owner}.{sign}".removeprefix(".") for owner in owners for sign in ("positive", "negative")]
    missing = next((own for own in order if own not in found), None)
    if missing is not None:
        raise source.error(f"holds no array {missing!r}, the other half of a pair")
    return replace(held, arrays={own: found[own] for own in order})


def _chosen(names: list[str], name: str | None, source: Source) -> dict[str, dict[str, str]]:
    """Which member of an archive is which field of which array."""
    if not names:
        raise source.error("the .npz file holds no array")
    if name is None and REPEATED in names and BESIDE.issuperset(names):
        return {"": {field: field for field in names if field in (REPEATED, "seconds")}}
    if name is None and {"weights", "readings"} & set(names):
        stray = sorted(set(names) - set(FIELDS))
        if stray:
            raise source.error(f"array {stray[0]!r} is none of {', '.join(FIELDS)}; choose one array by its name")
        return {"": {field: field for field in names}}
    found: dict[str, dict[str, str]] = {}
    for each in names:
        owner, dot, field = each.rpartition(".")
        grouped = dot and field in FIELDS
        found.setdefault(owner if grouped else each, {})[field if grouped else "weights"] = each
    if name is None:
        return found
    if name in names:
        return {name: {"weights": name}}
    if name not in found:
        raise UnknownName(f"array of {source.path}", name, list(found))
    return {name: found[name]}


def _array(found: Mapping[str, np.ndarray], place: Place, how: Reading) -> ChipArray:
    fields: dict[str, Any] = dict(_cleaned(_folded(found, how.cells), how.dead_blanks))
    others = {name: fields.pop(name) for name in OTHERS if name in fields}
    array = ChipArray(place=place, **fields, others=others)
    if how.stuck_below is None and how.stuck_above is None:
        return array
    low = -np.inf if how.stuck_below is None else how.stuck_below
    high = np.inf if how.stuck_above is None else how.stuck_above
    stuck = array.stuck | (array.weights < low) | (array.weights > high)
    return ChipArray(place=place, **{**fields, "weights": array.weights, "stuck": stuck}, others=others)


def _folded(found: Mapping[str, np.ndarray], cells: int | None) -> dict[str, np.ndarray]:
    """The fields with `cells` cells in a row, readings first to last."""
    fields = dict(found)
    if REPEATED in fields:
        values, seconds = fields.pop(REPEATED), fields.get("seconds", np.zeros(0))
        if values.ndim != 2 or seconds.shape != values.shape[1:]:
            raise InvalidInstance(f"{REPEATED} must have shape (cells, times) with as many `seconds`, found "
                                  f"{values.shape} and {seconds.shape}")  # fmt: skip
        if cells is None:
            raise InvalidInstance(f"{REPEATED}: {len(values)} cells in a list; say how many make a hardware neuron "
                                  "(--cells)")  # fmt: skip
        fields["readings"] = values.T
    if "seconds" in fields and "readings" in fields and len(fields["seconds"]) == len(fields["readings"]):
        order = np.argsort(fields["seconds"], kind="stable")
        fields |= {"readings": fields["readings"][order], "seconds": fields["seconds"][order]}
    if cells is None:
        return fields
    for name in OF_CELLS:
        if name in fields:
            values, first = fields[name], int(name == "readings")  # the axis of cells, in one or two
            behind = () if values.ndim < first + 3 else values.shape[first + 2 :]
            lists = values.reshape(*values.shape[:first], -1, *behind)
            count = lists.shape[first]
            if count < cells:
                raise InvalidInstance(f"{name}: {count} cells make no hardware neuron of {cells} (--cells)")
            kept = lists.take(np.arange(count // cells * cells), axis=first)
            fields[name] = kept.reshape(*values.shape[:first], count // cells, cells, *behind)
    return fields


def _cleaned(arrays: Mapping[str, np.ndarray], dead: bool) -> dict[str, np.ndarray]:
    """The arrays in the types of `ChipArray`, zero where a cell is not usable and has no reading."""
    found = dict(arrays)
    for name, kind, right in (
        ("usable", bool, (0, 1)),
        ("stuck", bool, (0, 1)),
        ("bus", int, None),
        ("input", int, None),
    ):
        given = found.get(name, np.zeros(0, bool))  # as tools without these types save them
        if given.dtype != bool and np.isin(given, np.rint(given) if right is None else right).all():
            found[name] = given.astype(kind)
    usable: np.ndarray = np.asarray(found.get("usable", True))
    for name in ("weights", "variance", "off", "readings"):
        values = found.get(name)
        ndim = 3 if name == "readings" else 2
        if values is None or values.ndim != ndim or usable.shape not in ((), values.shape[-2:]) or usable.dtype != bool:
            continue  # refused by the class, in its words
        lost = ~(np.abs(values.astype(np.float64)) < NO_READING)
        if dead and lost.any():
            usable = usable & ~(lost.any(axis=0) if ndim == 3 else lost)
            found["usable"] = usable
        if (lost & usable).any():
            at = np.argwhere(lost & usable)[0]
            where = f"neuron {at[-2]}, cell {at[-1]}" + (f", reading {at[0]}" if ndim == 3 else "")
            raise InvalidInstance(f"{name}: {values[tuple(at)]} at {where} is {ADVICE}")
        if lost.any():
            found[name] = np.where(lost, 0.0, values)
    weights = found.get("weights", np.zeros((0, 0)))
    for axis, counted in (("column", weights), ("row", weights.T)):
        _check_index(counted, axis)
    return found


def _check_index(weights: np.ndarray, axis: str) -> None:
    if weights.ndim == 2 and min(weights.shape) > 1 and (np.rint(weights[:, 1:]) != weights[:, 1:]).any():
        first = weights[:, 0] - weights[0, 0]
        if weights[0, 0] in (0, 1) and np.array_equal(first, np.arange(len(first))):
            numbers = ", ".join(f"{number:g}" for number in weights[:3, 0])
            raise InvalidInstance(f"weights: the first {axis} counts the others, {numbers}; remove it")
