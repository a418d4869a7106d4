"""Runs a study: its settings become tasks of a grid, its records come back with what tables tell runs apart by."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.errors import InvalidOption
from matchopt.grid.engine import is_done, run_grid
from matchopt.grid.mapping import SHIPPED, MappingRun
from matchopt.grid.mapping import Mapping as MappingTask
from matchopt.grid.records import ResultLog
from matchopt.grid.task import ERROR, GridTask, Place
from matchopt.grid.training import Training, TrainingRun
from matchopt.study.settings import settings_of
from matchopt.study.study_file import LABEL, Study

Notify = Callable[[int, int, str], None]  # tasks done, tasks in all, what happened last


@dataclass(frozen=True)
class Outcome:
    """What running a study led to.

    Parameters
    ----------
    records : one per run, in the order of the study: its settings and its figures, or its error.
    reused : how many an earlier run had left.
    stale : how many results in the folder were made from other settings, versions, plugins or data: they are not used.
    """

    records: tuple[Mapping[str, Any], ...]
    reused: int
    stale: int = 0

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
    executor: Executor | None = None,
    notify: Notify | None = None,
) -> Outcome:
    """Run what `folder` does not hold yet.

    Parameters
    ----------
    study : what to run.
    folder : gets `results.jsonl`, checkpoints of trainings under way, and shared targets.
    scale : "cpu", or "paper" for the published settings.
    jobs : tasks at a time, each in a process of its own; accuracies do not depend on it, times do.
    device : where networks are trained, such as "cpu" or "cuda".
    plugin_files : plugin files to load besides the installed plugins.
    executor : performs the tasks instead of processes of this machine, such as a Dask client's; it must see `folder`.
    notify : called after every task.

    Raises
    ------
    UnknownName, InvalidOption
        when a run's settings do not fit; nothing is run then.
    FolderInUse
        when another run writes into `folder`.
    """
    place = Place(folder, device, tuple(plugin_files))
    runs = study.runs[scale]
    tasks = [task_of(study, settings, place) for settings in runs]

    def say(done: int, total: int, task: GridTask, record: Mapping[str, Any]) -> None:
        if notify is not None:
            notify(done, total, _said({**said.get(task.key, {LABEL: "a target network"}), **record}))

    said = {task.key: dict(settings) for task, settings in zip(tasks, runs, strict=True)}
    with ResultLog(folder / "results.jsonl") as log:
        reused = sum(is_done(task, log) for task in tasks)
        known = {key for task in tasks for key in (task.key, *(need.key for need in task.needs))}
        stale = sum(key not in known for key in log)
        found = run_grid(tasks, log, jobs=jobs, executor=executor, notify=say)
    records = (
        _filled(study, task, {**settings, **record}) for task, settings, record in zip(tasks, runs, found, strict=True)
    )
    return Outcome(tuple(records), reused, stale)


def task_of(study: Study, settings: Mapping[str, Any], place: Place) -> Training | MappingTask:
    """The task that these settings of a run describe.

    Raises
    ------
    UnknownName, InvalidOption
        when they are no settings of a run of this study.
    """
    own = {name: value for name, value in settings.items() if name != LABEL}
    if study.kind == "training":
        return Training(settings_of(TrainingRun, own), place)
    run = settings_of(MappingRun, own)
    if run.target in study.targets:
        return MappingTask(run, place, Training(settings_of(TrainingRun, study.targets[run.target]), place, run.target))
    if run.target not in SHIPPED:
        known = ", ".join([*study.targets, *SHIPPED])
        raise InvalidOption(f"target {run.target!r} is unknown (known: {known})")
    return MappingTask(run, place)


def _filled(study: Study, task: Training | MappingTask, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with the defaults of settings that tables and plots tell runs apart by."""
    names = {*study.by, *(name for plot in study.plots for name in (plot.x, plot.lines, plot.panels, *plot.where))}
    run = task.run
    return {name: getattr(run, name) for name in sorted(names - set(record)) if hasattr(run, name)} | dict(record)


def _said(record: Mapping[str, Any]) -> str:
    words = [
        str(record[name]) for name in (LABEL, "method", "solver", "connectivity", "seed") if record.get(name, "") != ""
    ]
    return " ".join(words) + (f": {record[ERROR]}" if ERROR in record else "")
