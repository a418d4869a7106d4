"""From the sections of an MPS file to a program."""

import math
from dataclasses import dataclass, field

import numpy as np

from matchopt.formats.mps_bounds import Bounds
from matchopt.formats.sources import Source
from matchopt.instances import ProgramInstance, Provenance


@dataclass
class Rows:
    """ROWS, RHS and RANGES; row numbers count all rows, the free ones (N) included."""

    number: dict[str, int] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    rhs: dict[int, float] = field(default_factory=dict)
    ranges: dict[int, float] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> bool:
        """Add a row; False when the name is taken."""
        if name in self.number:
            return False
        self.number[name] = len(self.kinds)
        self.kinds.append(kind)
        return True

    def limits(self, row: int) -> tuple[float, float]:
        """Lower and upper limit of a row that is not free."""
        kind, rhs = self.kinds[row], self.rhs.get(row, 0.0)
        low, high = (rhs if kind != "L" else -math.inf), (rhs if kind != "G" else math.inf)
        reach = self.ranges.get(row)
        if reach is None:
            return low, high
        if kind == "L":
            return rhs - abs(reach), high
        if kind == "G":
            return low, rhs + abs(reach)
        return (rhs, rhs + reach) if reach >= 0 else (rhs + reach, rhs)


@dataclass
class Entries:
    """COLUMNS: the columns in order and their entries."""

    number: dict[str, int] = field(default_factory=dict)
    integer: list[bool] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    columns: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    used: set[int] = field(default_factory=set)  # rows of the column at hand

    def add_column(self, name: str, integer: bool, line: int) -> bool:
        """Begin a column; False when the name is taken."""
        if name in self.number:
            return False
        self.number[name] = len(self.integer)
        self.integer.append(integer)
        self.lines.append(line)
        self.used = set()
        return True

    def add(self, row: int, value: float) -> bool:
        """Add an entry to the last column; False when it has one in this row."""
        if row in self.used:
            return False
        self.used.add(row)
        self.columns.append(len(self.integer) - 1)
        self.rows.append(row)
        self.values.append(value)
        return True


def build(
    rows: Rows, entries: Entries, bounds: Bounds, sense: int, name: str, source: Source, notes: list[str]
) -> ProgramInstance:
    """Make the program; raises FormatError where the bounds of a column are ambiguous, or no objective is given."""
    if "N" not in rows.kinds:
        raise source.error("ROWS has no N row, which would be the objective")
    n = len(entries.integer)
    integral = np.array([whole or v in bounds.whole for v, whole in enumerate(entries.integer)], dtype=bool)
    columns = list(entries.number)
    notes = [*notes, *_settle(bounds, columns, integral, entries.lines, source)]
    objective = rows.kinds.index("N")
    kept = [r for r, kind in enumerate(rows.kinds) if kind != "N"]
    limits = [rows.limits(r) for r in kept]
    _check_limits(rows, kept, limits, source)
    of_row, of_column = np.array(entries.rows, dtype=np.int64), np.array(entries.columns, dtype=np.int64)
    value = np.array(entries.values, dtype=np.float64)
    cost = np.zeros(n)
    cost[of_column[of_row == objective]] = value[of_row == objective]
    place = np.full(len(rows.kinds), -1)
    place[kept] = np.arange(len(kept))
    inside = place[of_row] >= 0
    order = np.lexsort((of_column[inside], place[of_row][inside]))
    counts = np.bincount(place[of_row][inside], minlength=len(kept)) if len(kept) else np.zeros(0, np.int64)
    names = list(rows.number)
    offset = 0.0 - rows.rhs.get(objective, 0.0)
    return ProgramInstance(
        cost=cost if sense > 0 else 0.0 - cost,
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        indices=of_column[inside][order],
        coefficients=value[inside][order],
        row_low=np.array([low for low, _ in limits], dtype=np.float64),
        row_high=np.array([high for _, high in limits], dtype=np.float64),
        low=np.array([bounds.low.get(v, 0.0) for v in range(n)], dtype=np.float64),
        high=np.array([bounds.high.get(v, np.inf) for v in range(n)], dtype=np.float64),
        integral=integral,
        offset=offset if sense > 0 else 0.0 - offset,
        row_names=_unless_default([names[r] for r in kept], "r"),
        variable_names=_unless_default(columns, "x"),
        provenance=Provenance(name=name, source="; ".join(["MPS", *_notes(rows, sense), *notes])),
    )


def _settle(bounds: Bounds, columns: list[str], integral: np.ndarray, lines: list[int], source: Source) -> list[str]:
    """Bound what is read though programs differ, and say so; raises FormatError for what nobody can read."""
    for v, column in enumerate(columns):
        problem = bounds.ambiguous(v)
        if problem:
            raise source.error(f"column {column[:60]!r} {problem}", bounds.high_line[v])
    bare = [v for v in np.flatnonzero(integral).tolist() if v not in bounds.low and v not in bounds.high]
    if not bare:
        return []
    bounds.high.update(dict.fromkeys(bare, 1.0))
    note = f"{len(bare)} whole columns without bounds are read as 0 .. 1"
    more = f"the first is {columns[bare[0]][:60]!r}; some programs read 0 .. infinity: give them bounds, BV or PL"
    source.warn(f"{note}, {more}", lines[bare[0]])
    return [note]


def _check_limits(rows: Rows, kept: list[int], limits: list[tuple[float, float]], source: Source) -> None:
    names = list(rows.number)
    for r, (low, high) in zip(kept, limits, strict=True):
        if low == math.inf or high == -math.inf or math.isnan(low) or math.isnan(high):
            raise source.error(
                f"row {names[r][:60]!r} ({rows.kinds[r]}) is limited by {low} and {high}: no value is left"
            )
    infinite = rows.rhs.get(rows.kinds.index("N"), 0.0)
    if not math.isfinite(infinite):
        raise source.error("the right-hand side of the objective, a constant, must be finite")


def _unless_default(names: list[str], prefix: str) -> tuple[str, ...] | None:
    # x0, x1 .. is what an instance without names is written with: read back, it has none again.
    return None if all(name == f"{prefix}{k}" for k, name in enumerate(names)) else tuple(names)


def _notes(rows: Rows, sense: int) -> list[str]:
    notes = []
    if sense < 0:
        notes.append("maximised in the file: costs and constant are negated here")
    free = rows.kinds.count("N") - 1
    if free:
        notes.append(f"{free} free rows (N) after the first are left out")
    return notes
