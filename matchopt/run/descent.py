"""Solving an instance by a solver of a simpler kind: down the ladder, each part in turn, and up again."""

import math
import numbers
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from matchopt.contract import refusal as refusal_of
from matchopt.errors import PluginError, Refused
from matchopt.instances import (
    SOLUTIONS,
    Assignment,
    AssignmentInstance,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    Rules,
    Solution,
    Target,
    WeightError,
)
from matchopt.reduce import Reduction, not_separable, reduction, surrogate
from matchopt.solver import Limit, Limits, Result, Solver, Status


@dataclass
class Descent:
    """What `solve_parts` needs; the limits are those of `Limits`, for the whole instance."""

    instance: Instance
    solver: Solver
    rng: np.random.Generator
    report: Callable[[Solution, float], None]
    start: Solution | None = None
    seconds: float | None = None
    iterations: int | None = None
    memory: int | None = None
    threads: int = 1
    surrogate: bool = False  # whether a refused instance is replaced by its surrogate
    replaced: str = ""  # why it was, once it was
    began: float = field(default_factory=time.monotonic)

    def remaining(self) -> float:
        """Seconds left, inf without a limit."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - (time.monotonic() - self.began))


def solve_parts(descent: Descent) -> Result:
    """Reduce the instance, solve its parts one after the other with a fair share of the time, and lift the answers.

    The whole is OPTIMAL only if all parts are, INFEASIBLE if any is; its bound is lifted from the parts' bounds.

    Raises
    ------
    Refused
        when there is no way down the ladder, or the solver refuses a part; also from the surrogate if that is allowed.
    PluginError
        when the solver breaks its contract.
    """
    solver = descent.solver
    way, starts = _way_down(descent)
    best: list[Solution | None] = list(starts) if starts else [None] * len(way.parts)
    bounds = [-math.inf] * len(way.parts)
    results: list[Result] = []
    for number, part in enumerate(way.parts):

        def on_incumbent(solution: Solution, bound: float, number: int = number, part: Instance = part) -> None:
            _check_solution(solution, solver, "report takes")
            best[number], bounds[number] = solution, _number(bound, "report takes the bound")
            if all(known is not None for known in best):
                lower = -math.inf if descent.replaced else way.lift_bound(bounds)
                descent.report(_lift(way, best, part, number), lower)

        seconds = None if descent.seconds is None else descent.remaining() * _share(way.parts[number:])
        start = starts[number] if starts else None
        limits = Limits(seconds, descent.iterations, descent.memory, descent.threads, start, on_incumbent)
        result = checked(solver.solve(part, limits, descent.rng), solver)
        results.append(result)
        if result.solution is None:
            break
        best[number], bounds[number] = result.solution, result.bound
    whole = _whole(way, results)
    return _without_claims(whole) if descent.replaced else whole


def _way_down(descent: Descent) -> tuple[Reduction, tuple[Solution, ...]]:
    """The way from the instance, or where that is refused from its surrogate, and the warm start of each part."""
    solver, refusal = descent.solver, None
    for instance in _forms(descent):
        try:
            way = reduction(instance, solver.solves)
            for part in way.parts:
                reason = refusal_of(solver, part)
                if reason is not None:
                    raise Refused(reason)
        except Refused as cause:
            refusal = refusal or cause  # the reason that counts is that of the instance itself
            continue
        starts = _lowered(way, descent.start)
        if refusal is not None:
            descent.replaced = str(refusal)
            pairs = zip(way.parts, starts, strict=False)  # no starts at all, or one for each part
            starts = starts if all(_is_feasible(part, start) for part, start in pairs) else ()
        return way, starts
    assert refusal is not None
    raise refusal


def _forms(descent: Descent) -> Iterator[Instance]:
    """The instance, then where that is allowed plainer ones, each made when the form before it was refused.

    A network first leaves its own objective to those of its layers, if these are more than weight errors.
    """
    instance = descent.instance
    yield instance
    if not descent.surrogate:
        return
    if isinstance(instance, NetworkInstance) and instance.objective is not None:
        own = [layer for layer in instance.layers if not isinstance(layer.objective, WeightError)]
        if own:
            yield replace(instance, objective=None)
    seen = {instance.digest}
    for keep_gains in (True, False):
        form = surrogate(instance, keep_gains=keep_gains)
        if form.digest not in seen:
            seen.add(form.digest)
            yield form


def _is_feasible(part: Instance, start: Solution) -> bool:
    """Whether a start, feasible by the rules of the instance, is so by the stricter ones of its surrogate."""
    from matchopt.checker import check

    return check(part, start).feasible


def _without_claims(result: Result) -> Result:
    """A result of the surrogate as one of the instance: the solution holds, bounds and claims do not."""
    status = {Status.OPTIMAL: Status.FEASIBLE, Status.INFEASIBLE: Status.UNKNOWN}.get(result.status, result.status)
    return replace(result, status=status, bound=-math.inf)


def _share(parts: Sequence[Instance]) -> float:
    """The first part's share of the time left: by the data it holds, for large parts take longer than small ones."""
    sizes = [1 + sum(array.size for array in part.parts().arrays.values()) for part in parts]
    return sizes[0] / sum(sizes)


