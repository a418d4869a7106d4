"""Programs in whole variables by constraint programming with clause learning (OR-Tools CP-SAT)."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval

from matchopt import (
    Limit,
    Limits,
    MissingExtra,
    NonNegativeFloat,
    ProgramInstance,
    ProgramPoint,
    Result,
    Solver,
    Status,
    weighed,
)
from matchopt_cpsat.model import Impossible, WholeProgram, build, prepared

MAX_VARIABLES = 500_000  # a model takes some KB for each in Python and C++ together
MAX_ENTRIES = 5_000_000
WORKERS = ("max_lp", "default_lp", "no_lp", "core", "quick_restart", "lb_tree_search")  # the first of them first
ENOUGH = 8  # workers of CP-SAT's own choice, among which is the first of these; of 2 and 4 it is not
PRESOLVABLE = 10**9  # largest sum of a row's terms; beyond, presolve (of 9.15) drops terms, and claims are false


@dataclass(frozen=True)
class CpSat(Solver):
    """Solve to optimality, in integers; stops early with its best solution and a bound.

    Bounds are valid for the instance as it is given: an objective that is not whole is scaled and rounded, and the
    bound lowered by the worst sum of the roundings. OPTIMAL means optimal for the integers CP-SAT was given, which is
    optimal as such for whole objectives and within the difference of value and bound (mostly below 1e-9 of the sum of
    all terms) for others. With one thread the same seed gives the same answer.

    Parameters
    ----------
    linearization : how much of the model is also kept as a linear relaxation, 0 .. 2; 2 is worth its cost wherever
        sums decide, as in assignments (100 x 100: 4 s, with 1 not solved in 20 s).
    presolve : whether the model is simplified first.
    objective_bits : largest size of the scaled objective, 20 .. 53 bits; more is finer and slower.
    gap : relative gap at which the search stops, >= 0; above 0 the answer is FEASIBLE unless bound and value meet.

    References
    ----------
    L. Perron, F. Didier, S. Gay, "The CP-SAT-LP solver", CP 2023, doi:10.4230/LIPIcs.CP.2023.3.
    """

    name = "cpsat"
    solves = ProgramInstance
    needs = ("ortools",)
    extra = "ortools"
    role = "exact"
    understands = frozenset({"whole-variables", "unbounded-variables"})

    linearization: Literal[0, 1, 2] = 2
    presolve: bool = True
    objective_bits: Annotated[int, Interval(ge=20, le=53)] = 50
    gap: NonNegativeFloat = 0.0

    def refuses(self, instance: ProgramInstance) -> str | None:
        """Variables without bounds, rows beyond 64 bits, and size; see `Solver.refuses`."""
        if instance.n_variables > MAX_VARIABLES:
            return f"{instance.n_variables} variables are too many (at most {MAX_VARIABLES})"
        if len(instance.indices) > MAX_ENTRIES:
            return f"{len(instance.indices)} coefficients are too many (at most {MAX_ENTRIES})"
        found = prepared(instance, self.objective_bits)
        return found if isinstance(found, str) else None

    def solve(self, instance: ProgramInstance, limits: Limits, rng: np.random.Generator) -> Result:
        program = prepared(instance, self.objective_bits)
        if isinstance(program, Impossible):
            return Result(None, Status.INFEASIBLE, message=program.reason)
        if isinstance(program, str):
            return Result(None, Status.ERROR, message=f"cpsat does not take this program: {program}")
        try:
            from ortools.sat.python import cp_model
        except ImportError:
            raise MissingExtra("solver cpsat", "ortools", self.extra) from None
        if limits.reached():
            return Result(None, limit=Limit.TIME)
        built = build(program, _start(instance, limits))
        if built is None:
            return Result(None, Status.INFEASIBLE, message="the bounds of a row cannot be met")
        model, x = built
        engine = cp_model.CpSolver()
        self._configure(engine.parameters, program, limits, rng)
        status = engine.solve(model, _incumbents(cp_model, program, instance, x, limits))
        if status == cp_model.MODEL_INVALID:
            return Result(None, Status.ERROR, message=model.validate().partition("\n")[0])
        result = self._result(instance, program, engine, engine.status_name(status), x, limits)
        return weighed(instance, result, error=program.objective.loss)

    def _configure(self, parameters: Any, program: WholeProgram, limits: Limits, rng: np.random.Generator) -> None:
        parameters.random_seed = int(rng.integers(2**31 - 1))
        parameters.num_workers = limits.threads
        parameters.linearization_level = self.linearization
        if 1 < limits.threads < ENOUGH and self.linearization == 2:  # else none keeps the whole relaxation
            parameters.subsolvers.extend(WORKERS)
        parameters.cp_model_presolve = self.presolve and program.largest_sum <= PRESOLVABLE
        if all(program.picks):  # as in assignments: half of the time, for nothing found
            parameters.cp_model_probing_level = 0
        parameters.relative_gap_limit = self.gap
        parameters.catch_sigint_signal = False  # its handler leaves none behind, and Ctrl-C would end the process
        if limits.seconds is not None:
            parameters.max_time_in_seconds = limits.remaining()

    def _result(
        self, instance: ProgramInstance, program: WholeProgram, engine: Any, status: str, x: list[Any], limits: Limits
    ) -> Result:
        stats = {"conflicts": engine.num_conflicts, "branches": engine.num_branches}
        if status == "INFEASIBLE":
            return Result(None, Status.INFEASIBLE, stats=stats)
        limit = Limit.TIME if status in ("FEASIBLE", "UNKNOWN") else None  # the clock is all that ends it early
        # Stopped before it has loaded the model, CP-SAT says 0, which is no bound.
        started = status != "UNKNOWN" or engine.best_objective_bound != 0.0
        bound = program.objective.bound(engine.best_objective_bound if started else -math.inf, instance.offset)
        if status == "UNKNOWN":
            return Result(None, Status.UNKNOWN, limit, bound, stats)
        point = ProgramPoint(np.array([engine.value(v) for v in x], dtype=np.float64))
        bound = min(bound, instance.value(point))
        if status == "OPTIMAL" and (self.gap == 0.0 or engine.best_objective_bound == engine.objective_value):
            return Result(point, Status.OPTIMAL, None, bound, {**stats, "rounding": program.objective.loss})
        return Result(point, Status.FEASIBLE, limit, bound, stats)


def _start(instance: ProgramInstance, limits: Limits) -> list[int] | None:
    """The caller's start as a hint, where it is one for this instance."""
    start = limits.start
    if not isinstance(start, ProgramPoint) or len(start.x) != instance.n_variables:
        return None
    return [round(value) for value in start.x.tolist()]


def _incumbents(cp_model: Any, program: WholeProgram, instance: ProgramInstance, x: list[Any], limits: Limits) -> Any:
    """The callback that hands on every solution; its base class exists once ortools is imported."""

    class Incumbents(cp_model.CpSolverSolutionCallback):  # type: ignore[misc,unused-ignore]
        def on_solution_callback(self) -> None:
            point = ProgramPoint(np.array([self.value(v) for v in x], dtype=np.float64))
            bound = program.objective.bound(self.best_objective_bound, instance.offset)
            limits.report(point, min(bound, instance.value(point)))

    return Incumbents()
