"""Rows on neurons: built weight by weight, improved by choosing one or two weights' cells anew, and by kicks."""

from typing import no_type_check

import numpy as np

from matchopt import kernels
from matchopt_sums.choosing import Neuron, Row, choose, cost, empty, release, restore, take

LITTLE = 1e-12  # share of a cost that is no gain
ROUNDING = 1e-15  # what sums of cells may be off by, as a share of the largest
KICKED = 3  # weights that lose their cells at once


@kernels.compiled
@no_type_check
def scaled(cells, noise, n_usable, gain):
    """The usable cells of a neuron at a gain, ascending."""
    value, spread = np.empty(n_usable), np.empty(n_usable)
    for k in range(n_usable):
        at = k if gain >= 0.0 else n_usable - 1 - k
        value[k], spread[k] = gain * cells[at], gain * gain * noise[at]
    return Neuron(value, spread)


@kernels.compiled
@no_type_check
def all_costs(starts, weights, factor, order, cells, noise, n_usable, gains, least, most, costs):
    """Fill costs[i, j] with what row i costs on neuron j at the best gain, each weight's cells chosen twice."""
    for i in range(costs.shape[0]):
        begin, end = starts[i], starts[i + 1]
        row = Row(weights[begin:end], factor[begin:end], least, most)
        for j in range(costs.shape[1]):
            costs[i, j] = np.inf
            if (end - begin) * least > n_usable[j]:
                continue
            for gain in gains:
                neuron = scaled(cells[j], noise[j], n_usable[j], gain)
                state = empty(end - begin, n_usable[j])
                _build(row, neuron, state, order[begin:end])
                _choose_anew(row, neuron, state)
                costs[i, j] = min(costs[i, j], _total(row, state))


@kernels.compiled
@no_type_check
def improve(weights, factor, order, cells, noise, n_usable, gain, least, most, kicks, seed, owner):
    """Search for the cells of one row on one neuron; fills `owner` by position, returns the cost."""
    row, neuron = Row(weights, factor, least, most), scaled(cells, noise, n_usable, gain)
    state, random = empty(weights.size, n_usable), np.full(1, np.uint64(2 * seed + 1))
    _build(row, neuron, state, order)
    best = _descend(row, neuron, state)
    best_owner = state.owner.copy()
    for _ in range(kicks if weights.size else 0):
        state.before[:] = best_owner
        restore(neuron, state)
        _kick(row, neuron, state, random)
        found = _descend(row, neuron, state)
        if found < best * (1.0 - LITTLE):
            best = found
            best_owner[:] = state.owner
    for k in range(n_usable):
        owner[k if gain >= 0.0 else n_usable - 1 - k] = best_owner[k]
    return best


@kernels.compiled
@no_type_check
def _total(row, state):
    total = 0.0
    for e in range(row.weights.size):
        total += cost(row, state, e)
    return total


@kernels.compiled
@no_type_check
def _gains(neuron, before, found, factor):
    """Whether a cost is less by more than rounding can do to it."""
    size = factor * (neuron.cells[0] * neuron.cells[0] + neuron.cells[-1] * neuron.cells[-1])
    return found < before * (1.0 - LITTLE) - ROUNDING * (np.sqrt(before * size) + ROUNDING * size)


@kernels.compiled
@no_type_check
def _build(row, neuron, state, order):
    """Choose for one weight after the other, leaving a cell for each of those that need one."""
    left, free = row.weights.size, neuron.cells.size
    for e in order:
        left -= 1
        number, _ = choose(row, neuron, state, e, min(row.most, free - left * row.least))
        take(neuron, state, e, max(0, number))
        free -= max(0, number)


@kernels.compiled
@no_type_check
def _descend(row, neuron, state):
    """Choose anew and trade cells until neither one weight nor two can gain; returns the cost."""
    while _choose_anew(row, neuron, state) or _trade(row, neuron, state) or _choose_two(row, neuron, state):
        pass
    return _total(row, state)


@kernels.compiled
@no_type_check
def _choose_anew(row, neuron, state):
    gained = False
    for e in range(row.weights.size if neuron.cells.size else 0):
        before = cost(row, state, e)
        state.before[:] = state.owner
        release(neuron, state, e)
        number, found = choose(row, neuron, state, e, row.most)
        if number >= 0 and _gains(neuron, before, found, row.factor[e]):
            take(neuron, state, e, number)
            gained = True
        else:
            restore(neuron, state)
    return gained


