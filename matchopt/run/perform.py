"""What happens in one solve: the worker is started, heard out, judged and recorded."""

import contextlib
import functools
import importlib.metadata
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from matchopt.checker import check
from matchopt.contract import printable
from matchopt.errors import InvalidSolution
from matchopt.instances import Instance
from matchopt.parts import Parts
from matchopt.run import warm
from matchopt.run.answers import Answer, read_answer, read_ending, read_number, read_solution
from matchopt.run.judge import Judge, Verdict, certified
from matchopt.run.process import Stopped, WorkerProcess
from matchopt.run.record import Incumbent, Number, Run, gap_of
from matchopt.run.source import SolverLabel, SolverSource
from matchopt.run.stages import sources_of
from matchopt.run.task import Task
from matchopt.run.watchdog import MEMORY_SHARE, free_memory
from matchopt.solver import Limit, Solver, Status
from matchopt.trainer_contract import TrainerContract

CHECK_SECONDS = 0.1  # of one batch of incumbents; past it only the batch's last is checked, so the solver need not wait
OnIncumbent = Callable[[Incumbent], None]


def perform(
    task: Task,
    *,
    slots: int = 1,
    cancel: threading.Event | None = None,
    on_incumbent: OnIncumbent | None = None,
    keep_on_interrupt: bool = False,
    source: SolverSource | None = None,
) -> Run:
    """Perform a task of one solver; the arguments are those of `solve` and `solve_all`.

    Parameters
    ----------
    source : of a stage of a pipeline, whose start has been checked; None for a task of its own.

    Raises
    ------
    MatchoptError
        when the task cannot start: see `solve`.
    """
    began = time.monotonic()
    memory = task.allowance.memory or int(free_memory() * MEMORY_SHARE / slots)
    judge = Judge(task.instance)
    warm.server.begin()  # it starts up while this process prepares
    if source is None:
        (source,) = sources_of(task)
        check_start(task)
    request = _request(task, source, memory)
    most = _most_bytes(task.instance)
    with contextlib.closing(warm.ForkServer()) as own:
        for server in (None, own):  # where the first is lost, another that no solve shares
            clock = _Clock()
            with WorkerProcess(task.allowance.threads, memory, task.cold, most, server) as worker:
                worker.send(request)
                try:
                    answer = _listen(worker, judge, task, memory, clock, cancel, on_incumbent)
                except (KeyboardInterrupt, Stopped) as stop:
                    if isinstance(stop, KeyboardInterrupt) and not keep_on_interrupt:
                        raise
                    answer = Answer(Status.UNKNOWN, Limit.INTERRUPTED, message="interrupted", died=True)
            if not worker.lost or not answer.died:
                break
    verdict = judge.verdict(answer, clock.elapsed() or 0.0)
    if task.certify and answer.limit is not Limit.INTERRUPTED:
        verdict = _with_proof(task, verdict, keep_on_interrupt)
    return record(
        task,
        source.label,
        verdict,
        seconds=time.monotonic() - began,
        solver_seconds=clock.elapsed(),
        peak_memory=max(answer.peak, worker.watchdog.peak),
        refused=answer.refused,
        surrogate=answer.surrogate,
        stats=answer.stats,
        trace=tuple(judge.trace),
        versions=versions(source.cls),
        log=worker.log,
    )


def _with_proof(task: Task, verdict: Verdict, keep_on_interrupt: bool) -> Verdict:
    """The verdict with what can be proved about it."""
    try:
        return certified(task.instance, verdict, task.prove_seconds)
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
        return replace(verdict, message="; ".join(filter(None, ["the proof was interrupted", verdict.message])))


