"""Wiring tables as JSON: an object with the instance's digest and a list of rows, each with its wires."""

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from matchopt.errors import FormatError, InvalidSolution
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.formats.own import SolutionFile
from matchopt.formats.sources import Source
from matchopt.formats.wiring import Wire, mapping_from, wires_of
from matchopt.instances import Instance, Solution
from matchopt.parts import exact_keys
from matchopt.settings import FiniteFloat, NonNegativeInt, checked

KEY = "matchopt_wiring"
VERSION = 1
MAX_BRACKETS = 2**24  # objects and lists of one table: a wire is one object
_ROW = {"layer", "row", "neuron", "gain", "wires", "tunable"}  # and "bias" where the mapping has biases of its own


def is_wiring_json(source: Source) -> bool:
    """Whether the file is an object that begins with the format's key."""
    return source.head.lstrip()[:1] == b"{" and f'"{KEY}"'.encode() in source.head[:200]


def read_wiring_json(source: Source, instance: Instance) -> SolutionFile:
    """Read a mapping of `instance`.

    Raises
    ------
    FormatError
        naming the entry that is wrong, or that the table was written for another instance.
    """
    table = parse(source.text, source.error, brackets=MAX_BRACKETS)
    _keys(table, {KEY, "instance", "rows"}, "table", source)
    if table[KEY] != VERSION or type(table[KEY]) is not int:
        raise source.error(
            f"{KEY} must be {VERSION}, found {str(table[KEY])[:40]}; a newer matchopt may have written it"
        )
    if table["instance"] != instance.digest:
        found = str(table["instance"])[:64]
        raise source.error(f"instance: the table belongs to the instance {found}, this one is {instance.digest}")
    if not isinstance(table["rows"], list):
        raise source.error("rows must be a list")
    wires: list[Wire] = []
    for number, row in enumerate(table["rows"]):
        wires += _row_wires(row, number, source)

    def fail(message: str, entry: int | None) -> FormatError:
        return source.error(message if entry is None else f"rows[{entry}]: {message}")

    return SolutionFile(mapping_from(wires, instance, fail), instance.digest)


def write_wiring_json(solution: Solution, instance: Instance, path: Path) -> None:
    """Write a mapping of `instance`, one row on a line.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    rows = []
    for (layer, row), group in groupby(wires_of(solution, instance), key=lambda wire: (wire.layer, wire.row)):
        lines = list(group)
        entry: dict[str, Any] = {"layer": layer, "row": row, "neuron": lines[0].neuron, "gain": lines[0].gain}
        if lines[0].bias is not None:
            entry["bias"] = lines[0].bias
        entry["wires"] = [
            {"cell": wire.cell, "input": wire.input, "weight": wire.weight} for wire in lines if wire.cell is not None
        ]
        entry["tunable"] = [{"input": wire.input, "weight": wire.weight} for wire in lines if wire.tunable]
        rows.append(json.dumps(entry, allow_nan=False))
    body = ",\n".join(f"  {row}" for row in rows)
    text = f'{{\n"{KEY}": {VERSION},\n"instance": "{instance.digest}",\n"rows": [\n{body}\n]\n}}\n'
    write_bytes(path, text.encode())


def _row_wires(row: Any, number: int, source: Source) -> list[Wire]:
    where = f"rows[{number}]"
    _keys(row, _ROW, where, source, {"bias"})
    layer, at, neuron = (_whole(row, name, where, source) for name in ("layer", "row", "neuron"))
    gain = _real(row, "gain", where, source)
    bias = _real(row, "bias", where, source) if "bias" in row else None
    wires = []
    for name, keys in (("wires", {"cell", "input", "weight"}), ("tunable", {"input", "weight"})):
        if not isinstance(row[name], list):
            raise source.error(f"{where}.{name} must be a list")
        for k, entry in enumerate(row[name]):
            place = f"{where}.{name}[{k}]"
            _keys(entry, keys, place, source)
            cell = _whole(entry, "cell", place, source) if name == "wires" else None
            listened, weight = _whole(entry, "input", place, source), _real(entry, "weight", place, source)
            wires.append(Wire(layer, at, neuron, gain, cell, listened, cell is None, weight, bias, number))
    return wires or [Wire(layer, at, neuron, gain, bias=bias, place=number)]


def _keys(found: Any, keys: set[str], where: str, source: Source, optional: set[str] | None = None) -> None:
    if not isinstance(found, dict):
        raise source.error(f"{where} must be an object")
    with source.named():
        exact_keys(found, keys, optional or set(), where, InvalidSolution)


def _whole(entry: dict[str, Any], name: str, where: str, source: Source) -> int:
    value: int = checked(entry[name], NonNegativeInt, f"{where}.{name}", source.error)
    return value


def _real(entry: dict[str, Any], name: str, where: str, source: Source) -> float:
    value: float = checked(entry[name], FiniteFloat, f"{where}.{name}", source.error)
    return value
