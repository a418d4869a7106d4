"""What solvers say about one instance, held against the checker, each other, the certificate and enumeration."""

import math
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from matchopt.checker import check
from matchopt.contract import raised, understood_by
from matchopt.errors import MatchoptError, Refused
from matchopt.formats import read, write
from matchopt.instances import AssignmentInstance, Instance, LayerInstance, NetworkInstance, ProgramInstance, Solution
from matchopt.proofs import certify, certify_infeasible
from matchopt.solver import Limit, Result, Solver, Status
from matchopt.testing.brute import brute_force
from matchopt.testing.case import Case, Trial, same_answer, wrong_form
from matchopt.testing.tiny import TinyInstance, tolerance_of

ROUNDING = 1e-6  # relative, of engines that work with tolerances
MOST_WORK = 2e5  # choices of rows that enumeration may go through
PROOF = 1.0  # seconds for a certificate
PATIENCE = 10.0  # times the time limit: shares of it, which some solvers allot to their parts, are then never used up
HANGING = 10  # seconds of processor time past its time limit after which a solve, or enumeration, is broken off


@dataclass(frozen=True)
class Failure:
    """One disagreement.

    Parameters
    ----------
    solver : whose it is; "certificate", "checker", "enumeration" or "files" for those that judge.
    what : its sort, such as "bound"; the same for all of that sort.
    detail : what was claimed and what is true.
    """

    solver: str
    what: str
    detail: str


@dataclass(frozen=True)
class Answer:
    """What became of one solver: a refusal, a failure, or a result with its checked objective.

    `late` are those that went on far beyond their limit, which is no failure: in a solve the host ends their process.
    """

    solver: str
    refused: str = ""
    result: Result | None = None
    objective: float | None = None
    failures: tuple[Failure, ...] = ()
    late: bool = False


class TimedOut(Exception):
    """A solve went on far beyond its time limit, or enumeration for too long."""


def judged(
    instance: Instance, solvers: Sequence[Solver], seconds: float, repeat: bool
) -> tuple[list[Answer], list[Failure]]:
    """Ask all solvers about the instance; what each said, and all that cannot be true.

    Parameters
    ----------
    instance : a tiny one.
    solvers : those to ask.
    seconds : time limit of each solve.
    repeat : whether each solve is made twice with the same seed.
    """
    answers = [_asked(instance, solver, seconds, repeat) for solver in solvers]
    failures = [failure for answer in answers for failure in answer.failures]
    failures += _rounds(instance, answers)
    failures += _compared(instance, answers)
    return answers, failures


def _asked(instance: Instance, solver: Solver, seconds: float, repeat: bool) -> Answer:
    case = Case(solver, TinyInstance("drawn", instance), seconds=seconds)
    try:
        with _alarm(seconds + HANGING):
            refused = case.refusal
            attempt = None if refused is not None else case.attempt
    except TimedOut as late:
        refused, attempt = None, late
    except Exception as cause:
        refused, attempt = None, cause
    if refused is not None:
        strange = instance.demands - understood_by(type(solver)) if case.direct else frozenset[str]()
        if not refused.strip() or (strange and not any(name in refused for name in strange)):
            detail = f"names no demand of {sorted(strange)}: {refused!r}"
            return Answer(solver.name, refused or "-", failures=(Failure(solver.name, "refusal", detail),))
        return Answer(solver.name, refused)
    if isinstance(attempt, Refused):
        return Answer(solver.name, str(attempt))
    if isinstance(attempt, TimedOut):
        return Answer(solver.name, late=True)
    if isinstance(attempt, Exception) or attempt is None:
        detail = f"raises {raised(attempt) if attempt else 'nothing and answers nothing'}"
        return Answer(solver.name, failures=(Failure(solver.name, "crash", detail),))
    return _weighed(case, attempt, repeat)


