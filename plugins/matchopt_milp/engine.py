"""HiGHS through scipy, with the precautions it needs on the way in and out."""

from typing import Any

import numpy as np

from matchopt import ProgramInstance, ProgramPoint, Result, Status

BROKEN = 1e-7  # a row that misses its bounds by more after rounding is repaired; a tenth of the usual tolerance


def highs(
    instance: ProgramInstance,
    cost: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    options: dict[str, float | int | bool],
) -> Any:
    """scipy.optimize.milp on the rows of `instance` under another objective and other bounds."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    shape = (instance.n_rows, instance.n_variables)
    rows = csr_array((instance.coefficients, instance.indices, instance.indptr), shape=shape)
    return milp(
        cost,
        integrality=instance.integral.astype(np.uint8),
        bounds=Bounds(low, high),
        constraints=LinearConstraint(rows, instance.row_low, instance.row_high) if instance.n_rows else None,
        options=options,
    )


def whole(instance: ProgramInstance, x: np.ndarray) -> np.ndarray:
    """`x` with its whole variables whole; where that breaks a row the others are solved for again."""
    low = np.where(instance.integral, np.ceil(instance.low), instance.low)
    high = np.where(instance.integral, np.floor(instance.high), instance.high)
    rounded = np.clip(np.where(instance.integral, np.round(x), x), low, high)
    if _misses(instance, rounded) <= max(BROKEN, _misses(instance, x)) or bool(instance.integral.all()):
        return rounded
    fixed = highs(
        instance,
        instance.cost,
        np.where(instance.integral, rounded, low),
        np.where(instance.integral, rounded, high),
        {},
    )
    # Still within the engine's own tolerance of whole values if even that fails.
    return x if fixed.x is None else np.where(instance.integral, rounded, fixed.x)


def _misses(instance: ProgramInstance, x: np.ndarray) -> float:
    """How far the worst row is outside its bounds."""
    row_of = np.repeat(np.arange(instance.n_rows), np.diff(instance.indptr))
    terms = instance.coefficients * x[instance.indices]
    activity = np.bincount(row_of, weights=terms, minlength=instance.n_rows)
    return float(np.maximum(activity - instance.row_high, instance.row_low - activity).max(initial=0.0))


def without_engine(instance: ProgramInstance) -> Result | None:
    """The answer where HiGHS need not or should not be asked: crossed bounds, impossible empty rows, no variables."""
    if bool((instance.low > instance.high).any()):
        v = int(np.argmax(instance.low > instance.high))
        return Result(None, Status.INFEASIBLE, message=f"the bounds of variable {instance.variable_name(v)} cross")
    empty = np.diff(instance.indptr) == 0
    wrong = (instance.row_low > instance.row_high) | (empty & ((instance.row_low > 0) | (instance.row_high < 0)))
    if bool(wrong.any()):
        row = instance.row_name(int(np.argmax(wrong)))
        return Result(None, Status.INFEASIBLE, message=f"the bounds of row {row} cannot be met")
    if instance.n_variables == 0:
        return Result(ProgramPoint(np.zeros(0)), Status.OPTIMAL, bound=instance.offset)
    return None
