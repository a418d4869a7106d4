"""Runs a study: its settings become tasks of a grid, its records come back with what tables tell runs apart by."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from matchopt.errors import InvalidOption, UnknownName
from matchopt.grid.engine import is_done, run_grid
from matchopt.grid.mapping import SHIPPED, MappingRun
from matchopt.grid.mapping import Mapping as MappingTask
from matchopt.grid.own import NetworkFiles, OwnChip, OwnNetwork
from matchopt.grid.records import ResultLog
from matchopt.grid.task import ERROR, GridTask, Place
from matchopt.grid.training import Training, TrainingRun
from matchopt.plugins import load_plugins
from matchopt.run.stages import stage_options
from matchopt.settings import read_object, read_options
from matchopt.study.study_file import LABEL, Study

Made = TypeVar("Made")
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
    runs, own = study.runs[scale], Own.of(study)
    tasks = [task_of(study, settings, place, own) for settings in runs]

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


class Own(NamedTuple):
    """Networks and chips in files of the study's author."""

    networks: Mapping[str, OwnNetwork]
    chips: Mapping[str, OwnChip]

    @classmethod
    def of(cls, study: Study) -> "Own":
        """As the files are now; raises MatchoptError naming what cannot be read in them."""
        told = {
            name: read_object(NetworkFiles, settings, f"targets.{name}", InvalidOption)
            for name, settings in study.targets.items()
            if "file" in settings
        }
        networks = {name: OwnNetwork.found(files, study.folder) for name, files in told.items()}
        chips = {name: OwnChip.found(files, study.folder) for name, files in study.chips.items()}
        for network in networks.values():
            network.read()
        for chip in chips.values():
            chip.read()
        return cls(networks, chips)


def task_of(
    study: Study, settings: Mapping[str, Any], place: Place, files: Own | None = None
) -> Training | MappingTask:
    """The task that these settings of a run describe; `files` spares reading the study's files anew.

    Raises UnknownName or InvalidOption when they are no settings of a run of this study.
    """
    given = {name: value for name, value in settings.items() if name != LABEL}
    if study.kind == "training":
        return Training(_trained(given, place), place)
    run = _made(MappingRun, given)
    _check_stages(run, place)
    networks, chips = files or Own.of(study)
    chip = chips.get(run.chip)
    if run.target in networks:
        return MappingTask(run, place, network=networks[run.target], chip=chip)
    if run.target in study.targets:
        training = Training(_trained(study.targets[run.target], place), place, run.target)
        return MappingTask(run, place, training, chip=chip)
    if run.target not in SHIPPED:
        known = ", ".join([*study.targets, *SHIPPED])
        raise InvalidOption(f"target {run.target!r} is unknown (known: {known})")
    return MappingTask(run, place, chip=chip)


def _made(cls: type[Made], given: Mapping[str, Any]) -> Made:
    """A run from its settings; a setting `name.key` is the entry `key` of the table `name`."""
    values: dict[str, Any] = {}
    known = cls.__dataclass_fields__  # type: ignore[attr-defined]
    for name, value in given.items():
        setting, dot, key = name.partition(".")
        if setting not in known:
            raise UnknownName("setting", name, known)
        before = values.get(setting)
        more = {key: value} if dot else value
        values[setting] = {**before, **more} if isinstance(before, dict) and isinstance(more, dict) else more
    return read_object(cls, values, "settings", InvalidOption)


def _trained(given: Mapping[str, Any], place: Place) -> TrainingRun:
    """A run from its settings, the options of its trainer checked, where that is known here."""
    run = _made(TrainingRun, given)
    entry = load_plugins(place.plugin_files).trainers.get(run.method)
    if entry is not None:
        read_options(entry.cls, run.options, entry.cls.called(), text=False)
    return run


def _check_stages(run: MappingRun, place: Place) -> None:
    """Raise UnknownName or InvalidOption unless the options are those of the run's solvers, where these are known."""
    solvers, stages = load_plugins(place.plugin_files).solvers, [name.strip() for name in run.solver.split("+")]
    if all(name in solvers for name in stages):
        for name, options in zip(stages, stage_options(stages, run.options), strict=True):
            read_options(solvers[name].cls, options, solvers[name].cls.called(), text=False)


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
