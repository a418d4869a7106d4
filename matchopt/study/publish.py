"""Everything a study leaves for people: page, table, every run, series over epochs, plots."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matchopt.errors import MissingExtra
from matchopt.study.plots import draw
from matchopt.study.report import flat, markdown, runs_csv
from matchopt.study.study_file import Study

Record = Mapping[str, Any]


def publish(study: Study, records: Sequence[Record], folder: Path, scale: str = "cpu") -> list[Path]:
    """Write `NAME.md`, `NAME.csv`, `NAME-series.csv` where there are series, and one SVG for every plot.

    Without matplotlib the plots are left out.

    Returns
    -------
    list of Path
        the files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = f"matchopt reproduce {study.name}" + (f" --scale {scale}" if scale != "cpu" else "")
    written = [
        _write(folder / f"{study.name}.md", markdown(study, records, scale, command)),
        _write(folder / f"{study.name}.csv", runs_csv(records)),
    ]
    series = series_csv(study, records)
    if series:
        written.append(_write(folder / f"{study.name}-series.csv", series))
    for plot in study.plots:
        try:
            written.append(_write(folder / f"{study.name}-{plot.name}.svg", draw(study, plot, records)))
        except MissingExtra:
            break
    return written


def series_csv(study: Study, records: Sequence[Record]) -> str:
    """One line per run and epoch; empty where no plot is over epochs."""
    wanted = list(dict.fromkeys(y for plot in study.plots if plot.x == "epoch" for y in plot.y.split()))
    shown = [*study.by, *(name for name in ("seed", "hardware_seed") if any(name in record for record in records))]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*shown, "epoch", *wanted])
    empty = True
    for record in records:
        series = record.get("series", {})
        line = flat(record)
        for epoch in range(max((len(series.get(name, [])) for name in wanted), default=0)):
            values = [series.get(name, []) for name in wanted]
            cells = [values_of[epoch] if epoch < len(values_of) else None for values_of in values]
            figures = ("" if cell is None else f"{cell:.5g}" for cell in cells)
            writer.writerow([*(line.get(name, "") for name in shown), epoch + 1, *figures])
            empty = False
    return "" if empty else out.getvalue()


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path
