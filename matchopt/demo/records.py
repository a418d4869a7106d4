"""The demo's results: one record per solve, and one row of the table per regime and solver."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.formats.atomic import write_bytes
from matchopt.terminal.figures import NONE, share, spread

COLUMNS = (
    "regime", "draw", "instance", "digest", "solver", "version", "status", "limit", "proof", "refused", "objective",
    "weight_error", "bound", "gap", "seconds", "validation_accuracy", "test_accuracy", "solution", "message",
)  # fmt: skip
TARGET = "target (unmapped)"
HEADINGS = (
    "regime", "solver", ">draws", ">weight error", ">bound", ">gap %", "proof", ">seconds", ">validation %", ">test %",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """All solves of one solver in one regime.

    Parameters
    ----------
    regime, solver : names.
    records : records of the draws with a solution, in order of the draws.
    """

    regime: str
    solver: str
    records: tuple[Mapping[str, Any], ...]

    def figures(self, name: str) -> list[float]:
        """The figure `name` of every draw that has it."""
        return [record[name] for record in self.records if record[name] is not None]

    def mean(self, name: str) -> float:
        """The mean of a figure that every draw has."""
        figures = self.figures(name)
        return sum(figures) / len(figures)

    def cells(self) -> list[str]:
        """The row of the table."""
        proofs = [record["proof"] or "none" for record in self.records]
        kinds = [kind for kind in ("proven", "claimed", "none") if kind in proofs]
        proof = " ".join(kinds if len(kinds) == 1 else [f"{proofs.count(kind)} {kind}" for kind in kinds])
        return [
            self.regime,
            self.solver,
            str(len(self.records)),
            spread(self.figures("weight_error"), digits=None),
            spread(self.figures("bound"), digits=None),
            spread(self.figures("gap"), 100.0, 2),
            proof,
            spread(self.figures("seconds"), digits=2),
            spread(self.figures("validation_accuracy"), 100.0),
            spread(self.figures("test_accuracy"), 100.0),
        ]


def rows_of(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of the table, regime by regime, the worst objective first."""
    rows = []
    for regime in dict.fromkeys(record["regime"] for record in records):
        solved = [r for r in records if r["regime"] == regime and r["objective"] is not None]
        found = [
            Row(regime, solver, tuple(r for r in solved if r["solver"] == solver))
            for solver in dict.fromkeys(r["solver"] for r in solved)
        ]
        rows += sorted(found, key=lambda row: -row.mean("objective"))
    return rows


def table_cells(rows: Sequence[Row], target: Mapping[str, float]) -> list[list[str]]:
    """The table: the unmapped target first, then every row; an empty list is a line between regimes."""
    accuracies = [share(target["validation_accuracy"]), share(target["test_accuracy"])]
    cells = [["perfect hardware", TARGET, NONE, "0", NONE, NONE, NONE, NONE, *accuracies]]
    for before, row in zip([None, *rows], rows, strict=False):
        if before is None or before.regime != row.regime:
            cells.append([])
        cells.append(row.cells())
    return cells


def unsolved(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for every solver without a solution in a regime, with its reason."""
    lines: dict[str, None] = {}
    for record in records:
        if record["objective"] is None:
            limit = f", {record['limit']} limit" if record["limit"] else ""
            what = "" if record["refused"] else f"{record['status']}{limit}: "
            lines[f"{record['regime']}, {record['solver']}: {what}{record['message']}".strip()] = None
    return list(lines)


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """All records as a table for other programs."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_bytes(path, text.getvalue().encode())