def _weighed(case: Case, trial: Trial, repeat: bool) -> Answer:
    """A result whose form, solutions and bounds are looked at by themselves."""
    instance, solver, found = case.instance, case.solver, list[Failure]()

    def fail(what: str, detail: str) -> None:
        found.append(Failure(solver.name, what, detail))

    wrong = wrong_form(trial.result, instance.kind)
    if wrong or trial.fault or trial.changed:
        fail("form", wrong or trial.fault or "solve changed the instance")
        return Answer(solver.name, failures=tuple(found))
    result: Result = trial.result
    objective = _checked(instance, result.solution, "its solution", fail)
    for number, (solution, bound) in enumerate(trial.incumbents):
        value = _checked(instance, solution, f"incumbent {number}", fail)
        if value is not None and bound > value + _slack(instance, value):
            fail("bound", f"the bound of incumbent {number} is {bound!r}, its objective {value!r}")
    if (result.solution is not None) != (result.status in (Status.OPTIMAL, Status.FEASIBLE)):
        fail("status", f"{result.status} {'without' if result.solution is None else 'with'} a solution")
    if math.isnan(result.bound):
        fail("bound", "the bound is not a number")
    if repeat and not found and not _late(case, trial):
        found += _again(case, result)
    return Answer(solver.name, "", result, objective, tuple(found))


def _again(case: Case, result: Result) -> list[Failure]:
    """What another answer for the same seed is worth; what differs has to differ again with all the time it needs."""
    attempt = Case(case.solver, case.tiny, seconds=case.seconds).attempt
    if not isinstance(attempt, Exception) and (_late(case, attempt) or same_answer(result, attempt.result)):
        return []
    patient = [Case(case.solver, case.tiny, seconds=PATIENCE * case.seconds).attempt for _ in range(2)]
    results = [one.result for one in patient if not isinstance(one, Exception)]
    if len(results) == 2 and same_answer(*results):
        return []
    said = f"raises {raised(attempt)}" if isinstance(attempt, Exception) else f"another answer, {attempt.result.status}"
    return [Failure(case.solver.name, "seed", f"{result.status}, then with the same seed {said}")]


def _late(case: Case, trial: Trial) -> bool:
    """Whether the time limit may have had a say; the ladder does not carry limits up."""
    return trial.result.limit is Limit.TIME or trial.seconds > 0.5 * case.seconds


def _checked(instance: Instance, solution: Solution | None, what: str, fail: Any) -> float | None:
    """The checked objective of a solution; complains where it is infeasible, or worth something else."""
    if solution is None:
        return None
    report = check(instance, solution)
    if report.objective is None:
        fail("infeasible", f"{what} breaks a rule: {report.violations[0].message}")
        return None
    value = float(instance.value(solution))
    objective = float(report.objective)
    if abs(value - objective) > _slack(instance, objective):
        fail("value", f"{what} is worth {value!r} to the instance, {objective!r} to the checker")
    return objective


def _slack(instance: Instance, value: float) -> float:
    return max(tolerance_of(instance), ROUNDING * abs(value))


def _compared(instance: Instance, answers: Sequence[Answer]) -> Iterator[Failure]:
    """What does not go together."""
    valued = [(answer.objective, answer) for answer in answers if answer.objective is not None]
    best, by = min(((value, answer.solver) for value, answer in valued), default=(math.inf, ""))
    if enumerable(instance):
        try:
            with _alarm(HANGING):  # the work of rows that a network's objective couples is more than the estimate
                optimum = brute_force(instance)
        except (ValueError, MatchoptError, TimedOut):
            optimum = None
        if optimum is not None and optimum.value is None and valued:
            yield Failure("enumeration", "infeasible", f"no solution is found, {by} has one of {best!r}")
        elif optimum is not None and optimum.value is not None:
            value = float(optimum.value)
            if optimum.proven and best < value - _slack(instance, value):
                yield Failure("enumeration", "optimum", f"the optimum is said to be {value!r}, {by} has {best!r}")
            best, by = min((best, by), (value, "enumeration"))
    slack = _slack(instance, best) if best < math.inf else 0.0
    for answer in answers:
        result = answer.result
        if result is None or best == math.inf:
            continue
        if result.bound > best + slack:
            yield Failure(answer.solver, "bound", f"the bound is {result.bound!r}, {by} has a solution of {best!r}")
        if result.status is Status.INFEASIBLE:
            yield Failure(answer.solver, "infeasible", f"claims that there is no solution, {by} has one of {best!r}")
        if result.status is Status.OPTIMAL and answer.objective is not None and answer.objective > best + slack:
            yield Failure(answer.solver, "optimal", f"claims {answer.objective!r} as the optimum, {by} has {best!r}")
    yield from _certified(instance, valued, best, slack)


