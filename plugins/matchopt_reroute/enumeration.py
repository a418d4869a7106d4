"""The exact cost of one row on one hardware neuron: an integer least-squares problem with distinct cells.

With S = R^T R, R upper triangular, the error of a row is a sum over its inputs of (R_ll d_l + sum over m > l of
R_lm d_m)^2, d = target - realised weights. Inputs are decided from the last to the first; at each the free cells are
tried in order of their distance from the weight that would leave no error there, and a branch ends where its error
reaches the best known (sphere decoding; C. P. Schnorr, M. Euchner, Mathematical Programming 66, 1994,
10.1007/BF01581144). Cells are in ascending order.
"""

from typing import Any

import numpy as np
from numba import njit

NONE, DROPPED = -2, -1


@njit(cache=True, nogil=True, error_model="numpy")
def nearest(cells: Any, centre: Any) -> Any:
    """Number of cells below `centre`."""
    low, high = 0, cells.size
    while low < high:
        middle = (low + high) // 2
        if cells[middle] < centre:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True, error_model="numpy")
def next_choice(level: Any, centre: Any, cells: Any, used: Any, low: Any, high: Any, droppable: Any) -> Any:
    """The free cell nearest to `centre` that has not been tried at this level, DROPPED for none at all, or NONE."""
    while low[level] >= 0 and used[low[level]]:
        low[level] -= 1
    while high[level] < cells.size and used[high[level]]:
        high[level] += 1
    below = centre - cells[low[level]] if low[level] >= 0 else np.inf
    above = cells[high[level]] - centre if high[level] < cells.size else np.inf
    if droppable[level] and abs(centre) <= min(below, above):
        droppable[level] = False
        return DROPPED
    if below == np.inf and above == np.inf:
        return NONE
    if below <= above:
        low[level] -= 1
        return low[level] + 1
    high[level] += 1
    return high[level] - 1


@njit(cache=True, nogil=True, error_model="numpy")
def open_level(
    level: Any, factor: Any, target: Any, cells: Any, missing: Any, rest: Any, centre: Any, low: Any, high: Any
) -> None:
    """Set what the levels above leave for this one, and the weight that would undo it."""
    rest[level] = 0.0
    for m in range(level + 1, target.size):
        rest[level] += factor[level, m] * missing[m]
    centre[level] = target[level]
    if factor[level, level] > 0.0:
        centre[level] += rest[level] / factor[level, level]
    high[level] = nearest(cells, centre[level])
    low[level] = high[level] - 1


@njit(cache=True, nogil=True, error_model="numpy")
def least_error(factor: Any, target: Any, power: Any, cells: Any, noise: Any, drop: Any, limit: Any, budget: Any,
                at: Any) -> Any:  # fmt: skip
    """The least error below `limit`, or `limit` if there is none; the nodes visited; whether the search ended.

    `at` receives the cell of each input, DROPPED for none, where an error below `limit` is found.
    """
    n = target.size
    used = np.zeros(cells.size, np.bool_)
    low, high = np.empty(n, np.int64), np.empty(n, np.int64)
    droppable, chosen = np.zeros(n, np.bool_), np.full(n, NONE, np.int64)
    error, centre, rest, missing = np.zeros(n + 1), np.zeros(n), np.zeros(n), np.zeros(n)
    best, nodes, level, entering = limit, 0, n - 1, True
    if n == 0:
        return min(best, 0.0), 0, True
    while level < n:
        if entering:
            open_level(level, factor, target, cells, missing, rest, centre, low, high)
            droppable[level], chosen[level] = drop, NONE
        elif chosen[level] >= 0:
            used[chosen[level]] = False
        k = next_choice(level, centre[level], cells, used, low, high, droppable)
        weight = cells[k] if k >= 0 else 0.0
        short = rest[level] + factor[level, level] * (target[level] - weight)
        reach = error[level + 1] + short * short
        chosen[level], entering = k, False
        if k == NONE or reach >= best:
            chosen[level] = NONE
            level += 1
            continue
        nodes += 1
        if nodes > budget:
            return best, nodes, False
        if k >= 0:
            reach += noise[k] * power[level]
            used[k] = True
        if reach >= best:
            continue
        error[level] = reach
        missing[level] = target[level] - weight
        if level == 0:
            best = reach
            at[:] = chosen
        else:
            level -= 1
            entering = True
    return best, nodes, True


@njit(cache=True, nogil=True, error_model="numpy")
def least_errors(neurons: Any, factor: Any, target: Any, power: Any, cells: Any, noise: Any, count: Any, drop: Any,
                 budget: Any, best: Any, ended: Any, at: Any) -> Any:  # fmt: skip
    """`least_error` of one row on several neurons, one line of `best`, `ended` and `at` for each; returns the nodes.

    On entry `best` holds the limits; `at` is filled where something better is found.
    """
    nodes = 0
    for t in range(neurons.size):
        j = neurons[t]
        best[t], visited, ended[t] = least_error(
            factor, target, power, cells[j, : count[j]], noise[j, : count[j]], drop, best[t], budget, at[t]
        )
        nodes += visited
    return nodes
