"""Running a bench: what is not on the disk yet, with word of what runs, what is left and how long that takes."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchopt.bench.plan import BenchPlan, as_settings
from matchopt.bench.task import REFUSED, BenchTask
from matchopt.grid.engine import is_done, run_grid
from matchopt.grid.records import ResultLog
from matchopt.grid.task import ERROR, GridTask, Place

RESULTS = "results.jsonl"
OVERHEAD = 1.0  # seconds that a run takes beyond the solver's clock, before any has said so
Record = dict[str, Any]


@dataclass(frozen=True)
class News:
    """How a bench stands after a run.

    Parameters
    ----------
    done, total : runs that are finished, and all that were to be done.
    title : the run that has just finished.
    record : what came of it.
    running : what is under way.
    best : the best objective on that run's instance so far, None without one.
    seconds_left : about how long the rest takes.
    """

    done: int
    total: int
    title: str
    record: Record
    running: tuple[str, ...]
    best: float | None
    seconds_left: float


@dataclass(frozen=True)
class BenchOutcome:
    """What running a bench led to.

    Parameters
    ----------
    records : one for each instance, variant and seed; what was refused has the status "refused".
    reused : how many an earlier run had left.
    stale : results in the folder that are of no run of this bench.
    """

    records: tuple[Record, ...]
    reused: int
    stale: int

    @property
    def failed(self) -> list[Record]:
        """The records of runs that could not be performed, with the reason under "error"."""
        return [record for record in self.records if ERROR in record]


def run_bench(
    plan: BenchPlan,
    folder: Path | str,
    *,
    jobs: int = 1,
    plugin_files: Sequence[Path] = (),
    executor: Executor | None = None,
    notify: Callable[[News], None] | None = None,
) -> BenchOutcome:
    """Run what `folder` does not hold yet; every result is on the disk, in `results.jsonl`, as soon as it is there.

    Results lie under keys of all that made them: the instance's file, solver, options, seed, limits and versions. The
    same call again, or after `kill -9`, performs what is missing. What a solver refuses is not run. The best solution
    of each instance is kept in the folder `solutions`.

    Parameters
    ----------
    plan : what to run.
    folder : gets the results.
    jobs : runs at a time, each in a process of its own; seconds mean little when there are more than cores.
    plugin_files : plugin files to load besides the installed plugins.
    executor : performs the runs instead of processes of this machine, such as a Dask client's.
    notify : called after every run.

    Raises
    ------
    FolderInUse
        when another run writes into `folder`.
    OSError
        when nothing can be written there, or no more; what is finished by then stays.
    """
    place = Place(Path(folder), plugin_files=tuple(plugin_files))
    limits = as_settings(plan)
    tasks = [
        BenchTask(instance, variant, seed, limits, place, plan.accuracy)
        for seed in range(plan.seeds)
        for instance in plan.instances
        for variant in plan.variants  # by turns, so that a slower hour falls on all of them
    ]
    with ResultLog(place.folder / RESULTS) as log:
        reused, keys = sum(is_done(task, log) for task in tasks), {task.key for task in tasks}
        stale = sum(key not in keys for key in log)
        _note_refusals(tasks, log)
        course = _Course(tasks, log, jobs, notify)
        found = run_grid(tasks, log, jobs=jobs, executor=executor, notify=course.heard, begun=course.begun)
    records = (course.about(task) | record for task, record in zip(tasks, found, strict=True))
    return BenchOutcome(tuple(records), reused, stale)


def _note_refusals(tasks: Sequence[BenchTask], log: ResultLog) -> None:
    """Record what will be refused, each pair asked once."""
    known: dict[tuple[str, str], Record | None] = {}
    noted: dict[str, Record] = {}
    for task in tasks:
        if is_done(task, log):
            continue
        pair = task.instance.name, task.variant.label
        if pair not in known:
            known[pair] = task.refusal()
        found = known[pair]
        if found is not None:
            noted[task.key] = found | {"seed": task.seed, "made_from": task.made_from}
    log.extend(noted)


class _Course:
    """Counts, best values and times while a bench runs."""

    def __init__(
        self, tasks: Sequence[BenchTask], log: ResultLog, jobs: int, notify: Callable[[News], None] | None
    ) -> None:
        self._jobs, self._notify = jobs, notify
        self._running: dict[str, str] = {}
        self._left = {task.key: task for task in tasks if not is_done(task, log)}
        self._spent: dict[str, list[float]] = {}  # by variant
        self._best: dict[str, float] = {}
        for key in log:
            self._improve(log.get(key) or {})

    @staticmethod
    def about(task: BenchTask) -> Record:
        """What the record of a run that failed does not say itself."""
        return {"instance": task.instance.name, "solver": task.variant.label, "seed": task.seed}

    def begun(self, task: GridTask) -> None:
        """A run has begun."""
        assert isinstance(task, BenchTask)
        self._running[task.key] = task.title

    def heard(self, done: int, total: int, task: GridTask, record: Record) -> None:
        """A run is finished and on the disk."""
        assert isinstance(task, BenchTask)
        self._running.pop(task.key, None)
        self._left.pop(task.key, None)
        self._spent.setdefault(task.variant.label, []).append(record.get("seconds") or 0.0)
        self._improve(record)
        if self._notify is not None:
            best = self._best.get(task.instance.name)
            running = tuple(self._running.values())
            self._notify(News(done, total, task.title, record, running, best, self._seconds_left()))

    def _improve(self, record: Record) -> None:
        value, name = record.get("objective"), str(record.get("instance"))
        if value is not None:
            self._best[name] = min(value, self._best.get(name, value))

    def _seconds_left(self) -> float:
        """By the mean of each variant so far, or its time limit."""
        total = 0.0
        for task in self._left.values():
            spent = self._spent.get(task.variant.label)
            total += sum(spent) / len(spent) if spent else task.seconds + OVERHEAD
        return total / self._jobs


def said(news: News) -> str:
    """A line on how it stands."""
    record = news.record
    if ERROR in record:
        outcome = str(record[ERROR])
    elif record["status"] == REFUSED:
        outcome = f"refused: {record['message']}"
    elif record.get("objective") is None:
        outcome = f"{record['status']}: {record['message']}"
    else:
        best = "" if news.best is None or record["objective"] <= news.best else f" (best {news.best:.6g})"
        outcome = f"{record['objective']:.6g}{best}, {record['status']}"
    return f"{news.done} of {news.total}, {_clock(news.seconds_left)} to go: {news.title}: {outcome}"


def _clock(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return time.strftime("%H:%M h", time.gmtime(seconds)) if seconds < 86_400 else f"{seconds / 86_400:.1f} days"