def _certified(
    instance: Instance, valued: Sequence[tuple[float, Answer]], best: float, slack: float
) -> Iterator[Failure]:
    try:
        if best < math.inf and certify_infeasible(instance):
            yield Failure("certificate", "infeasible", f"proves that there is no solution, there is one of {best!r}")
    except Refused:
        pass
    except Exception as cause:
        yield Failure("certificate", "crash", f"certify_infeasible raises {raised(cause)}")
    for value, answer in (min(valued, key=lambda one: one[0]), max(valued, key=lambda one: one[0])) if valued else ():
        assert answer.result is not None and answer.result.solution is not None
        try:
            proof = certify(instance, answer.result.solution, seconds=PROOF)
        except Refused:
            continue
        except Exception as cause:
            yield Failure("certificate", "crash", f"on the solution of {answer.solver}: {raised(cause)}")
            continue
        if float(proof.bound) > best + slack:
            yield Failure("certificate", "bound", f"proves {proof.bound!r}, there is a solution of {best!r}")
        if proof.optimal and value > best + slack:
            yield Failure("certificate", "optimal", f"proves {value!r} optimal, there is a solution of {best!r}")


def _rounds(instance: Instance, answers: Sequence[Answer]) -> Iterator[Failure]:
    """Files that do not come back as they were written."""
    things: list[Any] = [instance, *[a.result.solution for a in answers if a.result and a.result.solution][:1]]
    with tempfile.TemporaryDirectory() as folder:
        for thing in things:
            place = Path(folder) / "drawn.matchopt"
            try:
                write(thing, place, instance=None if thing is instance else instance)
                back: Any = read(place, instance=None if thing is instance else instance)
            except Exception as cause:
                yield Failure("files", "crash", f"{thing.kind} {type(thing).__name__}: {raised(cause)}")
                continue
            back = getattr(back, "solution", back)
            if back.digest != thing.digest:
                yield Failure("files", "round-trip", f"{type(thing).__name__} is read back as another one")


def enumerable(instance: Instance) -> bool:
    """Whether enumeration ends soon."""
    match instance:
        case LayerInstance():
            return _work(instance) <= MOST_WORK
        case NetworkInstance():
            works = [_work(layer) for layer in instance.layers]
            coupled = instance.objective is not None or instance.one_chip or instance.chained
            return (math.prod(works) if coupled else sum(works)) <= MOST_WORK
        case AssignmentInstance():
            return instance.n_rows <= 6
        case ProgramInstance():
            return False
    return False


def _work(layer: LayerInstance) -> float:
    """How many ways there are to serve the rows, roughly and from above."""
    rules, chip = layer.rules, layer.hardware
    gains = max(1, len(rules.gains.values or (1,)))
    places = chip.n_neurons ** max(rules.neurons_per_row, rules.copies)
    total = 1.0
    for n in layer.target.fan_in.tolist():
        inputs = layer.target.n_inputs if rules.extra_inputs else n
        ways = (inputs + 1.0) ** (chip.n_cells * max(rules.neurons_per_row, rules.copies))
        states = (2.0 + chip.levels.shape[2]) ** n if chip.programmable else 1.0
        each = places * ways * gains * states * (1 + n) ** min(2, rules.tunable)
        total = total * each if not chip.free_routing else total + each
    return total


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TimedOut after so many seconds of processor time, where signals can be had."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimedOut

    try:
        before = signal.signal(signal.SIGPROF, ring)
    except (ValueError, AttributeError):  # not the main thread, or another system
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
