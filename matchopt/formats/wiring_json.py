"""Wiring tables as JSON: an object with the instance's digest and a list of rows, each with its wires.

A row with several hardware neurons has an entry for each.
"""

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from matchopt.errors import FormatError
from matchopt.formats.atomic import write_bytes
from matchopt.formats.bounded_json import parse
from matchopt.formats.own import SolutionFile
from matchopt.formats.sources import Source
from matchopt.formats.wiring import OnChip, Wire, mapping_from, wires_of
from matchopt.instances import Instance, Solution
from matchopt.settings import FiniteFloat, NonNegativeInt, read_object

SCHEMA = Path(__file__).with_name("wiring.schema.json")  # what a file must be like, as JSON Schema (2020-12)
KEY = "matchopt_wiring"
VERSION = 1
MAX_BRACKETS = 2**24  # objects and lists of one table: a wire is one object


@dataclass(frozen=True)
class _Tuned:
    input: NonNegativeInt
    weight: FiniteFloat


@dataclass(frozen=True)
class _Wired(_Tuned):
    cell: NonNegativeInt
    written: FiniteFloat | None = None  # where a value is to be written into the cell
    column: NonNegativeInt | None = None  # on the measured chip, where there is one
    value: FiniteFloat | None = None


@dataclass(frozen=True)
class _Chip:
    file: str
    array: str
    row: NonNegativeInt
    unit: str
    scale: FiniteFloat


@dataclass(frozen=True)
class _Row:
    layer: NonNegativeInt
    row: NonNegativeInt
    neuron: NonNegativeInt
    gain: FiniteFloat
    wires: list[_Wired]
    tunable: list[_Tuned]
    bias: FiniteFloat | None = None  # where biases are digital
    chip: _Chip | None = None  # where the hardware neuron is on the measured chip

    def listed(self, number: int) -> list[Wire]:
        """The wires of the row, which is entry `number`; one without a cell or input where it has none."""
        start = (self.layer, self.row, self.neuron, self.gain)
        wires = [
            Wire(*start, w.cell, w.input, False, w.weight, self.bias, w.written, number, self._at(w))
            for w in self.wires
        ]
        wires += [Wire(*start, None, w.input, True, w.weight, self.bias, None, number) for w in self.tunable]
        return wires or [Wire(*start, bias=self.bias, place=number)]

    def _at(self, wire: _Wired) -> OnChip | None:
        chip = self.chip
        if chip is None:
            return None
        return OnChip(chip.file, chip.array, chip.row, wire.column, wire.value, chip.unit, chip.scale)


@dataclass(frozen=True)
class _Table:
    matchopt_wiring: int
    instance: str
    rows: list[_Row]


def is_wiring_json(source: Source) -> bool:
    """Whether the file is an object that begins with the format's key."""
    return source.start.lstrip()[:1] == b"{" and f'"{KEY}"'.encode() in source.start[:200]


def read_wiring_json(source: Source, instance: Instance) -> SolutionFile:
    """Read a mapping of `instance`.

    Raises
    ------
    FormatError
        naming the entry that is wrong, or that the table was written for another instance.
    """
    table = parse(source.text, source.error, brackets=MAX_BRACKETS)
    if isinstance(table, dict) and table.get(KEY, VERSION) != VERSION:
        raise source.error(
            f"{KEY} must be {VERSION}, found {str(table[KEY])[:40]}; a newer matchopt may have written it"
        )
    found = read_object(_Table, table, "table", source.error)
    if found.instance != instance.digest:
        raise source.error(
            f"instance: the table belongs to the instance {found.instance[:64]}, this one is {instance.digest}"
        )
    wires = [wire for number, row in enumerate(found.rows) for wire in row.listed(number)]

    def fail(message: str, entry: int | None) -> FormatError:
        return source.error(message if entry is None else f"rows[{entry}]: {message}")

    return SolutionFile(mapping_from(wires, instance, fail), instance.digest)


def write_wiring_json(solution: Solution, instance: Instance, path: Path) -> None:
    """Write a mapping of `instance`, one hardware neuron on a line.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    rows = []
    parts = groupby(wires_of(solution, instance), key=lambda wire: (wire.layer, wire.row, wire.neuron))
    for (layer, row, neuron), group in parts:
        lines = list(group)
        entry: dict[str, Any] = {"layer": layer, "row": row, "neuron": neuron, "gain": lines[0].gain}
        if lines[0].bias is not None:
            entry["bias"] = lines[0].bias
        at = lines[0].on_chip
        if at is not None:
            entry["chip"] = {"file": at.file, "array": at.array, "row": at.chip_row, "unit": at.unit, "scale": at.scale}
        entry["wires"] = [_written(wire) for wire in lines if wire.cell is not None]
        entry["tunable"] = [{"input": wire.input, "weight": wire.weight} for wire in lines if wire.tunable]
        rows.append(json.dumps(entry, allow_nan=False))
    body = ",\n".join(f"  {row}" for row in rows)
    text = f'{{\n"{KEY}": {VERSION},\n"instance": "{instance.digest}",\n"rows": [\n{body}\n]\n}}\n'
    write_bytes(path, text.encode())


def _written(wire: Wire) -> dict[str, Any]:
    at = {} if wire.on_chip is None else {"column": wire.on_chip.chip_column, "value": wire.on_chip.value}
    written = {} if wire.written is None else {"written": wire.written}
    return {"cell": wire.cell, "input": wire.input, "weight": wire.weight, **written, **at}
