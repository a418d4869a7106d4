"""The loop that finds the cheapest neurons of each row by lower bounds, compiled; most pairs are given up early.

A row's largest and smallest weights are hardest to match and cost most, so a bound that is summed from both ends
inwards soon tells that a neuron is none of the cheapest.
"""

from typing import no_type_check

import numpy as np

from matchopt.proofs.loops import compiled

BUCKETS = 2  # per cell, of the table that tells where in the cells a weight belongs


@compiled
@no_type_check
def screen(weights, starts, factor, skip, first, value, noise, breakpoints, number, few, bounds, names, left):
    """Keep the pairs of least bound of each row: in `bounds` and `names`, (rows, kept), heaps with the largest on top.

    `starts` are the rows' connections, ascending by weight. Neuron j's cells that are cheapest somewhere are first[j]
    .. first[j + 1] - 1 of `value` and `noise`, and take turns at the `breakpoints` of these places; few[j] is how many
    are usable. `skip` and `noise` may be empty. A name is twice the neuron's number, counted from `number`, plus one
    where the bound is exact. `left` is lowered to the least bound that is not kept. Returns the connections looked at.
    """
    n_rows, n_kept, looked = starts.size - 1, bounds.shape[1], 0
    grid = np.empty(16, np.int64)
    for j in range(first.size - 1):
        n = first[j + 1] - first[j]
        cells, turns = value[first[j] : first[j + 1]], breakpoints[first[j] : first[j] + max(n - 1, 0)]
        spread = noise[first[j] : first[j + 1]] if noise.size else noise
        if grid.size < BUCKETS * n:
            grid = np.empty(BUCKETS * n, np.int64)
        scale = _grid(turns, grid) if n > 0 else 0.0
        for i in range(n_rows):
            a, b = starts[i], starts[i + 1]
            if few[j] < b - a and not skip.size:
                continue
            limit = bounds[i, 0]
            bound, exact, count = _bound(a, b, weights, factor, skip, cells, spread, turns, grid, scale, limit)
            looked += count
            if bound >= limit:
                left[i] = min(left[i], bound)
                continue
            left[i] = min(left[i], limit)
            _replace_top(bounds[i], names[i], n_kept, bound, 2 * (number + j) + exact)
    return looked


@compiled
@no_type_check
def _grid(turns, grid):
    """Fill grid[b] with the number of breakpoints in buckets below b; returns buckets per unit."""
    wide = turns.size > 0 and turns[-1] > turns[0]
    scale = (grid.size - 1) / (turns[-1] - turns[0]) if wide else 0.0
    at = 0
    for k in range(turns.size):
        b = _bucket(turns[k], turns, grid.size, scale)
        while at <= b:
            grid[at] = k
            at += 1
    while at < grid.size:
        grid[at] = turns.size
        at += 1
    return scale


@compiled
@no_type_check
def _bucket(x, turns, size, scale):
    place = (x - turns[0]) * scale if turns.size else 0.0
    return size - 1 if place >= size - 1 else np.int64(place) if place > 0.0 else 0


@compiled
@no_type_check
def _bound(a, b, weights, factor, skip, cells, spread, turns, grid, scale, limit):
    """What connections a .. b-1 cost at least, whether exactly that, and how many were looked at before it passed
    `limit`.

    As `loops.relax` says: connections that want one cell cost what all but one of them lose elsewhere.
    """
    total, clashes, count, n = 0.0, 0, 0, cells.size
    if n == 0:
        for e in range(a, b):
            total += factor[e] * skip[e]
        return total, 1, b - a
    taken_left, taken_right, most_left, most_right = -1, -1, 0.0, 0.0
    while a + count < b and total < limit:
        from_right = count & 1
        e = b - 1 - (count >> 1) if from_right else a + (count >> 1)
        count += 1
        w = weights[e]
        k = grid[_bucket(w, turns, grid.size, scale)]
        while k < n - 1 and turns[k] < w:
            k += 1
        cost = (w - cells[k]) * (w - cells[k])
        if spread.size:
            cost += spread[k]
        dropped = skip.size > 0 and not cost < skip[e]
        total += factor[e] * (skip[e] if dropped else cost)
        elsewhere = cost  # cells that are cheapest nowhere may be second
        if not spread.size:
            elsewhere = _next_best(w, k, cells, skip[e] if skip.size else np.inf)
        more = factor[e] * (elsewhere - cost) if elsewhere < np.inf else 0.0
        taken, most = (taken_right, most_right) if from_right else (taken_left, most_left)
        if dropped:
            taken = -1
        elif taken == k:
            clashes += 1
            total += more if more < most else most
            most = most if more < most else more
        else:
            taken, most = k, more
        if from_right:
            taken_right, most_right = taken, most
        else:
            taken_left, most_left = taken, most
    clashes += taken_left == taken_right and taken_left >= 0
    return total, 1 if clashes == 0 and a + count == b else 0, count


@compiled
@no_type_check
def _next_best(w, k, cells, skip):
    """What a weight costs at least without its nearest cell k: on a neighbour of that, or without any."""
    below = (w - cells[k - 1]) * (w - cells[k - 1]) if k > 0 else np.inf
    above = (w - cells[k + 1]) * (w - cells[k + 1]) if k < cells.size - 1 else np.inf
    below = below if below < above else above
    return below if below < skip else skip


@compiled
@no_type_check
def _replace_top(keys, names, size, key, name):
    """Exchange the largest of a heap for another."""
    at = 0
    while True:
        child = 2 * at + 1
        if child + 1 < size and keys[child + 1] > keys[child]:
            child += 1
        if child >= size or keys[child] <= key:
            break
        keys[at], names[at] = keys[child], names[child]
        at = child
    keys[at], names[at] = key, name
