"""Exact matching of one row with one hardware neuron by shortest augmenting paths, for any importances.

Needed where importance differs within a row (then the best matching may cross), and fast wherever cells are plenty.
Cells are sorted, so the cost of a target rises to both sides of its nearest cell, apart from read noise, which is never
negative. Prices of cells are never positive. A scan that walks outwards from the nearest cell may therefore stop as
soon as the squared error alone reaches the best free cell found so far: only a handful of cells are looked at. A target
that may stay without a cell has a private dummy cell at the cost of that.

References: Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52(4),
2016, 10.1109/TAES.2016.140952.
"""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import compiled, inlined

DROPPED = -1


class Workspace(NamedTuple):
    """Scratch of `assign`: of each target its cell `used` and its price; of each cell its owner, price, distance, the
    target `via` which it was reached; and the cells `touched`, with the distances of those that are `settled`."""

    used: Any
    price_of_target: Any
    owner: Any
    price_of_cell: Any
    distance: Any
    via: Any
    touched: Any
    settled: Any


@compiled
def workspace(n_targets, n_cells):
    """Scratch of `assign` for rows of at most `n_targets` targets."""
    return Workspace(
        np.full(n_targets, DROPPED, np.int32), np.zeros(n_targets), np.full(n_cells, -1, np.int32), np.zeros(n_cells),
        np.full(n_cells, np.inf), np.empty(n_cells, np.int32), np.empty(n_cells, np.int32), np.empty(n_cells),
    )  # fmt: skip


@inlined
def assign(a, b, weights, importance, cells, variance, n_cells, skip, near, work):
    """Cost of the optimal matching; on return `near[a:b]` holds the cells used, -1 for a target without one.

    On entry `near` holds the nearest cells. Needs b - a <= n_cells where `skip`, the cost of targets without a cell, is
    empty; and n_cells >= 1. `variance` may be empty. `work` comes from `workspace` and is left as it was found.
    """
    used, price_of_target, owner, price_of_cell = work.used, work.price_of_target, work.owner, work.price_of_cell
    for e in range(a, b):
        price_of_target[e - a] = 0.0
        used[e - a] = DROPPED
    for e in range(a, b):
        _augment(e, a, weights, importance, cells, variance, n_cells, skip, near, work)
    cost = 0.0
    for e in range(a, b):
        k = used[e - a]
        near[e] = k
        if k >= 0:
            owner[k] = -1
            price_of_cell[k] = 0.0
            difference = weights[e] - cells[k]
            cost += importance[e] * (difference * difference + (variance[k] if variance.size else 0.0))
        else:
            cost += skip[e]
    return cost


@inlined
def _augment(new, a, weights, importance, cells, variance, n_cells, skip, near, work):
    """Bring target `new` into the matching by a shortest augmenting path (Crouse, section III)."""
    price_of_target, owner, price_of_cell = work.price_of_target, work.owner, work.price_of_cell
    distance, touched, settled = work.distance, work.touched, work.settled
    n_touched, n_settled = 0, 0
    best = np.inf  # length of the shortest path to a free cell or a drop, which ends at (end, end_cell)
    end, end_cell = new, DROPPED
    e = new
    length = 0.0
    while True:
        offset = length - price_of_target[e - a]
        if skip.size and offset + skip[e] < best:
            best, end, end_cell = offset + skip[e], e, DROPPED
        free, reach, n_touched = _scan(
            e, offset, best, n_touched, weights, importance, cells, variance, n_cells, near, work
        )
        if free >= 0:
            best, end, end_cell = reach, e, free
        at = _nearest_touched(touched, n_settled, n_touched, distance)
        if at < 0 or distance[touched[at]] >= best:
            break
        k = touched[at]
        touched[at] = touched[n_settled]
        touched[n_settled] = k
        length = distance[k]
        settled[n_settled] = length
        distance[k] = -np.inf  # rounding must not reopen a settled cell
        n_settled += 1
        e = owner[k]
    price_of_target[new - a] += best
    for i in range(n_settled):
        k = touched[i]
        price_of_cell[k] += settled[i] - best
        price_of_target[owner[k] - a] += best - settled[i]
    for i in range(n_touched):
        distance[touched[i]] = np.inf
    _shift_along(end, end_cell, new, a, work)


@inlined
def _scan(e, offset, best, n_touched, weights, importance, cells, variance, n_cells, near, work):
    """Extend paths to the cells that target e can reach in less than `best`.

    Returns the free cell reached in least, or -1, the length of that path, and the number of touched cells.
    """
    owner, distance, touched = work.owner, work.distance, work.touched
    free = -1
    for side in range(2):
        step = 2 * side - 1
        k = near[e] + side
        while 0 <= k < n_cells:
            difference = weights[e] - cells[k]
            reach = offset + importance[e] * difference * difference
            if reach >= best:
                break
            if variance.size:
                reach += importance[e] * variance[k]
            reach -= work.price_of_cell[k]
            if owner[k] < 0:
                if reach < best:
                    best, free = reach, k
            elif reach < distance[k]:
                if distance[k] == np.inf:
                    touched[n_touched] = k
                    n_touched += 1
                distance[k] = reach
                work.via[k] = e
            k += step
    return free, best, n_touched


@inlined
def _nearest_touched(touched, n_settled, n_touched, distance):
    at = -1
    least = np.inf
    for i in range(n_settled, n_touched):
        if distance[touched[i]] < least:
            least = distance[touched[i]]
            at = i
    return at


@inlined
def _shift_along(e, k, new, a, work):
    """Give cell k to target e, the cell e had to the target before it on the path, and so on up to `new`."""
    while True:
        had = work.used[e - a]
        work.used[e - a] = k
        if k >= 0:
            work.owner[k] = e
        if e == new:
            return
        k = had
        e = work.via[k]
