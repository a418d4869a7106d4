"""Runs a study: every run once, several at a time, each result on the disk as soon as it is there."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from matchopt.errors import InvalidOption, MatchoptError
from matchopt.grid.records import ResultLog, content_key
from matchopt.study.mapping import MappingRun, run_mapping
from matchopt.study.place import Place
from matchopt.study.settings import settings_of
from matchopt.study.study_file import LABEL, Study
from matchopt.study.targets import TargetFiles
from matchopt.study.training import TrainingRun, run_training

Notify = Callable[[int, int, str], None]  # runs done, runs in all, what happened last
ERROR = "error"


@dataclass(frozen=True)
class Outcome:
    """What running a study led to.

    Parameters
    ----------
    records : one per run, in the order of the study: its settings and its figures, or its error.
    reused : how many an earlier run had left.
    """

    records: tuple[Mapping[str, Any], ...]
    reused: int

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """The records that hold an error instead of figures."""
        return [record for record in self.records if ERROR in record]


def run_study(
    study: Study,
    folder: Path,
    *,
    scale: str = "cpu",
    jobs: int = 1,
    device: str = "cpu",
    plugin_files: Sequence[Path] = (),
    notify: Notify | None = None,
) -> Outcome:
    """Run what `folder` does not hold yet.

    Parameters
    ----------
    study : what to run.
    folder : gets `results.jsonl`, checkpoints of trainings under way, and shared targets.
    scale : "cpu", or "paper" for the published settings.
    jobs : runs at a time, each in a process of its own; accuracies do not depend on it, times do.
    device : where networks are trained, such as "cpu" or "cuda".
    plugin_files : plugin files to load besides the installed plugins.
    notify : called after every run.

    Raises
    ------
    UnknownName, InvalidOption
        when a run's settings do not fit; nothing is run then.
    """
    runs = study.runs[scale]
    for settings in runs:
        check_settings(study, settings)
    place = Place(folder, device, tuple(plugin_files), max(1, (os.cpu_count() or 1) // jobs))
    log = ResultLog(folder / "results.jsonl")
    shared = {"kind": study.kind, "targets": dict(study.targets)}
    keys = [content_key({**shared, "settings": dict(settings)}) for settings in runs]
    missing = [n for n, key in enumerate(keys) if (found := log.get(key)) is None or ERROR in found]
    reused = len(runs) - len(missing)
    if missing and study.kind == "mapping":
        TargetFiles(study.targets, place).make({str(runs[n].get("target", "row8")) for n in missing})
    for done, (number, record) in enumerate(_results(study, runs, missing, place, jobs), start=reused + 1):
        log.append(keys[number], record)
        if notify is not None:
            notify(done, len(runs), _said(record))
    pairs = ((settings, log.get(key)) for settings, key in zip(runs, keys, strict=True))
    return Outcome(tuple(_filled(study, settings, record) for settings, record in pairs if record is not None), reused)


def _filled(study: Study, settings: Mapping[str, Any], record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with the defaults of settings that tables and plots tell runs apart by."""
    made = _made(study, settings)
    names = {*study.by, *(name for plot in study.plots for name in (plot.x, plot.lines, plot.panels, *plot.where))}
    return {name: getattr(made, name) for name in sorted(names - set(record)) if hasattr(made, name)} | dict(record)


def check_settings(study: Study, settings: Mapping[str, Any]) -> None:
    """Raise UnknownName or InvalidOption unless these are settings of a run of this study."""
    made = _made(study, settings)
    if isinstance(made, MappingRun):
        made.check_target(study.targets)


def _results(
    study: Study, runs: Sequence[Mapping[str, Any]], missing: Sequence[int], place: Place, jobs: int
) -> "list[tuple[int, dict[str, Any]]] | Any":
    """Numbers and records of the missing runs, as they come."""
    if jobs < 1:
        raise InvalidOption(f"jobs must be >= 1, found {jobs}")
    if jobs == 1 or len(missing) < 2:
        for number in missing:
            yield number, perform_run(study, runs[number], place)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent)
    try:
        futures: dict[Future[dict[str, Any]], int] = {}
        for number in missing:
            futures[pool.submit(perform_run, study, runs[number], place)] = number
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:  # whatever interrupts this, no process works on
        for process in list((pool._processes or {}).values()):  # noqa: SLF001  # the pool has no public way to stop one
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def perform_run(study: Study, settings: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """One run: its settings and its figures, or the sentence that says why there are none."""
    try:
        made = _made(study, settings)
        found = run_training(made, place) if isinstance(made, TrainingRun) else run_mapping(made, study.targets, place)
    except (MatchoptError, ValueError, FloatingPointError) as cause:
        found = {ERROR: " ".join(str(cause).split())}
    return {**settings, **found}


def _made(study: Study, settings: Mapping[str, Any]) -> TrainingRun | MappingRun:
    """The settings of one run, checked."""
    own = {name: value for name, value in settings.items() if name != LABEL}
    return settings_of(TrainingRun, own) if study.kind == "training" else settings_of(MappingRun, own)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _said(record: Mapping[str, Any]) -> str:
    words = [
        str(record[name]) for name in (LABEL, "method", "solver", "connectivity", "seed") if record.get(name, "") != ""
    ]
    return " ".join(words) + (f": {record[ERROR]}" if ERROR in record else "")
