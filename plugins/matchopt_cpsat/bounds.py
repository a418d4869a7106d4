"""Finite whole bounds for every variable, taken from the rows where the instance gives none."""

import math

import numpy as np

from matchopt import ProgramInstance

PASSES = 10  # over all rows; a chain of more rows that bound one another is left unbounded
LARGEST = 2.0**53  # a value up to here is exact as a float, which a point is made of
SLACK = 1e-6  # relative; what a derived bound is widened by before it is rounded to a whole number


def whole_bounds(instance: ProgramInstance) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of each variable, whole or infinite.

    An infinite bound is replaced by the one that a row implies given the bounds of its other variables, as far as that
    goes; finite ones are only rounded inwards.
    """
    low, high = np.ceil(instance.low), np.floor(instance.high)
    for _ in range(PASSES):
        if bool(np.isfinite(low).all() and np.isfinite(high).all()):
            break
        changed = False
        for r in range(instance.n_rows):
            variables, coefficients = instance.row(r)
            if not bool(np.isfinite(low[variables]).all() and np.isfinite(high[variables]).all()):
                changed |= _tighten(variables, coefficients, float(instance.row_high[r]), low, high)
                changed |= _tighten(variables, -coefficients, -float(instance.row_low[r]), low, high)
        if not changed:
            break
    return low, high


def _tighten(variables: np.ndarray, coefficients: np.ndarray, most: float, low: np.ndarray, high: np.ndarray) -> bool:
    """Use sum of coefficients * x <= most for the infinite bounds of `variables`; whether one became finite."""
    if math.isinf(most):
        return False
    used = coefficients != 0
    variables, coefficients = variables[used], coefficients[used]
    least = np.where(coefficients > 0, coefficients * low[variables], coefficients * high[variables])
    open_ends = np.flatnonzero(np.isinf(least))
    if len(open_ends) > 1:
        return False
    changed = False
    for at in open_ends if len(open_ends) else range(len(variables)):
        v, a = variables[at], coefficients[at]
        rest = float(np.delete(least, at).sum())
        end = (most - rest) / a
        room = SLACK * max(1.0, abs(end), abs(rest / a))
        if a > 0 and math.isinf(high[v]):
            high[v], changed = math.floor(end + room), True
        elif a < 0 and math.isinf(low[v]):
            low[v], changed = math.ceil(end - room), True
    return changed
