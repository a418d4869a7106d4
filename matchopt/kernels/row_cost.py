"""One row against one hardware neuron at one gain: each case goes to the fastest method that is exact for it."""

import numpy as np

from matchopt.kernels.banded import banded_cost, drop_cost
from matchopt.kernels.compiling import inlined, inlined_sum
from matchopt.kernels.runs import nearest_cost, resolve_conflicts
from matchopt.kernels.small_assignment import DROPPED, assign


@inlined
def row_cost(a, b, weights, importance, uniform, cells, variance, n_cells, skip, near, limit, conflicts, best, work):
    """Cost of the optimal matching, or any value >= `limit` where the optimum is at least that; spoils `near`.

    `skip` is what each connection costs without a cell, and empty where all need one.
    """
    n, drop = b - a, skip.size > 0
    noisy = variance.size > 0
    if uniform and n > 0 and (drop or n <= n_cells) and _table_is_faster(n, n_cells, noisy, drop):
        if drop:
            return drop_cost(a, b, weights, importance[a], cells, variance, n_cells, skip, best)
        return importance[a] * banded_cost(a, b, weights, cells, variance, n_cells, best)
    return match_row(a, b, weights, importance, uniform, cells, variance, n_cells, skip, near, limit, conflicts, work)


@inlined
def _table_is_faster(n, n_cells, noisy, drop):
    """Whether dynamic programming takes less time than the other method for the case.

    Fitted to the tables of `python benches/kernel_ratios.py --crossover`, which give ns per target for each method, on
    an AMD EPYC 7003. A wrong answer costs time only.
    """
    if drop:
        return n_cells <= (45 if noisy else 15) + 3 * n // 2
    if noisy:
        return n_cells - n <= 90 + 3 * n // 2
    return n_cells - n <= min(n + 4, 22 + n // 32)


@inlined
def match_row(a, b, weights, importance, uniform, cells, variance, n_cells, skip, near, limit, conflicts, work):
    """Like `row_cost`, and `near[a:b]` holds the cells used where the result is below `limit`.

    On entry `near` holds the nearest cells (anything where n_cells is 0).
    """
    drop = skip.size > 0
    if n_cells == 0 or b == a:
        return _without_cells(a, b, skip, near)
    if b - a > n_cells and not drop:
        return np.inf
    if uniform and not drop and variance.size == 0:
        error, found = nearest_cost(a, b, weights, cells, near, conflicts)
        if found and importance[a] * error < limit:
            error += resolve_conflicts(a, b, weights, cells, n_cells, near, conflicts, found)
        return importance[a] * error
    if _weighted_floor(a, b, weights, importance, cells, skip, near) >= limit:
        return np.inf
    return assign(a, b, weights, importance, cells, variance, n_cells, skip, near, work)


@inlined
def scale_cells(gain, cells, variance, n_cells, scaled, noise):
    """Write gain * cells in ascending order, and their noise gain^2 * variance along with them."""
    for k in range(n_cells):
        at = k if gain >= 0.0 else n_cells - 1 - k
        scaled[at] = gain * cells[k]
        if variance.size:
            noise[at] = gain * gain * variance[k]


@inlined
def _without_cells(a, b, skip, near):
    cost = 0.0
    for e in range(a, b):
        near[e] = DROPPED
        cost += skip[e] if skip.size else np.inf
    return cost


@inlined_sum
def _weighted_floor(a, b, weights, importance, cells, skip, near):
    cost = 0.0
    for e in range(a, b):
        difference = weights[e] - cells[near[e]]
        least = importance[e] * (difference * difference)
        if skip.size:
            least = min(least, skip[e])
        cost += least
    return cost
