"""A law, and the case it is asked about: every solve of the conformance kit goes through here."""

import inspect
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np

from matchopt.checker import check
from matchopt.contract import proper_result, raised, refusal
from matchopt.errors import MatchoptError, PluginError
from matchopt.instances import Instance, Solution
from matchopt.reduce import Reduction, reduction
from matchopt.solver import Limits, Result, Solver, Status
from matchopt.testing.tiny import TinyInstance

KIT_VERSION = 2  # rises with every law added or sharpened; `Law.since` says from which version a law is asked
PATIENCE = 20.0  # seconds for a tiny instance; a solver that needs more is not told apart from one that hangs
SEED = 1

_prepared: WeakValueDictionary[int, Solver] = WeakValueDictionary()


class Broken(Exception):
    """The law is broken; the text says what was claimed and what is true."""


class Skipped(Exception):
    """The law says nothing here; the text says why."""


@dataclass(frozen=True)
class Trial:
    """What one call of `solve` did.

    Parameters
    ----------
    result : what it returned; a `Result`, or whatever a broken solver returns.
    incumbents : the solutions and bounds it reported, in order.
    steps : passes counted by `limits.steps`.
    seconds : wall-clock time of the call.
    changed : whether the instance's content changed meanwhile.
    fault : why the answers to reduced instances cannot be carried up the ladder; empty if they can.
    """

    result: Any
    incumbents: tuple[tuple[Solution, float], ...]
    steps: int
    seconds: float
    changed: bool
    fault: str = ""


@dataclass(frozen=True)
class CountingLimits(Limits):
    """Limits that add each pass they allow to `passed`."""

    passed: list[int] = field(default_factory=list)

    def steps(self, most: int | None = None) -> Iterator[int]:
        for step in super().steps(most):
            self.passed.append(step)
            yield step


def solve_once(
    solver: Solver,
    instance: Instance,
    *,
    seconds: float = PATIENCE,
    iterations: int | None = None,
    start: Solution | None = None,
    copied: bool = True,
) -> Trial:
    """Solve a copy of `instance` (itself unless `copied`), so that a solver that writes into it does no harm."""
    copy = copy_of(instance) if copied else instance
    incumbents: list[tuple[Solution, float]] = []

    def report(solution: Solution, bound: float) -> None:
        incumbents.append((solution, bound))

    try:
        if _prepared.get(id(solver)) is not solver:  # once, as in a process of its own
            solver.prepare()
            _prepared[id(solver)] = solver
        limits = CountingLimits(seconds, iterations, start=start, on_incumbent=report)
        before, began = digest_of(copy), time.perf_counter()
        result = solver.solve(copy, limits, np.random.default_rng(SEED))
        taken = time.perf_counter() - began
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as cause:  # such as sys.exit: whoever asks would go with it
        raise PluginError(f"the solver left by {cause!r}") from cause
    if wrong_form(result, instance.kind) is None:
        result = proper_result(result, instance.kind)
    return Trial(result, tuple(incumbents), len(limits.passed), taken, digest_of(copy) != before)


def copy_of(instance: Instance) -> Instance:
    """An equal instance that shares no array with `instance`."""
    return type(instance).from_parts(instance.parts(), instance.provenance)


def refusal_of(solver: Solver, instance: Instance) -> str | None:
    """Why the framework does not give `solver` a copy of `instance`, or None."""
    return refusal(solver, copy_of(instance))


def digest_of(instance: Instance) -> str:
    """The content's digest computed anew (`Instance.digest` remembers the first one)."""
    return instance.parts().digest(instance.kind)


def wrong_form(result: Any, kind: str) -> str | None:
    """What keeps `result` from being a result of a solver for `kind`, or None."""
    try:
        proper_result(result, kind)
    except PluginError as wrong:
        return str(wrong)
    return None


def same_answer(one: Result, other: Result) -> bool:
    """Whether two results have the same status and the same solution."""
    digests = [None if result.solution is None else result.solution.digest for result in (one, other)]
    return one.status == other.status and digests[0] == digests[1]


