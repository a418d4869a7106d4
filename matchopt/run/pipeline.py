"""A pipeline: solvers one after the other, each in a process of its own, each beginning from the best so far."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from matchopt.errors import MatchoptError, PluginError
from matchopt.instances import Solution
from matchopt.plugin_files import refuse_while_importing
from matchopt.plugins import load_plugins
from matchopt.run.choice import AUTO, choose
from matchopt.run.cold import nesting
from matchopt.run.conclusion import conclude
from matchopt.run.judge import Verdict
from matchopt.run.perform import OnIncumbent, check_start, perform, record
from matchopt.run.record import Incumbent, Number, Run
from matchopt.run.source import SolverLabel
from matchopt.run.stages import joined, sources_of, stage_limits
from matchopt.run.task import Task
from matchopt.solver import Limit, Status

MOST_NESTED = 4  # solvers that solve by others, each of which costs processes
SHORTEST = 0.01  # seconds for which a stage is started


def perform_stages(
    task: Task,
    *,
    slots: int = 1,
    cancel: threading.Event | None = None,
    on_incumbent: OnIncumbent | None = None,
    keep_on_interrupt: bool = False,
) -> Run:
    """Perform a task of one solver or of a pipeline; the arguments are those of `solve` and `solve_all`.

    Raises
    ------
    MatchoptError
        when the task cannot start: see `solve`. All stages are looked up before the first one starts.
    """
    refuse_while_importing()
    if nesting() >= MOST_NESTED:
        raise PluginError(f"a solver solves within a solver, {MOST_NESTED} deep; does one of them call itself?")
    if task.solver == AUTO:
        found, plainer = choose(task.instance, load_plugins(task.plugin_files))
        named = replace(task, solver=found.solver, surrogate=task.surrogate or plainer)
        run = perform_stages(
            named, slots=slots, cancel=cancel, on_incumbent=on_incumbent, keep_on_interrupt=keep_on_interrupt
        )
        text = f"{AUTO} chose {found.solver}: {found.because}"
        return replace(run, message="; ".join(filter(None, [text, run.message])))
    if len(task.stages) == 1 and not task.stage_limits:
        return perform(task, slots=slots, cancel=cancel, on_incumbent=on_incumbent, keep_on_interrupt=keep_on_interrupt)
    pipeline = Pipeline(task, slots, cancel, on_incumbent)
    interrupted = False
    try:
        pipeline.run(keep_on_interrupt)
    except KeyboardInterrupt:
        if not keep_on_interrupt:
            raise
        interrupted = True
    try:
        return pipeline.record(interrupted)
    except KeyboardInterrupt:  # in the proof
        if not keep_on_interrupt:
            raise
        return pipeline.record(interrupted, prove=False)


def perform_guarded(task: Task, slots: int, cancel: threading.Event | None) -> Run:
    """Perform a task; what would be raised becomes a Run, so that one bad task costs one row."""
    try:
        return perform_stages(task, slots=slots, cancel=cancel)
    except Exception as cause:
        text = str(cause) if isinstance(cause, MatchoptError) else f"{type(cause).__name__}: {cause}"
        return record(
            task, SolverLabel("+".join(task.stages), task.options), Verdict(Status.ERROR, None, None, None, None, text)
        )


def stage_seconds(left: float, number: int, limits: Sequence[Number | None]) -> float:
    """The seconds that a stage may take of those that are left.

    A stage with a limit of its own takes that; the others share evenly what later limits do not need. A stage that
    ends early so passes its time on, and the last takes everything.

    Parameters
    ----------
    left : seconds left for this stage and all after it, inf for no limit.
    number : of the stage, from 0.
    limits : own limit of every stage, None for none.
    """
    own = limits[number]
    if own is not None:
        return min(float(own), left)
    later = limits[number + 1 :]
    unlimited = 1 + sum(limit is None for limit in later)
    share = (left - sum(limit for limit in later if limit is not None)) / unlimited
    return share if share > 0 else left / (1 + len(later))  # an earlier stage overran: all are cut


class Pipeline:
    """One run of a pipeline.

    Parameters
    ----------
    task, slots, cancel, on_incumbent : as in `perform_stages`.
    """

    def __init__(
        self, task: Task, slots: int, cancel: threading.Event | None, on_incumbent: OnIncumbent | None
    ) -> None:
        self._began = time.monotonic()
        self._task, self._slots, self._cancel, self._hear = task, slots, cancel, on_incumbent
        self._sources = sources_of(task)
        self._limits = stage_limits(task)
        self._clock = 0.0  # seconds of the solvers' clocks
        self._runs: list[Run] = []
        self._trace: list[tuple[float, Number, float | None]] = []
        self._best: Solution | None = task.start
        self._objective = check_start(task)
        self._best_stage = 0  # of the best solution, from 1; 0 is the start

    def run(self, keep_on_interrupt: bool) -> None:
        """Run the stages in order; after an interrupt no further one."""
        for number, source in enumerate(self._sources):
            allowed = self._task.allowance.seconds
            left = math.inf if allowed is None else allowed - self._clock
            seconds = stage_seconds(left, number, self._limits)
            if seconds < SHORTEST:
                text = "not started: the stages before it took all the time"
                self._keep(record(self._stage(number, None), source.label, _nothing(text)))
                continue
            run = perform(
                self._stage(number, seconds),
                slots=self._slots,
                cancel=self._cancel,
                on_incumbent=self._listener(),
                keep_on_interrupt=keep_on_interrupt,
                source=source,
            )
            self._keep(run)
            if run.limit is Limit.INTERRUPTED:
                return

    def record(self, interrupted: bool, *, prove: bool = True) -> Run:
        """The record of the whole: the best solution by the checker's objective, proved if it can be.

        Parameters
        ----------
        interrupted : whether Ctrl-C came between two stages.
        prove : look for a proof, if the task wants one; False after Ctrl-C stopped that.
        """
        verdict = conclude(self._task, self._runs, self._best, self._objective, interrupted, prove)
        return record(
            self._task,
            joined([source.label for source in self._sources]),
            verdict,
            seconds=time.monotonic() - self._began,
            solver_seconds=self._clock,
            peak_memory=max((run.peak_memory for run in self._runs), default=0),
            refused=bool(self._runs) and all(run.refused for run in self._runs),
            stats={"best_stage": self._best_stage} if self._best is not None else {},
            trace=tuple(self._trace),
            versions={name: version for run in self._runs for name, version in run.versions.items()},
            log="".join(f"[stage {number}, {run.solver}]\n{run.log}\n" for number, run in _logged(self._runs)),
            stages=tuple(self._runs),
        )

    def _stage(self, number: int, seconds: float | None) -> Task:
        """The task of one stage: from the best so far, without a proof, which the whole gets at its end."""
        limit = None if seconds is None or math.isinf(seconds) else seconds
        name = self._task.stages[number]
        return replace(
            self._task,
            solver=name,
            options={},  # they are in the source
            stage_limits={},
            allowance=replace(self._task.allowance, seconds=limit),
            start=self._best,
            certify=False,
            surrogate=True,
        )

    def _listener(self) -> OnIncumbent | None:
        """Hands on what is better than everything before this stage, by the pipeline's clock."""
        hear, offset, least = self._hear, self._clock, self._objective
        if hear is None:
            return None

        def listen(found: Incumbent) -> None:
            if least is None or found.objective < least:
                hear(replace(found, seconds=offset + found.seconds))

        return listen

    def _keep(self, run: Run) -> None:
        """Add the record of a stage, and its solution if it is the best.

        Of equally good ones the later counts: what a stage set up besides, such as biases under an objective that does
        not see them, is kept.
        """
        for seconds, objective, bound in run.trace:
            if self._objective is None or objective < self._objective:
                self._trace.append((self._clock + seconds, objective, bound))
                self._objective = objective
        if run.solution is not None and run.objective == self._objective:
            self._best, self._best_stage = run.solution, len(self._runs) + 1
        self._clock += run.solver_seconds or 0.0
        self._runs.append(run)


def _nothing(text: str) -> Verdict:
    return Verdict(Status.UNKNOWN, Limit.TIME, None, None, None, text)


def _logged(runs: Sequence[Run]) -> list[tuple[int, Run]]:
    return [(number, run) for number, run in enumerate(runs, start=1) if run.log]
