"""An honest solver by enumeration, and one way to break each law of the conformance kit, and no other."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matchopt import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    Limit,
    Limits,
    ProgramInstance,
    Result,
    Solver,
    Status,
)
from matchopt.checker import check
from matchopt.testing import Optimum, brute_force, tiny_instances
from matchopt.testing.rewritten import (
    listed,
    scaled,
    transposed,
    with_columns_reversed,
    with_dominated_column,
    with_row_constant,
    with_variables_reversed,
)

Twist = Callable[[Any, Limits, Result], Any]
LARGE = 100  # costs of an assignment that enumeration leaves alone
VARIABLES = 8  # of a program
FEASIBLE: dict[str, list[Assignment]] = {}
OPTIMA: dict[str, Optimum] = {}  # by digest: the mutants solve the same few instances again and again


def optimum(instance: Instance) -> Optimum:
    """What enumeration finds, once for each content."""
    if instance.digest not in OPTIMA:
        OPTIMA[instance.digest] = brute_force(instance)
    return OPTIMA[instance.digest]


def honest(instance: Instance, limits: Limits) -> Result:
    """The proved optimum, reported on the way, after three counted passes."""
    known = optimum(instance)
    for _ in limits.steps(3):
        pass
    if known.value is None:
        return Result(None, Status.INFEASIBLE)
    limits.report(known.solution, float(known.value))
    return Result(known.solution, Status.OPTIMAL, bound=float(known.value))


def solver(
    twist: Twist = lambda instance, limits, result: result,
    *,
    kind: type[Instance] = AssignmentInstance,
    role: Any = "exact",
    refuses: Callable[[Any], Any] | None = None,
    quiet: bool = False,
    called: str = "mutant",
    declares: frozenset[str] | None = None,
) -> Solver:
    """A solver whose honest result goes through `twist`; `quiet` ones report nothing on the way."""
    a_name, a_role, refusal = called, role, refuses

    @dataclass(frozen=True)
    class Mutant(Solver):
        """Enumeration, twisted."""

        name = a_name
        solves = kind
        role = a_role
        understands = declares

        def refuses(self, instance: Any) -> Any:
            arrays = instance.parts().arrays.values()
            if max(array.size for array in arrays) > LARGE or getattr(instance, "n_variables", 0) > VARIABLES:
                return "is too large to enumerate"
            if not optimum(instance).proven:
                return "has choices that enumeration does not try"
            return None if refusal is None else refusal(instance)

        def solve(self, instance: Any, limits: Limits, rng: np.random.Generator) -> Any:
            del rng
            result = honest(instance, replace(limits, on_incumbent=None) if quiet else limits)
            return twist(instance, limits, result)

    return Mutant()


def feasible(instance: AssignmentInstance) -> list[Assignment]:
    """All feasible assignments, the cheapest first."""
    if instance.digest not in FEASIBLE:
        FEASIBLE[instance.digest] = _feasible(instance)
    return FEASIBLE[instance.digest]


def _feasible(instance: AssignmentInstance) -> list[Assignment]:
    columns = itertools.permutations(range(instance.n_cols), instance.n_rows)
    solutions = [Assignment(np.array(chosen, np.int64)) for chosen in columns]
    return sorted((s for s in solutions if check(instance, s).feasible), key=instance.value)


def same_column(instance: AssignmentInstance) -> Assignment:
    """Every row on the first column."""
    return Assignment(np.zeros(instance.n_rows, np.int64))


def unsolicited(limits: Limits) -> bool:
    """Whether this is a plain solve: time left, no start."""
    return limits.seconds != 0 and limits.start is None


# One function per law, called like it; each breaks that law alone.


def returns_a_result() -> Solver:
    return solver(lambda instance, limits, result: None)


def status_fits_solution() -> Solver:
    return solver(
        lambda instance, limits, result: Result(result.solution, Status.UNKNOWN), role="heuristic", quiet=True
    )


def solution_is_feasible() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        return Result(same_column(instance)) if unsolicited(limits) else result

    return solver(twist, role="heuristic", quiet=True)


def instance_stays_untouched() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        instance.cost.flags.writeable = True
        instance.cost.reshape(-1)[:1] += 1
        return result

    return solver(twist)


def bound_is_a_number() -> Solver:
    return solver(lambda instance, limits, result: Result(result.solution, result.status, bound=float("nan")))


def bound_is_valid() -> Solver:
    return solver(lambda instance, limits, result: Result(result.solution, result.status, bound=result.bound + 1))


def optimal_is_optimal() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        if result.solution is None or not unsolicited(limits):
            return result
        return Result(feasible(instance)[-1], Status.OPTIMAL)

    return solver(twist, role="heuristic", quiet=True)


def infeasible_is_infeasible() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        return Result(None, Status.INFEASIBLE) if unsolicited(limits) else result

    return solver(twist, role="heuristic", quiet=True)


def exact_solves() -> Solver:
    return solver(lambda instance, limits, result: Result(result.solution))


def incumbents_are_feasible() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        limits.report(same_column(instance))
        return result

    return solver(twist)


def incumbents_improve() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        for worst in feasible(instance)[-1:]:
            limits.report(worst)
        return result

    return solver(twist)


def keeps_its_best() -> Solver:
    return solver(lambda instance, limits, result: Result(next(iter(feasible(instance)[-1:]), None)), role="heuristic")


def same_seed_same_answer() -> Solver:
    row = [""]  # digests of the last calls, all the same; no-memory compares the first with the third

    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        row[:] = [*row, instance.digest] if row[0] == instance.digest else [instance.digest]
        choices = feasible(instance)[:2]
        return Result(choices[len(row) % 2] if len(choices) == 2 else result.solution)

    return solver(twist, role="heuristic", quiet=True)


def no_memory() -> Solver:
    earlier = [""]

    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        same, earlier[0] = earlier[0] == instance.digest, instance.digest
        choices = feasible(instance)
        return Result(choices[0 if same else -1] if choices else None)

    return solver(twist, role="heuristic", quiet=True)


def array_layout_is_free() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        return Result(result.solution if not any(instance.hardware.variance.strides) else None)

    return solver(twist, kind=LayerInstance, role="heuristic", quiet=True)


def expired_limit_is_honest() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        return Result(None, Status.INFEASIBLE) if limits.seconds == 0 else result

    return solver(twist)


def limit_is_no_proof() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        limit = Limit.TIME if limits.seconds == 0 else None
        return Result(result.solution, result.status, limit, result.bound)

    return solver(twist)


def iterations_are_counted() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        list(limits.steps(2))  # after the three passes of `honest`
        return result

    return solver(twist)


def feasible_start_is_harmless() -> Solver:
    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        misled = limits.start is not None and check(instance, limits.start).feasible
        return Result(None, Status.INFEASIBLE) if misled else result

    return solver(twist)


def infeasible_start_is_harmless() -> Solver:
    return solver(lambda instance, limits, result: result if limits.start is None else Result(limits.start), quiet=True)


def stops_in_time() -> Solver:
    @dataclass(frozen=True)
    class Sleeper(Solver):
        """Sleeps on large instances."""

        name = "sleeper"
        solves = AssignmentInstance
        role = "heuristic"

        def solve(self, instance: Any, limits: Limits, rng: np.random.Generator) -> Result:
            if instance.n_pairs > LARGE:
                time.sleep(0.6)
                return Result(None)
            return honest(instance, limits)

    return Sleeper()


def refusal_has_a_reason() -> Solver:
    return solver(refuses=lambda instance: "" if instance.n_rows == 1 else None)


def declared_demands_are_met() -> Solver:
    return solver(declares=frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular", "drop"}))


def takes_something() -> Solver:
    return solver(refuses=lambda instance: "is not to its taste")


def class_is_declared() -> Solver:
    return solver(called="Not A Name")


def options_are_documented() -> Solver:
    @dataclass(frozen=True)
    class Silent(Solver):
        """Enumeration with an option that nobody explains."""

        name = "silent"
        solves = AssignmentInstance
        draws: int = 10

        def refuses(self, instance: Any) -> str | None:
            return "is too large to enumerate" if instance.n_pairs > LARGE else None

        def solve(self, instance: Any, limits: Limits, rng: np.random.Generator) -> Result:
            return honest(instance, limits)

    return Silent()


def _unsure_of(rewrite: Callable[[Any], Instance | None], kind: type[Instance]) -> Solver:
    """Exact everywhere but on tiny instances rewritten in this one way."""
    known = {tiny.instance.digest for tiny in tiny_instances()}
    rest = [r for k, r in REWRITES.values() if k is kind and r is not rewrite]
    tiny = [tiny.instance for tiny in tiny_instances() if isinstance(tiny.instance, kind)]
    known |= {made.digest for other in rest for made in map(other, tiny) if made is not None}
    wrong = {made.digest for made in map(rewrite, tiny) if made is not None} - known

    def twist(instance: Any, limits: Limits, result: Result) -> Result:
        return Result(result.solution) if instance.digest in wrong else result

    return solver(twist, kind=kind)


REWRITES: dict[str, tuple[type[Instance], Callable[[Any], Instance | None]]] = {
    "row-constant-adds-to-optimum": (AssignmentInstance, with_row_constant),
    "column-order-is-free": (AssignmentInstance, with_columns_reversed),
    "transpose-keeps-optimum": (AssignmentInstance, transposed),
    "dominated-column-is-free": (AssignmentInstance, with_dominated_column),
    "sparse-form-is-free": (AssignmentInstance, listed),
    "scale-squares-into-optimum": (LayerInstance, scaled),
    "variable-order-is-free": (ProgramInstance, with_variables_reversed),
}

MUTANTS: dict[str, Callable[[], Solver]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        returns_a_result,
        status_fits_solution,
        solution_is_feasible,
        instance_stays_untouched,
        bound_is_a_number,
        bound_is_valid,
        optimal_is_optimal,
        infeasible_is_infeasible,
        exact_solves,
        incumbents_are_feasible,
        incumbents_improve,
        keeps_its_best,
        same_seed_same_answer,
        no_memory,
        array_layout_is_free,
        expired_limit_is_honest,
        limit_is_no_proof,
        iterations_are_counted,
        feasible_start_is_harmless,
        infeasible_start_is_harmless,
        stops_in_time,
        refusal_has_a_reason,
        declared_demands_are_met,
        takes_something,
        class_is_declared,
        options_are_documented,
    )
} | {law: lambda kind=kind, rewrite=rewrite: _unsure_of(rewrite, kind) for law, (kind, rewrite) in REWRITES.items()}
