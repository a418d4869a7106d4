"""What published studies took: their runtimes, from the tables of all their runs."""

import csv
from collections.abc import Iterable
from pathlib import Path

from matchopt.errors import DataError
from matchopt.formats.sources import Source
from matchopt.terminal.figures import NONE

RUNTIMES = "runtimes.md"
WORK = ("cpu_seconds", "solver_seconds", "training_seconds")  # the first of them that a table has
HEADINGS = ("study", "runs", "minutes in all", "of them training or solving", "longest run, s")
ABOUT = """# What studies take

Sums over the runs of each published study, one run at a time; several at a time (`--jobs`) share them. The time in all
is that of the clock, on a machine that may have had other things to do: an upper estimate. Training is counted in
seconds of the processor, solving by the solver's clock; evaluating, checking and proving come on top. The networks that
the runs of a mapping study share are trained once before, which is not in here. Made by `matchopt reproduce --publish`.
"""


def runtimes(folder: Path) -> list[list[str]]:
    """One row for each study that is published in a folder, by name, and their sums: the columns are `HEADINGS`.

    Raises
    ------
    DataError
        where none is.
    """
    found = []
    for path in sorted(folder.glob("*.csv")):
        rows = list(csv.DictReader(Source(path).words.splitlines()))
        if rows and "seconds" in rows[0] and path.with_suffix(".md").is_file():  # else a table of series
            work = next((_numbers(rows, name) for name in WORK if name in rows[0]), [])
            found.append((path.stem, len(rows), _numbers(rows, "seconds"), sum(work)))
    if not found:
        raise DataError(f"no study is published in {folder}: there is no table of runs beside a page")
    if len(found) > 1:
        seconds = [time for _, _, times, _ in found for time in times]
        found.append(("all", sum(runs for _, runs, _, _ in found), seconds, sum(work for *_, work in found)))
    return [
        [name, str(runs), f"{sum(times) / 60:.1f}", f"{work / 60:.1f}", f"{max(times):.0f}" if times else NONE]
        for name, runs, times, work in found
    ]


def page(folder: Path) -> str:
    """The table as a page of that folder, `RUNTIMES`."""
    lines = [ABOUT, _line(HEADINGS), "|" + "---|" * len(HEADINGS)]
    for name, *figures in runtimes(folder):
        lines.append(_line([f"[{name}]({name}.md)" if (folder / f"{name}.md").is_file() else name, *figures]))
    return "\n".join(lines) + "\n"


def write_runtimes(folder: Path) -> Path:
    """Write the page; returns its path."""
    path = folder / RUNTIMES
    path.write_text(page(folder), "utf-8")
    return path


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _numbers(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name]]