@kernels.compiled
@no_type_check
def _choose_two(row, neuron, state):
    """One of two weights chooses among all that is free and the cells of both, the other among what it leaves."""
    n, gained = row.weights.size if neuron.cells.size else 0, False
    for e in range(n):
        for f in range(n):
            if e == f:
                continue
            before = cost(row, state, e) + cost(row, state, f)
            state.before[:] = state.owner
            release(neuron, state, e)
            release(neuron, state, f)
            free = 0
            for k in range(neuron.cells.size):
                free += state.owner[k] == -1
            number, found = choose(row, neuron, state, e, min(row.most, free - row.least))
            take(neuron, state, e, max(0, number))
            other, more = choose(row, neuron, state, f, row.most)
            take(neuron, state, f, max(0, other))
            factor = max(row.factor[e], row.factor[f])
            if number >= 0 and other >= 0 and _gains(neuron, before, found + more, factor):
                gained = True
            else:
                restore(neuron, state)
    return gained


@kernels.compiled
@no_type_check
def _trade(row, neuron, state):
    """Exchange two cells of different weights, one of which may be free, or hand one over."""
    n, n_cells, gained = row.weights.size, neuron.cells.size, False
    for k in range(n_cells):
        for other in range(k + 1, n_cells):
            e, f = state.owner[k], state.owner[other]
            more, noisier = neuron.cells[other] - neuron.cells[k], neuron.noise[other] - neuron.noise[k]
            if e != f and _traded(row, neuron, state, e, f, more, noisier):
                state.owner[k], state.owner[other], gained = f, e, True
        for f in range(-1, n):
            e = state.owner[k]
            short = e >= 0 and state.count[e] <= row.least
            if e == f or short or (f >= 0 and state.count[f] >= row.most):
                continue
            if _traded(row, neuron, state, e, f, -neuron.cells[k], -neuron.noise[k]):
                state.owner[k], gained = f, True
                if e >= 0:
                    state.count[e] -= 1
                if f >= 0:
                    state.count[f] += 1
    return gained


@kernels.compiled
@no_type_check
def _traded(row, neuron, state, e, f, more, noisier):
    """Add to the sum and noise of e and take away from f (-1 is nobody), if both together gain."""
    before, found, factor = 0.0, 0.0, 0.0
    for x, sign in ((e, 1.0), (f, -1.0)):
        if x >= 0:
            off = row.weights[x] - state.total[x] - sign * more
            before += cost(row, state, x)
            found += row.factor[x] * (off * off + state.spread[x] + sign * noisier)
            factor = max(factor, row.factor[x])
    if not _gains(neuron, before, found, factor):
        return False
    for x, sign in ((e, 1.0), (f, -1.0)):
        if x >= 0:
            state.total[x] += sign * more
            state.spread[x] += sign * noisier
    return True


@kernels.compiled
@no_type_check
def _draw(random, below):
    """A number in 0 .. below - 1 (G. Marsaglia, "Xorshift RNGs", 2003)."""
    s = random[0]
    s ^= s << np.uint64(13)
    s ^= s >> np.uint64(7)
    s ^= s << np.uint64(17)
    random[0] = s
    return int((s >> np.uint64(33)) % np.uint64(below))


@kernels.compiled
@no_type_check
def _kick(row, neuron, state, random):
    """Some weights lose their cells and choose anew in a random order, the first without one of those it had."""
    n = row.weights.size
    chosen = np.empty(min(n, KICKED), np.int64)
    for s in range(chosen.size):
        chosen[s] = _draw(random, n)
    barred, seen = -1, 0
    for k in range(neuron.cells.size):
        if state.owner[k] == chosen[0]:
            seen += 1
            if _draw(random, seen) == 0:
                barred = k
    for e in chosen:
        release(neuron, state, e)
    free = 0
    for k in range(neuron.cells.size):
        free += state.owner[k] == -1
    if barred >= 0 and free > chosen.size:
        state.owner[barred] = -2
    for s in range(chosen.size):
        e = chosen[s]
        release(neuron, state, e)  # it may have been drawn twice
        free = 0
        for k in range(neuron.cells.size):
            free += state.owner[k] == -1
        left = (chosen.size - 1 - s) * row.least
        number, _ = choose(row, neuron, state, e, min(row.most, max(row.least, free - left)))
        take(neuron, state, e, max(0, number))
    if barred >= 0 and state.owner[barred] == -2:
        state.owner[barred] = -1
