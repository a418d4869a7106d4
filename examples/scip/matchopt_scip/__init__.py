"""Integer programs by SCIP."""

import math
from dataclasses import dataclass

import numpy as np

from matchopt import Limit, NonNegativeFloat, ProgramInstance, ProgramPoint, Result, Solver, Status, hookimpl, weighed

LARGEST = 1e20  # what SCIP takes for infinite
WIDE = 1e9  # span of the numbers of a program beyond which its tolerances, 1e-6 and 1e-9, are not trusted
LIMITS = {
    "timelimit": Limit.TIME,
    "memlimit": Limit.MEMORY,
    "nodelimit": Limit.NODE,
    "userinterrupt": Limit.INTERRUPTED,
}


@dataclass(frozen=True)
class Scip(Solver):
    """Branch and cut by SCIP, which works in floats with its usual tolerances.

    Parameters
    ----------
    gap : relative gap at which the search stops, >= 0; above 0 no answer is claimed to be optimal.
    """

    name = "scip"
    solves = ProgramInstance
    needs = ("pyscipopt",)
    gap: NonNegativeFloat = 0.0

    def refuses(self, instance):
        """Numbers that SCIP takes for infinite; see `Solver.refuses`."""
        ends = np.concatenate([instance.low, instance.high, instance.row_low, instance.row_high, instance.cost])
        if (np.isfinite(ends) & (np.abs(ends) >= LARGEST)).any():
            return "it has numbers of 1e20 and beyond, which SCIP takes for infinite"
        return None

    def solve(self, instance, limits, rng):
        """See `Solver.solve`."""
        del rng  # SCIP runs with its own fixed seed
        if (instance.low > instance.high).any() or (instance.row_low > instance.row_high).any():
            return Result(None, Status.INFEASIBLE, message="a lower bound is above its upper one")
        empty = np.diff(instance.indptr) == 0
        if ((instance.row_low > 0) | (instance.row_high < 0))[empty].any():
            return Result(None, Status.INFEASIBLE, message="a row without variables cannot hold")
        if limits.reached():
            return Result(None, limit=Limit.TIME)
        scale = self._scale(instance)
        model, variables = self._model(instance, limits, scale)
        model.optimize()
        found = model.getStatus()
        if found == "infeasible":
            return weighed(instance, Result(None, Status.INFEASIBLE), doubt(instance))
        bound = (
            model.getDualbound() / scale + instance.offset if found in ("optimal", *LIMITS, "gaplimit") else -math.inf
        )
        bound = bound if abs(bound) < LARGEST else -math.inf
        if model.getNSols() == 0:
            return Result(None, Status.UNKNOWN, LIMITS.get(found), bound, message=f"SCIP says: {found}")
        x = np.array([model.getVal(variable) for variable in variables])
        x = np.clip(np.where(instance.integral, np.round(x), x), instance.low, instance.high)
        point = ProgramPoint(x)
        bound = min(bound, instance.value(point))
        if found != "optimal" or self.gap > 0:
            return weighed(instance, Result(point, Status.FEASIBLE, LIMITS.get(found), bound), doubt(instance))
        return weighed(instance, Result(point, Status.OPTIMAL, None, bound), doubt(instance))

    def _scale(self, instance):
        """A power of two that brings the largest cost to 1e3 .. 1e6: SCIP's tolerances are absolute."""
        largest = float(np.abs(instance.cost).max(initial=0.0))
        return 1.0 if largest == 0.0 else 2.0 ** (15 - math.frexp(largest)[1])

    def _model(self, instance, limits, scale):
        from pyscipopt import Model, quicksum

        model = Model()
        model.hideOutput()
        model.setParam("limits/gap", self.gap)
        model.setParam("parallel/maxnthreads", limits.threads)
        if limits.seconds is not None:
            model.setParam("limits/time", limits.remaining())
        low, high = (np.where(np.isinf(ends), None, ends).tolist() for ends in (instance.low, instance.high))
        kinds = np.where(instance.integral, "I", "C").tolist()
        variables = [model.addVar(vtype=k, lb=a, ub=b) for k, a, b in zip(kinds, low, high, strict=True)]
        for i in range(instance.n_rows):
            terms = [a * variables[v] for v, a in zip(*(part.tolist() for part in instance.row(i)), strict=True)]
            low, high = float(instance.row_low[i]), float(instance.row_high[i])
            if not terms:
                continue  # `solve` has seen to it
            total = quicksum(terms)
            if low > -math.inf:
                model.addCons(total >= low)
            if high < math.inf:
                model.addCons(total <= high)
        cost = (instance.cost * scale).tolist()
        model.setObjective(quicksum(c * variable for c, variable in zip(cost, variables, strict=True)), "minimize")
        return model, variables


def doubt(instance):
    """Why a claim of SCIP's about this program does not count; empty where it does."""
    for what, numbers in (("coefficients", instance.coefficients), ("costs", instance.cost)):
        size = np.abs(numbers[numbers != 0])
        if len(size) and size.max() > WIDE * size.min():
            return f"its {what} span more than {WIDE:.0e}"
    return ""


@hookimpl
def register_solvers(register):
    """See matchopt's hook of this name."""
    register(Scip)