class _Clock:
    """The solver's clock, which is the host's: what a worker says of time counts only within it."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._ended: float | None = None

    def start(self) -> bool:
        """Start it; returns whether it stood."""
        stood = self._began is None
        self._began = time.monotonic() if stood else self._began
        return stood

    def stop(self) -> None:
        self._ended = time.monotonic()

    def elapsed(self) -> float | None:
        return None if self._began is None else (self._ended or time.monotonic()) - self._began


def _listen(
    worker: WorkerProcess,
    judge: Judge,
    task: Task,
    memory: int,
    clock: _Clock,
    cancel: threading.Event | None,
    on_incumbent: OnIncumbent | None,
) -> Answer:
    """Hear the worker out; returns its answer, or what its end says."""
    if task.certify:
        from matchopt.proofs.certify import prepare  # while the worker starts

        prepare(task.instance)
    with contextlib.closing(worker.batches(cancel)) as batches:
        for batch in batches:
            began = time.monotonic()
            last = max((n for n, message in enumerate(batch) if message.facts.get("type") == "incumbent"), default=-1)
            for number, message in enumerate(batch):
                if message.facts.get("type") == "started":
                    if clock.start():
                        worker.watchdog.arm(task.allowance.seconds)
                elif message.facts.get("type") != "incumbent":
                    clock.stop()
                    warm.server.hold(message.facts.get("held"))
                    return read_answer(message, task.instance, memory)
                elif number == last or time.monotonic() - began < CHECK_SECONDS:
                    wrong = _hear(message, judge, task.instance, clock, on_incumbent)
                    if wrong:
                        return Answer(Status.ERROR, message=wrong)
    clock.stop()
    return read_ending(worker, clock.elapsed(), memory)


def _hear(message: Parts, judge: Judge, instance: Instance, clock: _Clock, on_incumbent: OnIncumbent | None) -> str:
    """Check one incumbent; returns what is wrong with the message, empty if nothing is."""
    try:
        solution = read_solution(message, instance)
        bound, at = read_number(message.facts["bound"]), read_number(message.facts["at"])
        if solution is None:
            raise ValueError("it has no solution")
    except Exception as cause:  # as in `read_answer`
        return printable(f"the worker sent an incumbent that cannot be read: {type(cause).__name__}: {cause}")
    better = judge.incumbent(solution, bound, min(max(at, 0.0), clock.elapsed() or 0.0))
    if better is not None and on_incumbent is not None:
        on_incumbent(better)
    return ""


def _most_bytes(instance: Instance) -> int:
    """Most bytes of arrays that a solution can have: a number or two for each cell, connection, row or variable."""
    return 2**20 + 4 * sum(array.nbytes for array in instance.parts().arrays.values())


def _request(task: Task, source: SolverSource, memory: int) -> Parts:
    facts: dict[str, Any] = {
        "kind": task.instance.kind,
        "provenance": task.instance.provenance.facts(),
        "solver": source.facts(),
        "allowance": asdict(replace(task.allowance, memory=memory)),
        "seed": task.seed,
        "surrogate": task.surrogate,
    }
    content = {"instance": task.instance.parts()} | ({} if task.start is None else {"start": task.start.parts()})
    return Parts(facts) | Parts.merging(**content)


def check_start(task: Task) -> Number | None:
    """The objective of the start, None where there is no start.

    Raises
    ------
    InvalidSolution
        when it is infeasible.
    """
    if task.start is None:
        return None
    report = check(task.instance, task.start)
    if report.violations:
        raise InvalidSolution(f"start is infeasible: {report.violations[0].message}")
    return report.objective


def record(task: Task, label: SolverLabel, verdict: Verdict, **measured: Any) -> Run:
    """The record of a task: what was asked for, the verdict, and what was measured."""
    objective = None if verdict.best is None else verdict.best.objective
    return Run(
        instance=task.instance.name,
        digest=task.instance.digest,
        kind=task.instance.kind,
        solver=label.name,
        options=dict(label.options),
        distribution=label.distribution,
        version=label.version,
        seed=task.seed,
        allowance=task.allowance,
        objective=objective,
        gap=gap_of(objective, verdict.bound),
        solution=None if verdict.best is None else verdict.best.solution,
        **{name: value for name, value in vars(verdict).items() if name != "best"},
        **measured,
    )


def versions(cls: type[Solver] | type[TrainerContract]) -> dict[str, str]:
    """The versions behind the modules a solver or trainer needs and may use, from metadata; none is imported."""
    found = {module: _version(module.partition(".")[0]) for module in cls.needs}
    found |= {name: _installed(name) for name in getattr(cls, "may_use", ())}
    return {name: version for name, version in found.items() if version}


@functools.lru_cache
def _installed(package: str) -> str:
    """Name and version of what is installed, which reading costs milliseconds; else an empty text."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return f"{package} {importlib.metadata.version(package)}"
    return ""


@functools.lru_cache
def _version(package: str) -> str:
    if found := _installed(package):
        return found
    names = importlib.metadata.packages_distributions().get(package, [])  # slow: reads every list of files
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
