"""The table of a study: means over repetitions, as CSV for programs and Markdown for people."""

import csv
import io
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from matchopt.grid.task import ERROR
from matchopt.study.study_file import Study
from matchopt.terminal.figures import NONE

PERCENT = ("connectivity", "validation", "test", "target_validation", "target_test", "gap",
           "phase_validation", "phase_connectivity", "final_connectivity")  # fmt: skip
Record = Mapping[str, Any]


def runs_csv(records: Sequence[Record]) -> str:
    """Every run on a line of its own; series and texts of several lines are left out."""
    rows = [flat(record) for record in records]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({n: f"{v:.6g}" if isinstance(v, float) else v for n, v in row.items()} for row in rows)
    return out.getvalue()


def flat(record: Record) -> dict[str, Any]:
    """A record as one line: no series, no key, lists as text."""
    return {
        name: " ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in record.items()
        if name not in ("key", "series") and not isinstance(value, dict)
    }


def rows_of(study: Study, records: Sequence[Record]) -> dict[tuple[str, ...], list[Record]]:
    """The runs behind each row of the table, by what its columns `by` say."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        found.setdefault(tuple(_cell(record.get(name)) for name in study.by), []).append(record)
    return found


def table(study: Study, records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: one row for each combination of the columns `by`, means and spreads of the columns `show`.

    The spread is the sample standard deviation over the repetitions, whose number is in the column "runs".
    """
    headings = [*study.by, "runs", *(f"{name} %" if name in PERCENT else name for name in study.show)]
    rows = []
    for group, members in rows_of(study, records).items():
        good = [member for member in members if ERROR not in member]
        runs = str(len(good)) + (f" ({len(members) - len(good)} failed)" if len(good) < len(members) else "")
        rows.append([*group, runs, *(mean_and_deviation([m.get(name) for m in good], name) for name in study.show)])
    return headings, rows


def aligned(study: Study, headings: Sequence[str], rows: Sequence[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table for `matchopt.terminal.table.print_table`: figures to the right, lines between groups of rows."""
    plain = len(study.by)
    names = [*headings[:plain], *(f">{name}" for name in headings[plain:])]
    found: list[list[str]] = []
    for row in rows:
        if plain > 1 and found and found[-1][0] != row[0]:
            found.append([])
        found.append(row)
    return names, found


def correlations(study: Study, records: Sequence[Record]) -> list[str]:
    """One line for each pair of columns: Spearman's rank correlation over all runs."""
    lines = []
    for first, second in study.correlations:
        pairs = [(r[first], r[second]) for r in records if _is_number(r.get(first)) and _is_number(r.get(second))]
        if len(pairs) > 2:
            coefficient = rank_correlation(pairs)
            lines.append(f"Rank correlation of {first} and {second}: {coefficient:.3f} over {len(pairs)} runs.")
    return [*lines, ""] if lines else []


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's coefficient, -1 .. 1; NaN where one side is constant."""
    from scipy.stats import spearmanr

    first, second = zip(*pairs, strict=True)
    varies = len(set(first)) > 1 and len(set(second)) > 1  # where not, scipy warns
    return float(spearmanr(first, second).statistic) if varies else math.nan


def mean_and_deviation(values: Sequence[Any], name: str) -> str:
    """Mean and sample standard deviation as text; shares in percent."""
    figures = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if not figures:
        texts = Counter(str(value) for value in values if value is not None)
        missing = [f"{len(values) - texts.total()} without"] if texts and texts.total() < len(values) else []
        return ", ".join([*sorted(texts), *missing]) or NONE
    scale = 100.0 if name in PERCENT else 1.0
    mean = scale * math.fsum(figures) / len(figures)
    spread = scale * statistics.stdev(figures) if len(figures) > 1 else None
    digits = 2 if name in PERCENT else 3 if abs(mean) < 1 else 1
    return f"{mean:.{digits}f}" + ("" if spread is None else f" ±{spread:.{digits}f}")


def markdown(study: Study, records: Sequence[Record], scale: str, command: str) -> str:
    """The page of a study: what was asked, the table, what is published, the plots and how to make it again."""
    headings, rows = table(study, records)
    lines = [f"# {study.title}", ""]
    lines += [study.about.strip(), ""] if study.about.strip() else []
    lines += ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(row) + " |" for row in rows] + [""]
    if study.published:
        lines += ["Published, for comparison:", ""]
        for entry in study.published:
            at = ", ".join(f"{name} {value}" for name, value in entry.at.items())
            lines.append(f"- {entry.label} ({at}): {entry.column} {entry.value} ({entry.source})")
        lines.append("")
    lines += correlations(study, records)
    lines += [f"![{plot.title}]({study.name}-{plot.name}.svg)" for plot in study.plots]
    seeds = sorted({str(record[name]) for record in records for name in ("seed", "hardware_seed") if name in record})
    failed = [record for record in records if ERROR in record]
    lines += ["", f"Settings: {scale}. Seeds: {', '.join(seeds) or 'none'}. Means ± sample standard deviation. "
              f"Every run: `{study.name}.csv`. Made by `{command}`."]  # fmt: skip
    lines += [f"Failed: {record[ERROR]}" for record in failed]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _cell(value: Any) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
