"""Solving an instance by a solver of a simpler kind: down the ladder, each part in turn, and up again."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from matchopt.contract import proper_number, proper_result, proper_solution
from matchopt.contract import refusal as refusal_of
from matchopt.errors import PluginError, Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    ProgramInstance,
    Rules,
    Solution,
    Target,
)
from matchopt.proofs.infeasible import constructed
from matchopt.reduce import Reduction, beginning, not_separable, prepare_crossbar, program_size, reduction, surrogate
from matchopt.reduce.builder import MAX_ENTRIES
from matchopt.reduce.reduction import unchanged
from matchopt.reduce.shares import shared_out
from matchopt.solver import Limits, Result, Solver, Status

SLOW = 300_000  # coefficients of a program
FORESEEN = 5_000  # coefficients of a program that is built only to ask whether it would be refused
BEGINNING = 0.15  # of the time left, at most, for a solution to begin from


def solve_parts(
    instance: Instance, solver: Solver, rng: np.random.Generator, limits: Limits, surrogate: bool = False
) -> tuple[Result, str]:
    """Reduce the instance, solve its parts one after the other with a fair share of the time, and lift the answers.

    The whole is OPTIMAL only if all parts are, INFEASIBLE if any is; its bound is lifted from the parts' bounds. A
    solver of programs, or one that says so, begins with a solution made for it where the caller has none: it is
    reported at once, and stands for parts that end without a solution.

    Parameters
    ----------
    limits : for the whole instance.
    surrogate : whether a refused instance is replaced by its surrogate.

    Returns
    -------
    result : with plain values.
    reason : why a stricter form was solved, the surrogate or a chip shared out; empty if the instance itself was.

    Raises
    ------
    Refused
        when there is no way down the ladder, or the solver refuses a part; also from the surrogate if that is allowed.
    PluginError
        when the solver breaks its contract.
    """
    program = solver.solves is ProgramInstance and not isinstance(instance, ProgramInstance)
    begun = _begun(instance, limits) if program and _is_slow(instance) else None
    way, starts, replaced = _way_down(instance, solver, limits.start, surrogate)
    made: tuple[Solution, ...] = ()
    if not starts and (solver.begins or program):
        starts = made = _parts_of(begun or _begun(instance, limits), way)
    best: list[Solution | None] = list(starts) if starts else [None] * len(way.parts)
    bounds = [-math.inf] * len(way.parts)
    results: list[Result] = []
    for number, part in enumerate(way.parts):

        def on_incumbent(solution: Solution, bound: float, number: int = number, part: Instance = part) -> None:
            best[number] = proper_solution(solution, part.kind, "report takes")
            bounds[number] = _higher(bounds[number], proper_number(bound, "report takes the bound"))
            if all(known is not None for known in best):
                limits.report(_lift(way, best, part, number), -math.inf if replaced else way.lift_bound(bounds))

        own = (
            limits
            if limits.seconds is None
            else replace(limits, seconds=limits.remaining() * _share(way.parts[number:]))
        )
        start = starts[number] if starts else None
        own = replace(own, start=start, on_incumbent=on_incumbent, began=time.monotonic())
        result = proper_result(solver.solve(part, own, rng), part.kind, strict=False)
        bounds[number] = _higher(bounds[number], result.bound)
        results.append(replace(result, bound=bounds[number]))
        if made:
            result = results[-1] = _no_worse(part, results[-1], best[number])
        if result.solution is None:
            break
        best[number] = result.solution
    whole = _whole(way, results)
    return (_without_claims(whole), replaced) if replaced else (whole, "")


def foreseen_refusal(instance: Instance, solver: Solver) -> str | None:
    """Why the solver would refuse the instance, itself or on the way down, found without solving.

    None also where building a program would take long, so that only a run can tell.
    """
    try:
        program = solver.solves is ProgramInstance and isinstance(instance, LayerInstance | NetworkInstance)
        if program and FORESEEN < program_size(instance) <= MAX_ENTRIES:  # type: ignore[arg-type]
            return None
        _way_down(instance, solver, None, False)
    except Refused as cause:
        return str(cause)
    return None


def _is_slow(instance: Instance) -> bool:
    """Whether its program takes seconds to build, which must not be all that there is time for."""
    if not isinstance(instance, LayerInstance | NetworkInstance):
        return False
    try:
        return SLOW < program_size(instance) <= MAX_ENTRIES
    except Refused:
        return False


def _begun(instance: Instance, limits: Limits) -> Solution | None:
    """A feasible solution made without a solver, and reported; None where none is found, or the caller has one."""
    begin = partial(beginning, seconds=BEGINNING * limits.remaining())
    for make in (begin, constructed) if limits.start is None else ():
        found = make(instance)
        if found is not None and _is_feasible(instance, found):
            limits.report(found)
            return found
    return None


def _parts_of(found: Solution | None, way: Reduction) -> tuple[Solution, ...]:
    """The solution of each part, none where the way, or the stricter rules of a surrogate, do not take it."""
    parts = () if found is None else _lowered(way, found)
    return parts if all(_is_feasible(part, begin) for part, begin in zip(way.parts, parts, strict=False)) else ()


def _no_worse(part: Instance, result: Result, known: Solution | None) -> Result:
    """The result, with the known solution where it has none, or a worse one that it makes no claim for."""
    if result.solution is None and result.status is Status.UNKNOWN:
        return replace(result, solution=known, status=Status.FEASIBLE)
    if result.solution is None or known is None or result.status is not Status.FEASIBLE:
        return result
    return replace(result, solution=known) if part.value(known) < part.value(result.solution) else result


def _higher(known: float, bound: float) -> float:
    """The better of two bounds; one that is not a number is handed on, for the judge to say so."""
    return known if bound <= known else bound


def _way_down(
    instance: Instance, solver: Solver, start: Solution | None, may_replace: bool
) -> tuple[Reduction, tuple[Solution, ...], str]:
    """The way from the instance, or if refused from a stricter form; the warm start of each part; the reason."""
    refusal = None
    for form in _forms(instance, start, may_replace):
        try:
            step = form()
            way = step.then([reduction(part, solver.solves) for part in step.parts])
            for part in way.parts:
                reason = refusal_of(solver, part)
                if reason is not None:
                    raise Refused(reason)
        except Refused as cause:
            refusal = refusal or cause  # the reason that counts is that of the instance itself
            continue
        starts = _lowered(way, start)
        if refusal is None:
            return way, starts, ""
        pairs = zip(way.parts, starts, strict=False)  # no starts at all, or one for each part
        return way, starts if all(_is_feasible(part, begin) for part, begin in pairs) else (), str(refusal)
    assert refusal is not None
    raise refusal


def _forms(instance: Instance, start: Solution | None, may_replace: bool) -> Iterator[Callable[[], Reduction]]:
    """The instance, then stricter forms, each made when the one before it was refused.

    A chip is shared out among its layers. Where replacing is allowed, a network leaves its own objective to those of
    its layers, if these are more than weight errors, and then comes its surrogate.
    """
    yield lambda: unchanged(instance)
    if isinstance(instance, NetworkInstance) and instance.one_chip:
        yield lambda: shared_out(instance, start)
    if not may_replace:
        return
    if isinstance(instance, NetworkInstance) and instance.objective is not None:
        own = [layer for layer in instance.layers if layer.objective.demands]
        if own:
            yield partial(unchanged, replace(instance, objective=None))
    seen = {instance.digest}
    for keep_gains in (True, False):
        form = surrogate(instance, keep_gains=keep_gains)
        if form.digest not in seen:
            seen.add(form.digest)
            yield partial(unchanged, form)


def _is_feasible(part: Instance, start: Solution) -> bool:
    """Whether a start, feasible by the rules of the instance, is so by the stricter ones of its surrogate."""
    from matchopt.checker import check

    return check(part, start).feasible


def _without_claims(result: Result) -> Result:
    """A result of the surrogate as one of the instance: the solution holds, bounds and claims do not."""
    status = {Status.OPTIMAL: Status.FEASIBLE, Status.INFEASIBLE: Status.UNKNOWN}.get(result.status, result.status)
    return replace(result, status=status, bound=-math.inf)


def _share(parts: Sequence[Instance]) -> float:
    """The first part's share of the time left: half of it even, half by the data it holds."""
    sizes = [1 + sum(array.size for array in part.parts().arrays.values()) for part in parts]
    return 0.5 / len(parts) + 0.5 * sizes[0] / sum(sizes)


def separable_rules(instance: Instance) -> tuple[Rules, ...]:
    """The rules of the layers whose reduction to an assignment compiled code computes, each once."""
    layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
    plain = [layer for layer in layers if isinstance(layer, LayerInstance) and not_separable(layer) is None]
    return tuple(dict.fromkeys(Rules(drop=layer.rules.drop, gains=layer.rules.gains) for layer in plain))


def warm_up(rules: Rules) -> None:
    """Load, or on a fresh machine compile, what a reduction to an assignment runs, before a solver's clock starts."""
    one = np.ones((1, 1))
    small = reduction(LayerInstance(Target.from_dense(one), Hardware(one), rules), AssignmentInstance)
    small.lift([Assignment(np.zeros(1, int))])


def prepare_beginning(instance: Instance) -> None:
    """The same for what makes a solution to begin from."""
    layers = instance.layers if isinstance(instance, NetworkInstance) else (instance,)
    if any(isinstance(layer, LayerInstance) and not layer.hardware.free_routing for layer in layers):
        prepare_crossbar()


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