@dataclass(frozen=True, eq=False)
class Case:
    """A solver and an instance, its plain solve done once and shared by the laws that only look at the answer.

    Parameters
    ----------
    solver : the solver under test.
    tiny : the instance, of the kind the solver takes or of one above it on the ladder.
    others : further instances of the solver's kind, for calls in between.
    grace : seconds that a solver may need to stop once its time is up.
    seconds : time limit of a solve.
    solved : the instances solved so far, in order; one list for all cases of a plan.
    """

    solver: Solver
    tiny: TinyInstance
    others: tuple[TinyInstance, ...] = ()
    grace: float = 2.0
    seconds: float = PATIENCE
    solved: list[Instance] = field(default_factory=list)

    @property
    def instance(self) -> Instance:
        """The instance."""
        return self.tiny.instance

    @property
    def direct(self) -> bool:
        """Whether the solver takes instances of this kind itself, without the ladder."""
        return isinstance(self.instance, self.solver.solves)

    @cached_property
    def way(self) -> Reduction:
        """The way down to the solver's kind; empty for a direct case; raises Refused where there is none."""
        return reduction(self.instance, self.solver.solves)

    @cached_property
    def refusal(self) -> str | None:
        """Why the way down or the solver refuses the instance, or None."""
        try:
            parts = self.way.parts
        except MatchoptError as reason:
            return f"no way from {self.instance.kind} to {self.solver.solves.kind}: {reason}"
        for part in parts:
            refused = refusal_of(self.solver, part)
            if refused is not None:
                return str(refused)
        return None

    @cached_property
    def attempt(self) -> Trial | Exception:
        """The plain solve, or the exception it raised."""
        try:
            return self.trial() if self.direct else self._through_ladder()
        except Exception as error:
            return error

    @property
    def plain(self) -> Trial:
        """The plain solve; skips the law where it has no proper result, which is another law's business."""
        if isinstance(self.attempt, Exception):
            raise Skipped("solve raises; see returns-a-result")
        if wrong_form(self.attempt.result, self.instance.kind) is not None:
            raise Skipped("solve returns no proper result; see returns-a-result")
        return self.attempt

    @property
    def result(self) -> Result:
        """The result of the plain solve."""
        result: Result = self.plain.result
        return result

    @cached_property
    def in_a_row(self) -> list[Result]:
        """Two solves one after the other; three where these differ, as the first may for what came before."""
        answers = [self.answer("a second solve"), self.answer("a third solve")]
        return answers if same_answer(*answers) else [*answers, self.answer("a fourth solve")]

    def solved_since(self, other: TinyInstance) -> bool:
        """Whether another instance was solved after the last solve of this one."""
        both = (self.instance, other.instance)
        return next((one is both[1] for one in reversed(self.solved) if any(one is each for each in both)), False)

    def trial(self, **limits: Any) -> Trial:
        """One more solve of the same instance with the same seed; `limits` are those of `solve_once`."""
        return self.solve(self.instance, **limits)

    def solve(self, instance: Instance, **limits: Any) -> Trial:
        """A solve of another instance, with this case's limit; `limits` are those of `solve_once`."""
        self.solved.append(instance)
        return solve_once(self.solver, instance, **{"seconds": self.seconds, **limits})

    def answer(self, what: str, **limits: Any) -> Result:
        """The proper result of one more solve, `what` naming it in the message of the law this breaks otherwise."""
        _ = self.plain
        try:
            trial = self.trial(**limits)
        except Exception as error:
            raise Broken(f"{what}: solve raises {raised(error)}") from error
        wrong = wrong_form(trial.result, self.instance.kind)
        if wrong is not None:
            raise Broken(f"{what}: {wrong}")
        result: Result = trial.result
        return result

    def objective(self, solution: Solution, what: str) -> float | int:
        """The checked objective of a solution, which must be feasible."""
        report = check(self.instance, solution)
        if report.objective is None:
            raise Broken(f"{what} is infeasible: {report.violations[0].message}")
        return report.objective

    def _through_ladder(self) -> Trial:
        """Solve every part and carry the answers up: all optimal is optimal, one infeasible is infeasible."""
        trials = [self.solve(part) for part in self.way.parts]
        for trial, part in zip(trials, self.way.parts, strict=True):
            wrong = wrong_form(trial.result, part.kind)
            if wrong is not None:
                raise Broken(wrong)
        results: list[Result] = [trial.result for trial in trials]
        seconds, changed = sum(t.seconds for t in trials), any(t.changed for t in trials)
        for result, part in zip(results, self.way.parts, strict=True):
            report = None if result.solution is None else check(part, result.solution)
            if report is not None and not report.feasible:
                fault = f"the solution of the reduced instance is infeasible: {report.violations[0].message}"
                return Trial(Result(None), (), 0, seconds, changed, fault)
        return Trial(self._carried_up(results), (), 0, seconds, changed)

    def _carried_up(self, results: list[Result]) -> Result:
        solutions = [result.solution for result in results if result.solution is not None]
        bound = self.way.lift_bound([result.bound for result in results])
        if any(result.status is Status.INFEASIBLE for result in results):
            return Result(None, Status.INFEASIBLE)
        if len(solutions) < len(results):
            return Result(None, bound=bound)
        optimal = all(result.status is Status.OPTIMAL for result in results)
        lifted = self.way.lift(solutions)
        return Result(
            lifted, Status.OPTIMAL if optimal else Status.FEASIBLE, bound=-math.inf if bound != bound else bound
        )


@dataclass(frozen=True)
class Law:
    """One claim about solvers, and the check that it holds.

    Parameters
    ----------
    check : raises `Broken` where the law is broken and `Skipped` where it says nothing; its docstring is the claim.
    where : asked of every tiny instance, of the middling one, or once of the class.
    ladder : whether it is also asked of answers carried up the ladder from tiny instances of the kinds above.
    exact : whether it is asked only of solvers whose role is "exact".
    kinds : the kinds of instance it is about; empty for all.
    refused : whether it is asked of refused instances too.
    since : first kit version that asks it.
    """

    check: Callable[[Case], None]
    where: Literal["tiny", "middling", "class"] = "tiny"
    ladder: bool = False
    exact: bool = False
    kinds: tuple[str, ...] = ()
    refused: bool = False
    since: int = 1

    @property
    def name(self) -> str:
        """Words and dashes, such as "optimal-is-optimal"."""
        return self.check.__name__.replace("_", "-")

    @property
    def claim(self) -> str:
        """The law in a sentence."""
        return inspect.cleandoc(self.check.__doc__ or "")

    def asks(self, solver: Solver) -> str | None:
        """Why this law is not asked of `solver` at all, or None."""
        if self.exact and solver.role != "exact":
            return f"asked of exact solvers; the role of {solver.name} is {solver.role}"
        if self.kinds and solver.solves.kind not in self.kinds:
            return f"about {', '.join(self.kinds)} instances; {solver.name} takes {solver.solves.kind} instances"
        return None
