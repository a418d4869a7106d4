"""HiGHS through scipy, with the precautions it needs on the way in and out."""

from typing import Any

import numpy as np

from matchopt import ProgramInstance
from matchopt_milp.scaling import row_ends, row_factors

NO_BOUND = 1e20  # what HiGHS takes for no bound at all
SWITCH = 1e6  # of a whole variable's coefficient over a continuous one's: HiGHS takes 1e-6 for a whole number
SPAN = 1e9  # of coefficients within a row, and the reach of whole variables: beyond, claims were found to be false
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


def beyond(instance: ProgramInstance) -> str | None:
    """Why HiGHS would misread the program: it has finite bounds that the engine takes for none."""
    factor = row_factors(instance)
    for bounds, named in (
        (instance.low, "variable {}".format),
        (instance.high, "variable {}".format),
        (instance.row_low * factor, "row {}".format),
        (instance.row_high * factor, "row {}".format),
    ):
        wrong = np.isfinite(bounds) & (np.abs(bounds) >= NO_BOUND)
        if wrong.any():
            at = int(np.argmax(wrong))
            name = named(instance.variable_name(at) if named(0)[0] == "v" else instance.row_name(at))
            return f"{name} has the bound {bounds[at]:g}, and HiGHS takes 1e20 and beyond for no bound"
    return None


def doubt(instance: ProgramInstance, x: np.ndarray | None) -> str:
    """Why no claim of HiGHS about these (scaled) rows counts; empty if they are in the range where its claims held."""
    size, whole = np.abs(instance.coefficients), instance.integral[instance.indices]
    used, mixed = np.where(size > 0.0, size, np.nan), np.where(whole | (size == 0.0), np.nan, size)
    for most, least, largest in (
        (SPAN, row_ends(instance, used)[0], row_ends(instance, used)[1]),
        (SWITCH, row_ends(instance, mixed)[0], row_ends(instance, np.where(whole, size, np.nan))[1]),
    ):
        wide = largest > most * least
        if wide.any():
            i = int(np.argmax(wide))
            return f"the coefficients of row {instance.row_name(i)} span {largest[i] / least[i]:.0e}"
    reach = np.abs(np.stack([instance.low, instance.high])) if x is None else np.abs(x)[None]
    far = instance.integral & ((reach > SPAN) & np.isfinite(reach)).any(axis=0)
    return f"whole variable {instance.variable_name(int(np.argmax(far)))} goes beyond {SPAN:.0e}" if far.any() else ""


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
