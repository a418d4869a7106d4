"""Mixed-integer linear programs by branch and cut (HiGHS, through scipy.optimize.milp)."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import (
    Limit,
    Limits,
    NonNegativeFloat,
    PositiveInt,
    ProgramInstance,
    ProgramPoint,
    Result,
    Solver,
    Status,
    tightened,
    weighed,
)
from matchopt_milp.engine import beyond, doubt, highs, whole
from matchopt_milp.scaling import cost_factor, counts_whole, objective_error, scaled

MAX_VARIABLES = 1_000_000
MAX_ENTRIES = 20_000_000
WHOLE = 1e-4  # a bound this little above a whole number is taken for it; HiGHS computes bounds in floats
# scipy.optimize.milp's status codes.
_OPTIMAL, _LIMIT, _INFEASIBLE, _UNBOUNDED = 0, 1, 2, 3
_SAID = {_INFEASIBLE: "HiGHS Status 8:", _UNBOUNDED: "HiGHS Status 10:"}  # in its message


@dataclass(frozen=True)
class Milp(Solver):
    """Solve to optimality; HiGHS works in floats, with its usual tolerances (1e-6 on rows, gaps and whole values).

    Whole variables are rounded to whole values before they are returned. HiGHS reports no solutions on its way, so a
    run that is killed leaves none; the time limit is its own and returns the best it has.

    Parameters
    ----------
    presolve : whether the program is simplified first.
    gap : relative gap at which the search stops, >= 0; above 0 the answer is FEASIBLE unless bound and value meet.
    node_limit : most branch-and-bound nodes, None for no limit.

    References
    ----------
    Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", Mathematical Programming Computation
    10 (2018), doi:10.1007/s12532-017-0130-5.
    """

    name = "milp"
    solves = ProgramInstance
    needs = ("scipy",)
    role = "exact"
    understands = frozenset({"whole-variables", "continuous-variables", "unbounded-variables"})

    presolve: bool = True
    gap: NonNegativeFloat = 0.0
    node_limit: PositiveInt | None = None

    def refuses(self, instance: ProgramInstance) -> str | None:
        """Programs too large to hold; see `Solver.refuses`."""
        if instance.n_variables > MAX_VARIABLES:
            return f"{instance.n_variables} variables are too many (at most {MAX_VARIABLES})"
        if len(instance.indices) > MAX_ENTRIES:
            return f"{len(instance.indices)} coefficients are too many (at most {MAX_ENTRIES})"
        return beyond(instance)

    def solve(self, instance: ProgramInstance, limits: Limits, rng: np.random.Generator) -> Result:
        del rng  # HiGHS runs with its own fixed seed
        easier = tightened(instance)
        if isinstance(easier, str):
            return Result(None, Status.INFEASIBLE, message=easier)
        if instance.n_variables == 0:
            return Result(ProgramPoint(np.zeros(0)), Status.OPTIMAL, bound=instance.offset)
        easier = scaled(easier)
        if limits.reached():
            return Result(None, limit=Limit.TIME)
        factor = cost_factor(instance)
        found = highs(easier, instance.cost * factor, easier.low, easier.high, self._options(limits))
        if found.x is None and _limit(found) is None and not _decided(found):
            # Its presolve may leave open whether a program is infeasible or unbounded, or fail in its own tolerances.
            again = {**self._options(limits), "presolve": False}
            found = highs(easier, instance.cost * factor, easier.low, easier.high, again)
        result = self._result(instance, easier, found, factor)
        return weighed(instance, result, doubt(easier, found.x), objective_error(instance, found.x))

    def _options(self, limits: Limits) -> dict[str, float | int | bool]:
        options: dict[str, float | int | bool] = {"presolve": self.presolve, "mip_rel_gap": self.gap}
        if limits.seconds is not None:
            options["time_limit"] = limits.remaining()
        if self.node_limit is not None:
            options["node_limit"] = self.node_limit
        return options

    def _result(self, instance: ProgramInstance, easier: ProgramInstance, found: Any, factor: float) -> Result:
        nodes = {"nodes": int(getattr(found, "mip_node_count", None) or 0)}
        message = str(found.message or "").partition("\n")[0]
        limit = _limit(found)
        bound = _number(getattr(found, "mip_dual_bound", None)) / factor + instance.offset
        if found.x is None:
            if _SAID[_INFEASIBLE] in message:
                return Result(None, Status.INFEASIBLE, stats=nodes, message=message)
            if _SAID[_UNBOUNDED] in message:
                bound, message = -math.inf, "the objective has no lower bound"
            return Result(None, Status.UNKNOWN, limit, bound, nodes, message)
        point = ProgramPoint(whole(easier, found.x))
        value = instance.value(point)
        if found.status == _OPTIMAL and not instance.integral.any():
            bound = value  # a linear program: HiGHS reports no bound of its own
        if counts_whole(instance):
            bound = float(np.ceil(bound - WHOLE))
        if found.status == _OPTIMAL and self.gap == 0.0:
            # Bound and value of one optimum may differ by the engine's tolerance; the lower of the two is the claim.
            return Result(point, Status.OPTIMAL, None, min(bound, value), nodes, message)
        return Result(point, Status.FEASIBLE, limit, min(bound, value), nodes, message)


def _decided(found: Any) -> bool:
    """Whether HiGHS says that there is no optimum; scipy's status 2 alone may also be a model that it did not take."""
    return any(said in str(found.message) for said in _SAID.values())


def _limit(found: Any) -> Limit | None:
    """Which limit stopped HiGHS; scipy knows the node limit by its message only."""
    if "olution limit" in str(found.message):
        return Limit.NODE
    return Limit.TIME if found.status == _LIMIT else None


def _number(value: Any) -> float:
    """A dual bound as scipy reports it: absent or NaN is none."""
    return -math.inf if value is None or math.isnan(value) else float(value)
