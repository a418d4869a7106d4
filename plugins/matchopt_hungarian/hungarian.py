"""Linear assignment by shortest augmenting paths (Jonker and Volgenant's form of the Hungarian method)."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from matchopt import Assignment, AssignmentInstance, Limits, Result, Solver, Status, assign, kernels
from matchopt_hungarian.exact import shortest_paths
from matchopt_hungarian.sparse import cheapest_columns, hall_violator

MAX_EXACT_PAIRS = 4_000_000  # pairs that the plain-Python path for huge integers takes; minutes beyond
ENORMOUS = 2.0**900  # float costs beyond are scaled by a power of two, as `assign` does: sums over rows stay finite


@dataclass(frozen=True)
class Hungarian(Solver):
    """The optimal assignment, or a proof that there is none.

    Float engines solve dense instances, scipy's sparse engine the sparse ones without expanding them. Integers stay
    exact: where sums could pass 2^53 a plain implementation over Python's integers takes over.

    Parameters
    ----------
    engine : that of `matchopt.assign`. Dense instances only.

    References
    ----------
    R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems",
    Computing 38 (1987), doi:10.1007/BF02278710. D. F. Crouse, "On implementing 2D rectangular assignment algorithms",
    IEEE Transactions on Aerospace and Electronic Systems 52 (2016), doi:10.1109/TAES.2016.140952 (scipy's engine).
    """

    name = "hungarian"
    solves = AssignmentInstance
    needs = ("scipy",)
    may_use = ("lapx",)
    role = "exact"
    understands = frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"})

    engine: Literal["auto", "compiled", "scipy", "lap"] = "auto"

    def refuses(self, instance: AssignmentInstance) -> str | None:
        """Integers that only the plain path keeps exact, in numbers it is too slow for; see `Solver.refuses`."""
        if instance.n_pairs > MAX_EXACT_PAIRS and not _fits_floats(instance):
            return (
                f"{instance.n_pairs} integer costs whose sums pass 2^53 are too many for the exact path "
                f"(at most {MAX_EXACT_PAIRS})"
            )
        return None

    def solve(self, instance: AssignmentInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`; no incumbents, for there is none before the last row is placed."""
        del limits, rng
        if instance.n_rows == 0:
            return Result(Assignment(np.zeros(0, np.int64)), Status.OPTIMAL, bound=0.0)
        if instance.is_sparse:
            barren = np.bincount(instance.pairs()[0], minlength=instance.n_rows) == 0
        else:
            barren = ~np.isfinite(instance.cost).any(axis=1)
        if barren.any():
            message = f"row {np.argmax(barren)} has no allowed column"
            return Result(None, Status.INFEASIBLE, message=message)
        if not _fits_floats(instance):
            col_of, engine = shortest_paths(instance), "exact integers"
        elif instance.is_sparse:
            col_of, engine = cheapest_columns(*_float_pairs(instance)), "scipy sparse"
        else:
            engine = kernels.engine_for(instance.n_pairs) if self.engine == "auto" else self.engine
            col_of = assign(instance.cost, engine=engine)
        if col_of is None:
            return _infeasible(instance)
        return Result(Assignment(col_of), Status.OPTIMAL, bound=_bound(instance, col_of), stats={"engine": engine})


def _fits_floats(instance: AssignmentInstance) -> bool:
    if not instance.is_integral or instance.n_pairs == 0:
        return True
    return kernels.sums_are_exact(int(instance.cost.min()), int(instance.cost.max()), instance.n_rows)


def _float_pairs(instance: AssignmentInstance) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Costs (>= 0), indptr, indices and number of columns of the allowed pairs."""
    rows, columns, cost = instance.pairs()
    starts = np.searchsorted(rows, np.arange(instance.n_rows + 1))
    if not instance.is_integral and np.abs(cost).max() > ENORMOUS:
        cost = cost * 2.0**-128
    lowest = np.repeat(np.minimum.reduceat(cost, starts[:-1]), np.diff(starts))
    return np.asarray(cost - lowest, np.float64), starts, columns, instance.n_cols


def _bound(instance: AssignmentInstance, col_of: np.ndarray) -> float:
    """The optimum, rounded down where it is no float; on floats less the engine's rounding, one ulp a row."""
    if instance.is_sparse:
        rows, columns, costs = instance.pairs()
        costs = costs[columns == col_of[rows]]
    else:
        costs = instance.cost[np.arange(instance.n_rows), col_of]
    if instance.is_integral:
        total = sum(costs.tolist())
        return float(total) if int(float(total)) <= total else math.nextafter(float(total), -math.inf)
    largest = float(np.abs(costs).max())
    if largest > ENORMOUS:
        return -math.inf  # the sum may be no float
    return math.fsum(costs) - instance.n_rows * math.ulp(largest)


def _infeasible(instance: AssignmentInstance) -> Result:
    """INFEASIBLE, told by a largest matching rather than by the engine."""
    rows, columns = hall_violator(instance)
    if rows == 0:
        return Result(None, Status.ERROR, message="the engine found no assignment though one exists")
    message = f"{rows} rows share only {columns} allowed columns"
    return Result(None, Status.INFEASIBLE, message=message)
