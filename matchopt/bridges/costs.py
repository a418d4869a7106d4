"""Costs as engines take them, all pairs allowed and perhaps square, and what their columns say of the instance."""

from typing import Any

import numpy as np
from jaxtyping import Num

from matchopt.errors import PluginError
from matchopt.instances import Assignment, AssignmentInstance
from matchopt.instances.assignment import MAX_DENSE
from matchopt.solver import Result, Status

EXACT = 2**53  # floats tell whole numbers apart up to here
WHOLE = 2**62  # whole costs and their sums stay below, for whoever computes in 64 bits, as `plain_costs` does
UNDERSTOOD = frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"})


def too_much(instance: AssignmentInstance, whole: int) -> str | None:
    """Why the costs cannot be given with all pairs allowed, and every sum finite, or None.

    Parameters
    ----------
    instance : what is to be solved.
    whole : the most that sums of whole costs may be, at most `WHOLE`.
    """
    most = whole if instance.is_integral else np.finfo(float).max
    if instance.n_cols * instance.n_cols > MAX_DENSE:
        return f"{instance.n_rows} x {instance.n_cols} costs are too many to list (at most {MAX_DENSE})"
    worst = (instance.n_rows + 1) * abs(_price(instance))
    return f"sums of its costs may pass {most:.3g}, beyond which the engine is not exact" if worst > most else None


def plain_costs(instance: AssignmentInstance, square: bool = False) -> Num[np.ndarray, "rows cols"]:
    """All costs as finite numbers, whole ones whole: a forbidden pair costs more than any allowed assignment can gain.

    Parameters
    ----------
    instance : for which `too_much` finds nothing.
    square : whether rows of zeros are added until there are as many as columns.
    """
    rows, columns, costs = instance.pairs()
    dtype = np.int64 if instance.is_integral else np.float64
    full = np.zeros((instance.n_cols if square else instance.n_rows, instance.n_cols), dtype)
    full[: instance.n_rows] = _price(instance)
    full[rows, columns] = costs
    return full


def result_of(instance: AssignmentInstance, columns: Any, exact: bool) -> Result:
    """The result that an engine's columns are: one for each row, those of added rows behind them.

    Raises
    ------
    PluginError
        when they are no columns of their own for every row.
    """
    try:
        found = np.asarray(columns)[: instance.n_rows].astype(np.float64)
    except (TypeError, ValueError, IndexError):
        raise PluginError(f"columns are needed, one for each row; found {str(columns)[:60]!r}") from None
    if found.shape != (instance.n_rows,):
        raise PluginError(f"columns for {instance.n_rows} rows are needed, found shape {found.shape}")
    wrong = ~((found >= 0) & (found < instance.n_cols) & (found == np.floor(found)))
    if wrong.any():
        raise PluginError(f"columns must be in 0 .. {instance.n_cols - 1}, found {found[wrong][0]:g}")
    if len(np.unique(found)) < len(found):
        raise PluginError("a column is given to two rows")
    solution = Assignment(found.astype(np.int64))
    if np.isinf(instance.value(solution)):  # by a forbidden pair, which nobody takes who need not
        return Result(None, Status.INFEASIBLE if exact else Status.UNKNOWN, message="a forbidden pair was taken")
    return Result(solution, Status.OPTIMAL if exact else Status.FEASIBLE)


def _price(instance: AssignmentInstance) -> int | float:
    """Of a forbidden pair; the largest cost where all are allowed."""
    *_, costs = instance.pairs()
    if not len(costs):
        return 1
    low, high = min(costs.tolist()), max(costs.tolist())
    if len(costs) == instance.n_rows * instance.n_cols:
        largest: int | float = max(high, -low)
        return largest
    above: int | float = high + (instance.n_rows + 1) * (high - low or abs(high) or 1)
    return above
