"""Results of benches: read from one folder or several, and written as tables."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matchopt.bench.course import RESULTS
from matchopt.bench.reference import TOLERANCE, drifts
from matchopt.errors import DataError, MissingExtra
from matchopt.formats.atomic import write_bytes
from matchopt.grid.records import results_in
from matchopt.grid.task import ERROR

Record = Mapping[str, Any]
COLUMNS = (
    "instance", "kind", "demands", "solver", "seed", "status", "limit", "proof", "objective", "bound", "bound_proved",
    "gap", "solver_seconds", "seconds", "target_seconds", "best_value", "best_bound", "peak_memory", "drift", "spoiled",
    "message", "error", "time_limit", "iterations", "threads", "memory_limit", "prove_seconds", "target_gap",
    "accuracy_test", "accuracy_validation", "accuracy_target_test", "accuracy_target_validation", "accuracy_spread",
    "versions", "digest", "machine", "key",
)  # fmt: skip


def read_results(folders: Iterable[Path | str]) -> list[dict[str, Any]]:
    """The records of several folders as one: a run that several of them hold counts once.

    Of runs that differ in versions alone, as after an update, the one that comes last counts. A bench may be under way
    in a folder. Each record gets "drift", how much slower than usual its machine was, and "spoiled", whether its times
    are not to be used for that; see `drifts`.

    Raises
    ------
    DataError
        for a folder without results.
    FormatError
        for a line that is no result.
    """
    found: dict[str, dict[str, Any]] = {}
    for folder in map(Path, folders):
        path = folder / RESULTS
        if not path.is_file():
            raise DataError(f"{folder} holds no results of a bench: there is no {RESULTS} in it")
        for key, record in results_in(path.read_bytes(), path).items():
            if ERROR in found.get(key, {ERROR: ""}):
                found[key] = record
    latest = {_identity(record): record for record in found.values()}
    records = list(latest.values())
    for record, drift in zip(records, drifts(records), strict=True):
        record |= {"drift": drift, "spoiled": drift is not None and drift > TOLERANCE}
    return records


def rows_of(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The records as flat rows with `COLUMNS`; what a run does not have is None."""
    rows = []
    for record in records:
        made = record.get("made_from", {})
        versions = ", ".join(f"{name} {text}" for name, text in sorted(made.get("origin", {}).items()))
        flat = {**made.get("limits", {}), **record, "versions": versions}
        flat |= {f"accuracy_{name}": value for name, value in record.get("accuracy", {}).items()}
        flat["demands"] = " ".join(record.get("demands", ()))
        rows.append({name: flat.get(name) for name in COLUMNS})
    return rows


def as_csv(records: Sequence[Record]) -> str:
    """The rows as CSV, with all digits."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows_of(records))
    return out.getvalue()


def write_tables(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write `results.csv`, and where pyarrow is installed `results.parquet`, which also holds the traces."""
    written = [folder / "results.csv"]
    write_bytes(written[0], as_csv(records).encode())
    try:
        content = as_parquet(records)
    except MissingExtra:
        return written
    write_bytes(folder / "results.parquet", content)
    return [*written, folder / "results.parquet"]


def write_regimes(rows: Sequence[Record], folder: Path) -> Path:
    """Write rows of `matchopt.bench.standing.regimes` as `regimes.csv`."""
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows({n: f"{v:.4g}" if isinstance(v, float) else v for n, v in row.items()} for row in rows)
    write_bytes(folder / "regimes.csv", out.getvalue().encode())
    return folder / "regimes.csv"


def as_parquet(records: Sequence[Record]) -> bytes:
    """The rows and their traces as a Parquet file. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise MissingExtra("writing Parquet", "pyarrow", "parquet") from None
    rows = rows_of(records)
    kinds = dict.fromkeys(("objective", "bound", "best_value", "best_bound"), pyarrow.float64())  # some are integers
    columns = {name: pyarrow.array([row[name] for row in rows], kinds.get(name)) for name in COLUMNS}
    entries = [[[e[0], e[1]] for e in record.get("trace") or ()] for record in records]
    columns["trace"] = pyarrow.array(entries, pyarrow.list_(pyarrow.list_(pyarrow.float64())))
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


def _identity(record: Record) -> str:
    """A run without the versions that made it."""
    made = record.get("made_from", {})
    return str({name: value for name, value in made.items() if name != "origin"})
