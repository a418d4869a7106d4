"""The loops that proofs of large layers spend their time in, compiled; for small ones NumPy is as quick as loading.

They share nothing with the kernels: the relaxation of `separable`, the dynamic program of `inner`, the sums of cells of
`hard_wired`.
"""

from typing import Any, no_type_check

import numpy as np
from numba import njit


def compiled(function: Any) -> Any:
    """Compile, and keep the code on disk where there is a place for it."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # an installation that may not be written to, of a user without a home
        return njit(nogil=True, error_model="numpy")(function)


@compiled
@no_type_check
def relax(weights, rows, factor, value, noise, breakpoints, skip, n_rows):
    """The cost of every row if several connections may take one cell, raised by what that must cost them.

    Connections are ascending by weight, `value` and `noise` (which may be empty) are the cells that are cheapest
    somewhere, in turn from breakpoint to breakpoint. Of several connections of a row that want one cell all but one go
    elsewhere: to one of its neighbours, without noise, or nowhere, which costs `skip` (empty where all need a cell)
    times the factor. Returns the costs and the numbers of such clashes.
    """
    sums, clashes = np.zeros(n_rows), np.zeros(n_rows, np.int64)
    wanted, most = np.full(n_rows, -1), np.zeros(n_rows)
    k, last, noisy, drop = 0, value.size - 1, noise.size > 0, skip.size > 0
    for e in range(weights.size):
        a, i = weights[e], rows[e]
        while k < last and breakpoints[k] < a:
            k += 1
        cost = (a - value[k]) * (a - value[k])
        if noisy:
            cost += noise[k]
        if drop and not cost < skip[e]:
            sums[i] += factor[e] * skip[e]
            wanted[i] = -1
            continue
        sums[i] += factor[e] * cost
        elsewhere = skip[e] if drop else np.inf
        if noisy:
            elsewhere = cost  # cells that are cheapest nowhere may be second
        else:
            left = (a - value[k - 1]) * (a - value[k - 1]) if k > 0 else np.inf
            right = (a - value[k + 1]) * (a - value[k + 1]) if k < last else np.inf
            left = left if left < right else right  # not min(), which minds what is no number
            elsewhere = left if left < elsewhere else elsewhere
        more = factor[e] * (elsewhere - cost) if elsewhere < np.inf else 0.0  # else the row does not fit
        if wanted[i] == k:
            clashes[i] += 1
            sums[i] += more if more < most[i] else most[i]
            most[i] = most[i] if more < most[i] else more
        else:
            wanted[i], most[i] = k, more
    return sums, clashes


@compiled
@no_type_check
def in_order(weights, starts, n, width, neurons, value, noise, skip, found):
    """Fill `found` with the least cost of an order-preserving matching of n weights from starts[p] on, on neurons[p].

    `value` and `noise` (which may be empty) are the cells of all neurons, ascending by value. Where all weights need a
    cell, weight t takes one of `width` cells that begin n before the first cell not below it, or as near as its band
    t .. t + K - n allows (see `inner.window`): least[d] is the least cost of the weights so far on cells before number
    t + d + 1. Where they may go without, at `skip`, every cell is looked at, and least[d] is that of the weights so far
    on the first d cells.
    """
    n_cells, noisy, drop = value.shape[1], noise.size > 0, skip.size > 0
    least, band = np.empty(n_cells + 1), n_cells - n + 1
    for p in range(starts.size):
        cells, variance = value[neurons[p]], noise[neurons[p] if noisy else 0]
        least[:] = 0.0
        place, low, high, run = 0, 0, 0, 0.0
        for e in range(n):
            a = weights[starts[p] + e]
            if not drop:
                while place < n_cells and cells[place] < a:
                    place += 1
                before, low = low, min(max(place - n - e, 0), band - width)
                if e > 0:  # the window in this weight's count of cells: it moved by `low - before`, one down if not
                    if low < before:
                        least[low:before] = np.inf
                    least[high : low + width] = run
                high = low + width
                run = np.inf
                for d in range(low, high):
                    difference = a - cells[e + d]
                    cost = least[d] + difference * difference
                    if noisy:
                        cost += variance[e + d]
                    run = cost if cost < run else run
                    least[d] = run
                continue
            before_cost, without = least[0], skip[starts[p] + e]
            run = before_cost + without
            least[0] = run
            for k in range(n_cells):
                difference = a - cells[k]
                cost = before_cost + difference * difference
                if noisy:
                    cost += variance[k]
                before_cost = least[k + 1]
                cost = cost if cost < before_cost + without else before_cost + without
                run = cost if cost < run else run
                least[k + 1] = run
        found[p] = least[n_cells] if drop else run


@compiled
@no_type_check
def _all_sums(value, noise):
    """All sums of cells in ascending order, their noise and how many cells they are of."""
    sums, spread, count = np.zeros(1 << value.size), np.zeros(1 << value.size), np.zeros(1 << value.size, np.int64)
    for k in range(value.size):
        for s in range(1 << k):
            at = (1 << k) + s
            sums[at], spread[at], count[at] = sums[s] + value[k], spread[s] + noise[k], count[s] + 1
    order = np.argsort(sums)
    return sums[order], spread[order], count[order]


@compiled
@no_type_check
def nearest_sums(wanted, value, noise, fewest, most, together):
    """The least squared difference plus noise of a sum of `fewest` .. `most` cells, for each weight; inf for none.

    The sums of the first `together` cells are sorted. For every set of the others (one where there are none) the place
    of what is left of each of the ascending weights is found, and sums are looked at on either side until they alone
    are too far away.
    """
    n = min(together, value.size)
    sums, spread, count = _all_sums(value[:n], noise[:n])
    found = np.full(wanted.size, np.inf)
    for others in range(1 << (value.size - n)):
        shift, more, number = 0.0, 0.0, 0
        for k in range(n, value.size):
            if others >> (k - n) & 1:
                shift, more, number = shift + value[k], more + noise[k], number + 1
        if number > most:
            continue
        place = 0
        for e in range(wanted.size):
            a = wanted[e] - shift
            if sums.size > 16 * wanted.size:
                place = np.searchsorted(sums, a)
            while place < sums.size and sums[place] < a:
                place += 1
            for step in (-1, 1):
                s = place - 1 if step < 0 else place
                while 0 <= s < sums.size:
                    far = (a - sums[s]) * (a - sums[s]) + more
                    if not far < found[e]:
                        break
                    if fewest <= count[s] + number <= most and far + spread[s] < found[e]:
                        found[e] = far + spread[s]
                    s += step
    return found


@compiled
@no_type_check
def wired_costs(
    weights, rows, factor, start, begin, value, noise, base, outside, fewest, most, elsewhere, together, n_rows
):
    """The cost of every row on one neuron whose cells are hard-wired.

    Connections of input x are start[x] .. start[x + 1] - 1, ascending by weight, its cells begin[x] .. begin[x + 1] - 1
    with the sum base[x] of what they add while all are off. Where a row has no connection an error counts `outside`
    times, and at most `elsewhere` cells serve it.
    """
    total, own = np.zeros(n_rows), np.zeros(n_rows, np.bool_)
    for x in range(start.size - 1):
        first, last = start[x], start[x + 1]
        cells, spread = value[begin[x] : begin[x + 1]], noise[begin[x] : begin[x + 1]]
        found = nearest_sums(weights[first:last] - base[x], cells, spread, fewest, most, together)
        for e in range(first, last):
            total[rows[e]] += factor[e] * found[e - first] if found[e - first] < np.inf else np.inf
        if base[x] != 0.0:
            stray = outside[x] * nearest_sums(np.full(1, -base[x]), cells, spread, 0, elsewhere, together)[0]
            own[:] = False
            for e in range(first, last):
                own[rows[e]] = True
            for i in range(n_rows):
                total[i] += 0.0 if own[i] else stray
    return total
