"""Tables with headings, as instruments and spreadsheets write them: a matrix, or a line for each reading of a cell.

The first line has names, with units behind them, as in `G (uS)`; or the second has the units. Numbers may have decimal
commas, and quotes where commas separate them too. A table whose names are those of a row and a column is a list of
cells, with `conductance`, `resistance`, or `current` and `voltage`, or `value`; `read` numbers repeated readings,
`seconds` says when they were taken, `usable` and `stuck` what is known of a cell. Every other table is a matrix.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from matchopt.errors import FormatError
from matchopt.formats.chip_units import Unit, as_conductance, parse_unit, split_label
from matchopt.formats.number_table import ADVICE, is_missing, lines_of, reading
from matchopt.formats.numbers import number_of
from matchopt.formats.sources import Source

SPARSEST = 100  # cells of an array for each line that a list of cells has: what says where a cell is may be wrong
_MEANINGS = {
    "row": "row rows wl word wordline word_line neuron y",
    "column": "column col columns bl bit bitline bit_line cell x",
    "read": "read reading repeat repetition cycle sweep",
    "seconds": "seconds time t",
    "usable": "usable mask alive",
    "stuck": "stuck",
    "conductance": "conductance g",
    "resistance": "resistance r",
    "current": "current i",
    "voltage": "voltage v read_voltage vread",
    "value": "value weight weights w reading_value",
}
MEANING = {word: meaning for meaning, words in _MEANINGS.items() for word in words.split()}
_COUNTING = {"", "row", "rows", "index", "no", "nr", "wl", "word", "wordline", "neuron"}  # over rows that are counted
_NO_CELL = _COUNTING | {"id", "address", "time", "t", "seconds"}  # over nothing that a cell has
_VALUES = ("conductance", "resistance", "value")
_EXPECTED = {"resistance": "resistance", "conductance": "conductance", "seconds": "time", "current": "current",
             "voltage": "voltage"}  # what is measured in a column of this meaning  # fmt: skip


@dataclass
class _Table:
    """Words below headings; numbers of lines for messages."""

    source: Source
    names: list[str]
    units: list[Unit | None]  # None where a column has none
    unknown: dict[int, str]  # what stands where a unit should be, by column
    words: list[list[str]]
    lines: list[int]
    head: int  # line of the names
    point: str = "."

    def fail(self, message: str) -> FormatError:
        return self.source.error(message, self.head)

    def take(self, columns: Sequence[int]) -> None:
        """Find the decimal mark of the columns that are read; their units must be known."""
        wrong = next((self.unknown[k] for k in columns if k in self.unknown), None)
        if wrong is not None:
            raise self.fail(f"unit {wrong[:40]!r} is not known; known are S, Ohm, A, V and s, with f, p, n, u, m, k, M "
                            "or G before them")  # fmt: skip
        seen: dict[str, int] = {}
        for words, line in zip(self.words, self.lines, strict=True):
            for k in columns:
                seen |= {mark: line for mark in ".," if mark in words[k] and mark not in seen}
        if len(seen) == 2:
            raise self.source.error(f"decimal points here, and decimal commas in line {seen[',']}; write one of them, "
                                    "and no marks between thousands", seen["."])  # fmt: skip
        self.point = next(iter(seen), ".")

    def numbers(self, column: int, dead: bool) -> np.ndarray:
        """The numbers of a column; NaN for cells without a reading where `dead`."""
        found = np.empty(len(self.words))
        for n, (words, line) in enumerate(zip(self.words, self.lines, strict=True)):
            found[n] = reading(words[column], dead, partial(self._misread, column, line), self.point)
        return found

    def _misread(self, column: int, line: int, what: str) -> FormatError:
        return self.source.error(f"column {column + 1}: {what}", line)


def has_headings(source: Source) -> bool:
    """Whether the first line of a text file has names in it, or counts columns behind an empty first word."""
    try:
        words = _split(lines_of(source)[0][0], source)
    except FormatError:
        return False
    named = [re.match(r"[^\d.+-]*[^\W\d_]", word) is not None and not is_missing(word) for word in words]
    if any(named):
        return all(own or re.fullmatch(r"\d*", word) for own, word in zip(named, words, strict=True))
    return len(words) > 1 and not words[0] and _counts(words[1:])


def read_instrument(source: Source, dead: bool) -> tuple[dict[str, np.ndarray], str]:
    """The fields of the array in a table with headings, and the unit of its values; "" where the table has none.

    Parameters
    ----------
    source : a file that `has_headings`.
    dead : whether cells without a reading cannot be used; else they are refused.

    Raises
    ------
    FormatError
        naming the line and what is wrong there.
    """
    table = _parsed(source)
    meanings = [MEANING.get(name.lower().replace(" ", "_"), "") for name in table.names]
    if {"row", "column"} <= set(meanings):
        return _listed(table, meanings, dead)
    return _matrix(table, dead)


def _split(line: str, source: Source, mark: str | None = None) -> list[str]:
    mark = max(";\t,", key=line.count) if mark is None else mark
    try:
        words = (
            line.split()
            if mark == " "
            else next(csv.reader([line], delimiter=mark, skipinitialspace=True, strict=True))
        )
    except csv.Error as cause:
        raise source.error(f"not CSV: {cause}") from None
    return [word.strip() for word in words]


def _parsed(source: Source) -> _Table:
    lines = lines_of(source, dead=True)
    first, head = lines[0]
    mark = max(";\t,", key=first.count) if re.search("[;\t,]", first) else " "
    rows = [_split(line, source, mark) for line, _ in lines]
    if len(rows) > 1 and all(len(words) > 1 and not words[-1] for words in rows):
        rows = [words[:-1] for words in rows]  # a separator at the end of every line
    own = [parse_unit(word) for word in rows[0]]
    if all(unit and unit.base for unit in own):  # units alone
        names, units, unknown = [""] * len(own), own, dict[int, str]()
    else:
        names, units, unknown = _labels(rows[0])
    start = 1
    below = [parse_unit(word) for word in rows[1]] if len(rows) > 1 else []
    if any(unit and unit.base for unit in below) and all(below) and len(below) == len(names):
        if unknown or any(unit and unit.base for unit in units):
            raise source.error("units in the headings and in a line of their own; remove one of them", lines[1][1])
        units, start = list(below), 2
    for words, (_, number) in zip(rows[start:], lines[start:], strict=True):
        if len(words) != len(names):
            raise source.error(f"{len(names)} values per line are expected, as in the headings, found {len(words)}; "
                               "decimal commas need quotes where commas separate", number)  # fmt: skip
    if len(rows) == start:
        raise source.error("holds headings and no numbers")
    return _Table(source, names, units, unknown, rows[start:], [number for _, number in lines[start:]], head)


def _labels(words: Sequence[str]) -> tuple[list[str], list[Unit | None], dict[int, str]]:
    """Names, units, and what stands where a unit should be, of every heading."""
    names, units, unknown = [], list[Unit | None](), {}
    for k, label in enumerate(words):
        name, text = split_label(label)
        unit = None if text is None else parse_unit(text)
        if text is not None and unit is None:
            if label.endswith((")", "]")):
                unknown[k] = text
            else:  # row/column
                name = label
        names.append(name)
        units.append(unit)
    return names, units, unknown


def _matrix(table: _Table, dead: bool) -> tuple[dict[str, np.ndarray], str]:
    columns = list(range(len(table.names)))
    first, name = [words[0] for words in table.words], table.names[0].lower()
    told, counted = all(map(_is_label, first)), name in _COUNTING and _counts(first)
    if len(columns) > 1 and (told or counted or re.search(r"[\\/]", table.names[0])):
        columns = columns[1:]
    elif any(table.names) and name in _NO_CELL and not counted:
        raise table.fail(f"column {table.names[0]!r} neither counts the rows, from 0 or 1, nor names them; remove it, "
                         "or call it otherwise if it has values of cells")  # fmt: skip
    named = {str(unit): unit for unit in table.units if unit is not None and unit.base}
    if len(named) > 1:
        raise table.fail(f"columns in {' and '.join(named)} make no matrix of one unit; a line for each cell needs "
                         "columns called row and column")  # fmt: skip
    unit = next(iter(named.values()), Unit())
    table.take(columns)
    values = np.stack([table.numbers(k, dead) for k in columns], axis=1)
    return {"weights": _conductances(values, unit, table, dead)}, as_conductance(unit, None, table.fail)


def _is_label(word: str) -> bool:
    letters = re.search("[^\\W\\d_]", word) is not None
    return letters and not is_missing(word) and number_of(word.replace(",", ".")) is None


def _counts(words: Sequence[str]) -> bool:
    first = words[0]
    return first in ("0", "1") and list(words) == [str(int(first) + n) for n in range(len(words))]


def _conductances(values: np.ndarray, unit: Unit, table: _Table, dead: bool) -> np.ndarray:
    """The values, or their reciprocals where they are resistances."""
    if unit.quantity != "resistance":
        return values
    if not dead and (values == 0).any():
        raise table.fail(f"a resistance of 0 Ohm has no conductance, found {int((values == 0).sum())}; {ADVICE}")
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(values == 0, np.nan, 1.0 / values))


def _listed(table: _Table, meanings: list[str], dead: bool) -> tuple[dict[str, np.ndarray], str]:
    at: dict[str, int] = {}
    for k, meaning in enumerate(meanings):
        if not meaning:
            table.source.warn(f"column {table.names[k][:40]!r} is left out", table.head)
        elif meaning in at:
            raise table.fail(f"columns {table.names[at[meaning]][:40]!r} and {table.names[k][:40]!r} are both a "
                             f"{meaning}; remove one")  # fmt: skip
        else:
            at[meaning] = k
    for meaning, quantity in _EXPECTED.items():
        unit = table.units[at[meaning]] if meaning in at else None
        if unit is not None and unit.quantity not in ("", quantity):
            raise table.fail(f"column {table.names[at[meaning]][:40]!r} is a {quantity}, found the unit {unit}")
    table.take(sorted(at.values()))
    values, unit_text = _values(table, at, dead)
    rows, columns = (_places(table, at[axis], axis) for axis in ("row", "column"))
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    if shape[0] * shape[1] > SPARSEST * len(values):
        raise table.fail(f"rows up to {rows.max()} and columns up to {columns.max()} are {shape[0] * shape[1]} cells, "
                         f"and only {len(values)} lines have one; check the numbers of rows and columns")  # fmt: skip
    return _arranged(table, at, (rows, columns), shape, values, dead), unit_text


def _values(table: _Table, at: dict[str, int], dead: bool) -> tuple[np.ndarray, str]:
    """The conductance of every line, and its unit."""
    given = [meaning for meaning in _VALUES if meaning in at] + ["current"] * ("current" in at)
    if len(given) != 1 or ("current" in at) != ("voltage" in at):
        found = ", ".join(repr(table.names[k][:40]) for k in at.values())
        raise table.fail("a list of cells needs one of conductance, resistance, value, or current and voltage, found "
                         f"{found}")  # fmt: skip
    k = at[given[0]]
    unit, values = table.units[k] or Unit(), table.numbers(k, dead)
    if given[0] != "current":
        unit = Unit("Ohm") if given[0] == "resistance" and not unit.base else unit
        return _conductances(values, unit, table, dead), as_conductance(unit, None, table.fail)
    across = table.numbers(at["voltage"], dead)
    if not dead and (across == 0).any():
        raise table.fail(f"{int((across == 0).sum())} readings at 0 V have no conductance; {ADVICE}")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(across == 0, np.nan, values / across)
    return ratio, as_conductance(unit, table.units[at["voltage"]] or Unit(), table.fail)


def _places(table: _Table, column: int, axis: str) -> np.ndarray:
    """Numbers of rows or columns from 0; those of a file in which none is 0 begin with 1."""
    found = table.numbers(column, False)
    wrong = (found < 0) | (found != np.rint(found)) | (found >= 2**31)
    if wrong.any():
        n = int(np.argmax(wrong))
        raise table.source.error(f"{axis} must be a whole number >= 0, found {found[n]:g}", table.lines[n])
    return np.asarray(found.astype(np.int64) - int(found.min() > 0))


def _arranged(
    table: _Table, at: dict[str, int], places: tuple[np.ndarray, np.ndarray], shape: tuple[int, int],
    values: np.ndarray, dead: bool,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The list as arrays, one for each reading."""
    none = np.zeros(len(values))
    keys = np.stack([table.numbers(at[name], False) if name in at else none for name in ("seconds", "read")], axis=1)
    unit = table.units[at["seconds"]] if "seconds" in at else None
    keys[:, 0] *= 1.0 if unit is None else 10.0**unit.power
    reads, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    if len(reads) * shape[0] * shape[1] > SPARSEST * len(values):
        raise table.fail(f"{len(reads)} readings of {shape[0]} x {shape[1]} cells, in {len(values)} lines: every cell "
                         "must have every reading")  # fmt: skip
    flat = (which * shape[0] + places[0]) * shape[1] + places[1]
    _check_once(table, flat, places)
    readings = np.full((len(reads), *shape), np.nan)
    readings.reshape(-1)[flat] = values
    lacking = np.isnan(readings).any(axis=0)
    if lacking.any() and not dead:
        row, column = np.argwhere(lacking)[0]
        raise table.source.error(f"row {row}, column {column}, counted from 0, lacks a reading, as {lacking.sum()} of "
                                 f"{lacking.size} cells do: {ADVICE}")  # fmt: skip
    fields: dict[str, np.ndarray] = {"usable": ~lacking}
    for name in ("usable", "stuck"):
        if name in at:
            said = np.full(shape, name == "usable")
            said[places] = _yes(table, at[name])
            fields[name] = fields[name] & said if name in fields else said
    if len(reads) == 1:
        return fields | {"weights": readings[0]}
    return fields | {"readings": readings} | ({"seconds": reads[:, 0]} if "seconds" in at else {})


def _check_once(table: _Table, flat: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> None:
    order = np.argsort(flat, kind="stable")
    again = np.flatnonzero(np.diff(flat[order]) == 0)
    if len(again):
        n = int(order[again[0] + 1])
        raise table.source.error(f"row {places[0][n]}, column {places[1][n]}, counted from 0, is there twice; number "
                                 "repeated readings in a column called read", table.lines[n])  # fmt: skip


def _yes(table: _Table, column: int) -> np.ndarray:
    words = np.array([words[column].lower() for words in table.words])
    wrong = ~np.isin(words, ("0", "1", "true", "false", "yes", "no"))
    if wrong.any():
        n = int(np.argmax(wrong))
        raise table.source.error(f"{table.names[column][:40]!r} must be 0 or 1, found {words[n][:40]!r}",
                                 table.lines[n])  # fmt: skip
    return np.isin(words, ("1", "true", "yes"))
