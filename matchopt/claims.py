"""What a claim of an engine that computes in floats is worth: the one place where engines' words are weighed."""

import math
from dataclasses import replace

import numpy as np

from matchopt.instances import ProgramInstance, ProgramPoint
from matchopt.solver import Result, Status

PRECISION = 1e-6  # of an objective, or of the least cost if that is more: how well an engine must tell it
ROUNDING = 2.0**-50  # relative; by how much the float sum of a row's terms may be off


def weighed(instance: ProgramInstance, result: Result, doubt: str = "", error: float = 0.0) -> Result:
    """The result of an engine without a claim that it cannot make, the message saying so.

    A claim that a point is optimal needs a point that keeps rows of whole variables to the letter, not within the
    tolerances of engines: for what they let pass, others may be the better ones.

    Parameters
    ----------
    instance : the program as it was given.
    result : what the engine says; its solution is a point of `instance`.
    doubt : why the numbers are outside the range in which the engine is sound, such as "its coefficients span 15
        digits"; then no claim and no bound stands. Empty if they are not.
    error : by how much the engine may misjudge an objective, >= 0.
    """
    reason = doubt
    if not doubt and result.status is Status.OPTIMAL and isinstance(result.solution, ProgramPoint):
        reason = _within_tolerances(instance, result.solution)
        least = float(np.abs(instance.cost[instance.cost != 0.0]).min(initial=np.inf))
        if not reason and error > PRECISION * max(abs(instance.value(result.solution)), least):
            reason = f"it knows objectives of this size to within {error:.1g} only"
    if not reason or (result.status not in (Status.OPTIMAL, Status.INFEASIBLE) and not doubt):
        return result
    status = {Status.OPTIMAL: Status.FEASIBLE, Status.INFEASIBLE: Status.UNKNOWN}.get(result.status, result.status)
    said = f"the engine's word, {result.status}, is not taken: {reason}" if status is not result.status else ""
    bound = -math.inf if doubt else result.bound
    return replace(result, status=status, bound=bound, message="; ".join(filter(None, [said, result.message])))


def _within_tolerances(instance: ProgramInstance, point: ProgramPoint) -> str:
    """Which row of whole variables holds within tolerances only; empty if all hold."""
    if not instance.n_rows:
        return ""
    row_of = np.repeat(np.arange(instance.n_rows), np.diff(instance.indptr))
    terms = instance.coefficients * point.x[instance.indices]
    activity, size = (np.bincount(row_of, part, instance.n_rows) for part in (terms, np.abs(terms)))
    broken = np.bincount(row_of, ~instance.integral[instance.indices], instance.n_rows) == 0
    slack = ROUNDING * size
    broken &= (activity > instance.row_high + slack) | (activity < instance.row_low - slack)
    return f"row {instance.row_name(int(np.argmax(broken)))} holds within tolerances only" if broken.any() else ""