def warm_up(instance: Instance) -> None:
    """Load, or on a fresh machine compile, what the way down the ladder runs, before a solver's clock starts."""
    layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
    for layer in layers:
        if isinstance(layer, LayerInstance) and not_separable(layer) is None:
            one = np.ones((1, 1))
            rules = Rules(drop=layer.rules.drop, gains=layer.rules.gains)
            small = reduction(LayerInstance(Target.from_dense(one), Hardware(one), rules), AssignmentInstance)
            small.lift([Assignment(np.zeros(1, int))])


def checked(result: Any, solver: Solver) -> Result:
    """The result of a solver with plain Python values in it.

    Raises
    ------
    PluginError
        naming the field that is wrong.
    """
    if not isinstance(result, Result):
        raise PluginError(f"the solver returned {_short(result)} instead of a Result")
    if result.solution is not None:
        _check_solution(result.solution, solver, "Result.solution must be")
    try:
        status = Status(result.status)
        limit = None if result.limit is None else Limit(result.limit)
    except ValueError as cause:
        raise PluginError(f"Result.status or Result.limit is wrong: {cause}") from None
    bound = _number(result.bound, "Result.bound must be a number")
    if not isinstance(result.message, str):
        raise PluginError(f"Result.message must be text, found {_short(result.message)}")
    return Result(result.solution, status, limit, bound, _stats(result.stats), result.message[:2000])


def _lowered(way: Reduction, start: Solution | None) -> tuple[Solution, ...]:
    """The warm start of each part; none where the reduction cannot carry it down."""
    try:
        return () if start is None else way.lower(start)
    except Refused:
        return ()


def _whole(way: Reduction, results: Sequence[Result]) -> Result:
    """One result for the whole from those of the parts, the last of which may have no solution."""
    last, complete = results[-1], len(results) == len(way.parts)
    bounds = [result.bound for result in results] + [-math.inf] * (len(way.parts) - len(results))
    bound = way.lift_bound(bounds)
    limit = next((result.limit for result in results if result.limit is not None), None)
    message = "; ".join(dict.fromkeys(result.message for result in results if result.message))
    stats = results[0].stats if len(way.parts) == 1 else _summed([result.stats for result in results])
    if last.solution is None or not complete:
        if len(way.parts) > 1:
            message = f"part {len(results) - 1} of {len(way.parts)} has no solution; {message}".rstrip("; ")
        return Result(None, last.status, limit, bound, stats, message)
    solution = _lift(way, [result.solution for result in results], way.parts[-1], len(results) - 1)
    statuses = {result.status for result in results}
    worst = next((s for s in (Status.ERROR, Status.INFEASIBLE, Status.UNKNOWN) if s in statuses), Status.FEASIBLE)
    return Result(solution, Status.OPTIMAL if statuses == {Status.OPTIMAL} else worst, limit, bound, stats, message)


def _lift(way: Reduction, solutions: Sequence[Solution | None], part: Instance, number: int) -> Solution:
    """Lift, and where that fails say what is wrong with the newest part's solution."""
    known = [solution for solution in solutions if solution is not None]
    try:
        return way.lift(known)
    except Exception as cause:
        from matchopt.checker import check  # only ever needed here

        violations = check(part, known[number]).violations
        reason = violations[0].message if violations else f"{type(cause).__name__}: {cause}"
        raise PluginError(f"the solution of the {part.kind} instance is infeasible: {reason}") from cause


def _summed(tables: Sequence[Mapping[str, int | float | str]]) -> dict[str, int | float | str]:
    """Counters of all parts added up; of texts the last."""
    total: dict[str, int | float | str] = {}
    for table in tables:
        for name, value in table.items():
            before = total.get(name)
            both = not isinstance(value, str) and before is not None and not isinstance(before, str)
            total[name] = before + value if both else value  # type: ignore[operator]  # both are numbers
    return total


def _check_solution(solution: Any, solver: Solver, what: str) -> None:
    wanted = SOLUTIONS[solver.solves.kind]
    if not isinstance(solution, wanted):
        raise PluginError(f"{what} a solution of type {wanted.__name__}, found {_short(solution)}")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.number)):
        raise PluginError(f"{what}, found {_short(value)}")
    return float(value)


def _stats(stats: Any) -> dict[str, int | float | str]:
    if not isinstance(stats, Mapping):
        raise PluginError(f"Result.stats must be a mapping, found {_short(stats)}")
    plain: dict[str, int | float | str] = {}
    for name, value in stats.items():
        simple = value.item() if isinstance(value, np.generic) else value
        if not isinstance(name, str) or not isinstance(simple, (int, float, str)):
            raise PluginError(
                f"Result.stats must hold numbers and short texts by name, found {name!r}: {_short(value)}"
            )
        plain[name] = simple[:200] if isinstance(simple, str) else simple
    return plain


def _short(value: Any) -> str:
    """A value in an error message: its type and the start of its text."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = "?"
    return f"{type(value).__name__} {text[:80]}" if value is not None else "None"
