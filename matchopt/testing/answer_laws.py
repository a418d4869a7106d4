"""Laws about the answer of one plain solve; most are asked of answers carried up the ladder too."""

import itertools
import math

from matchopt.contract import raised
from matchopt.instances import Solution
from matchopt.solver import Status
from matchopt.testing.case import Broken, Case, Law, Skipped, wrong_form


def returns_a_result(case: Case) -> None:
    """`solve` returns a `Result` whose fields have the promised types, and raises nothing."""
    attempt = case.attempt
    if isinstance(attempt, Broken):
        raise attempt
    if isinstance(attempt, Exception):
        raise Broken(f"solve raises {raised(attempt)}")
    wrong = wrong_form(attempt.result, case.instance.kind)
    if wrong is not None:
        raise Broken(wrong)


def status_fits_solution(case: Case) -> None:
    """OPTIMAL and FEASIBLE come with a solution, INFEASIBLE and UNKNOWN without one, ERROR not on tiny instances."""
    result = case.result
    if result.status is Status.ERROR:
        raise Broken(f"status is error: {result.message or 'no message'}")
    if (result.solution is not None) != (result.status in (Status.OPTIMAL, Status.FEASIBLE)):
        raise Broken(f"status is {result.status}, {'without' if result.solution is None else 'with'} a solution")


def solution_is_feasible(case: Case) -> None:
    """The solution passes the independent checker."""
    if case.plain.fault:
        raise Broken(case.plain.fault)
    case.objective(_solution(case), "the solution")


def instance_stays_untouched(case: Case) -> None:
    """The instance has the same content after the solve as before."""
    if case.plain.changed:
        raise Broken("solve changed the instance; its arrays are read-only, work on copies")


def bound_is_a_number(case: Case) -> None:
    """No bound is NaN; having no bound is -inf."""
    for what, bound in _bounds(case):
        if math.isnan(bound):
            raise Broken(f"{what} is NaN; leave it at -inf where there is none")


def bound_is_valid(case: Case) -> None:
    """No bound exceeds the optimum that enumeration finds, so none exceeds the checked objective."""
    optimum = case.tiny.optimum
    if optimum.value is None:
        raise Skipped("the instance is infeasible, every bound holds")
    for what, bound in _bounds(case):
        if bound > float(optimum.value) + case.tiny.tolerance:
            raise Broken(f"{what} is {bound!r}, the optimum is {optimum.value!r}")


def optimal_is_optimal(case: Case) -> None:
    """OPTIMAL is claimed only where enumeration finds nothing better."""
    if case.result.status is not Status.OPTIMAL:
        raise Skipped(f"status is {case.result.status}")
    equals_optimum(case, case.result.solution, "claimed optimal")


def infeasible_is_infeasible(case: Case) -> None:
    """INFEASIBLE is claimed only where enumeration finds no solution."""
    if case.result.status is not Status.INFEASIBLE:
        raise Skipped(f"status is {case.result.status}")
    if case.tiny.optimum.feasible:
        raise Broken(f"claimed infeasible; there are solutions, the best of value {case.tiny.optimum.value!r}")


def exact_solves(case: Case) -> None:
    """A solver of role "exact" ends every tiny instance it takes with OPTIMAL, or INFEASIBLE where it is."""
    wanted = Status.OPTIMAL if case.tiny.optimum.feasible else Status.INFEASIBLE
    if case.result.status in (Status.OPTIMAL, Status.INFEASIBLE):
        return  # whether the claim is true is what two other laws ask
    raise Broken(f"status is {case.result.status}, a proof was due: {wanted}")


def incumbents_are_feasible(case: Case) -> None:
    """Every solution reported on the way passes the independent checker."""
    for number, (solution, _) in enumerate(_incumbents(case)):
        case.objective(solution, f"incumbent {number}")


def incumbents_improve(case: Case) -> None:
    """No reported solution is worse than the one before."""
    values = [_value(case, solution) for solution, _ in _incumbents(case)]
    for number, (before, after) in enumerate(itertools.pairwise(values), start=1):
        if after - before > case.tiny.tolerance:
            raise Broken(f"incumbent {number} has objective {after!r}, the one before {before!r}")


def keeps_its_best(case: Case) -> None:
    """The returned solution is no worse than any that was reported."""
    best = min(_value(case, solution) for solution, _ in _incumbents(case))
    if case.result.solution is None:
        raise Broken(f"reported a solution of objective {best!r} and returned none")
    value = _value(case, case.result.solution)
    if value - best > case.tiny.tolerance:
        raise Broken(f"returned objective {value!r}, reported {best!r} before")


def equals_optimum(case: Case, solution: Solution | None, what: str) -> None:
    """Raise `Broken` unless the solution's checked objective is the optimum, or no worse where that is not proven."""
    optimum = case.tiny.optimum.value
    if optimum is None:
        raise Broken(f"{what}, but the instance is infeasible")
    if solution is None:
        raise Skipped("there is no solution; see status-fits-solution")
    value = _value(case, solution)
    if value - optimum > case.tiny.tolerance:
        raise Broken(f"{what} at {value!r}, the optimum is {optimum!r}")
    if case.tiny.optimum.proven and optimum - value > case.tiny.tolerance:
        raise Broken(f"{what} at {value!r}, below the optimum {optimum!r}")


def _solution(case: Case) -> Solution:
    if case.result.solution is None:
        raise Skipped(f"there is no solution, status is {case.result.status}")
    return case.result.solution


def _incumbents(case: Case) -> tuple[tuple[Solution, float], ...]:
    if not case.plain.incumbents:
        raise Skipped("reported no solutions on the way")
    return case.plain.incumbents


def _value(case: Case, solution: Solution) -> float | int:
    """The checked objective; an infeasible solution is another law's business."""
    try:
        return case.objective(solution, "")
    except Broken:
        raise Skipped("a solution is infeasible; see solution-is-feasible and incumbents-are-feasible") from None


def _bounds(case: Case) -> list[tuple[str, float]]:
    reported = [(f"the bound of incumbent {n}", bound) for n, (_, bound) in enumerate(case.plain.incumbents)]
    return [*reported, ("the bound", case.result.bound)]


ANSWER_LAWS = (
    Law(returns_a_result, ladder=True),
    Law(status_fits_solution),
    Law(solution_is_feasible, ladder=True),
    Law(instance_stays_untouched),
    Law(bound_is_a_number),
    Law(bound_is_valid, ladder=True),
    Law(optimal_is_optimal, ladder=True),
    Law(infeasible_is_infeasible, ladder=True),
    Law(exact_solves, ladder=True, exact=True),
    Law(incumbents_are_feasible),
    Law(incumbents_improve),
    Law(keeps_its_best),
)
