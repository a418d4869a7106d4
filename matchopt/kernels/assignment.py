"""Linear assignment of a dense cost matrix, by whichever engine is asked for."""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Int

from matchopt.errors import InvalidInstance, InvalidOption, MissingExtra

Engine = Literal["scipy", "lap", "compiled", "auto"]
COMPILED = 2**14  # pairs from which "auto" takes the compiled engine; below, loading it takes longer than solving
ENORMOUS = 2.0**900  # float costs beyond are scaled by a power of two, so that sums over rows stay finite
# Sums of at most EXACT are exact in the float engines. Potentials are lengths of alternating paths, so at most
# (rows + 2) * spread; 4 is a margin for the auction phase of Jonker and Volgenant, which may overshoot for a while.
EXACT, MARGIN = 2**53, 4


def assign(cost: Any, *, engine: Engine = "scipy") -> Int[np.ndarray, " rows"] | None:
    """Give every row a column of its own, at least cost in all.

    Parameters
    ----------
    cost : cost of each row on each column, shape (rows, columns), real numbers or integers, no NaN; inf forbids a pair.
    engine : "scipy" is scipy's dense engine, "compiled" this project's own (measured 4 to 16 times as fast on pair
        costs of layers, and faster on every other family tried), "lap" that of the package lapx (0.11 or later; up to
        twice as slow as scipy's on product costs). "auto" is "compiled" from 2^14 pairs on, below it lap where that is
        installed. Of equally cheap assignments each engine has its own.

    Returns
    -------
    The column of each row, or None where no assignment avoids forbidden pairs.

    Raises
    ------
    InvalidInstance
        when `cost` has not two axes, holds NaN, -inf or no real numbers, or is of integers too far apart for exact sums
        in double precision.
    InvalidOption
        when there is no such engine.
    MissingExtra
        when `engine` is "lap" and lapx is not installed.

    Examples
    --------
    >>> import matchopt
    >>> matchopt.assign([[4.0, 1.0, 3.0], [2.0, 0.0, 5.0]]).tolist()
    [1, 0]
    >>> matchopt.assign([[float("inf"), 1.0], [float("inf"), 2.0]]) is None
    True
    """
    if engine not in get_args(Engine):
        raise InvalidOption(f"engine must be auto, compiled, scipy or lap, found {engine!r}")
    floats = _as_floats(np.asarray(cost))
    n_rows, n_cols = floats.shape
    if n_rows == 0 or n_rows > n_cols:
        return np.zeros(0, np.int64) if n_rows == 0 else None
    chosen = engine_for(floats.size) if engine == "auto" else engine
    if chosen == "compiled":
        return _compiled(floats)
    lap = None if chosen == "scipy" else find_lap()
    if chosen == "lap" and lap is None:
        raise MissingExtra("an assignment with engine=lap", "lapx", "engines")
    return _placed(floats, lap) if lap is not None else _placed(floats, _scipy)


def engine_for(n_pairs: int) -> Engine:
    """What "auto" is for a matrix of so many pairs.

    Parameters
    ----------
    n_pairs : number of pairs, forbidden ones included.
    """
    if n_pairs >= COMPILED:
        return "compiled"
    return "scipy" if find_lap() is None else "lap"


def sums_are_exact(least: int, most: int, n_rows: int) -> bool:
    """Whether `assign` is exact on integer costs.

    Parameters
    ----------
    least, most : smallest and largest cost.
    n_rows : number of rows, whose costs are summed.
    """
    return MARGIN * (n_rows + 2) * (most - least + 1) <= EXACT


def find_lap() -> Callable[[np.ndarray], Any] | None:
    """The engine of lapx (0.11 or later), None where it is not installed.

    The package lap installs a module of the same name, which lacks this engine.
    """
    try:
        from lap import lapjvr
    except ImportError:
        return None
    return lambda cost: lapjvr(cost, extend_cost=True, return_cost=False)[1]


def _scipy(cost: np.ndarray) -> Any:
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(cost)[1]


def _compiled(cost: np.ndarray) -> np.ndarray | None:
    from matchopt.kernels.augmenting import shortest_paths  # brings numba

    found = shortest_paths(cost)
    return None if found is None else found[0]


def _as_floats(cost: np.ndarray) -> np.ndarray:
    """The costs less a constant, or times a power of two: the same optimum, and no sum that rounds or overflows."""
    if cost.ndim != 2:
        raise InvalidInstance(f"cost must have two axes, rows and columns, found shape {cost.shape}")
    if cost.dtype.kind not in "biuf" and cost.size:
        raise InvalidInstance(f"cost must hold real numbers, found type {cost.dtype}")
    if cost.dtype.kind in "iu" and cost.size:
        least, most = int(cost.min()), int(cost.max())
        if not sums_are_exact(least, most, len(cost)):
            raise InvalidInstance(f"cost: integers from {least} to {most} are too far apart for exact sums as floats")
        wide = cost.astype(f"{cost.dtype.kind}8")  # differences of small types overflow
        return np.asarray(wide - wide.dtype.type(least), np.float64)
    floats = np.asarray(cost, np.float64)
    lowest, highest = float(floats.min(initial=0.0)), float(floats.max(initial=0.0))  # NaN if one is
    if math.isnan(lowest) or lowest == -math.inf:
        raise InvalidInstance("cost must hold no NaN and no -inf; inf forbids a pair")
    if highest == math.inf:
        highest = float(floats.max(initial=0.0, where=floats < math.inf))
    return floats * 2.0**-128 if max(-lowest, highest) > ENORMOUS else floats


def _placed(cost: np.ndarray, engine: Callable[[np.ndarray], Any]) -> np.ndarray | None:
    """The engine's assignment, if it is one of allowed pairs."""
    try:
        col_of = np.asarray(engine(cost), np.int64)
    except ValueError:  # infeasible, or in lap reduced costs that overflow
        return None if engine is _scipy else _placed(cost, _scipy)
    rows = np.arange(len(cost))
    if len(col_of) == len(cost) and bool((col_of >= 0).all()) and bool(np.isfinite(cost[rows, col_of]).all()):
        return col_of
    return None if engine is _scipy else _placed(cost, _scipy)
