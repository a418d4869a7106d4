"""The best cells for one weight out of those that are free: singles, pairs by two pointers, then further ones."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

MOST_TRIPLES = 128  # free cells up to which a third cell is tried with all pairs


class Neuron(NamedTuple):
    """Usable cells in ascending order, at a gain: their weights and noise."""

    cells: Any
    noise: Any


class Row(NamedTuple):
    """Weights and factors of a row's connections, and the fewest and most cells of each."""

    weights: Any
    factor: Any
    least: Any
    most: Any


class State(NamedTuple):
    """The connection that each cell serves (-1 for none); sum, noise and number of cells of each connection; room for
    a list of `free` cells, for those `picked` of them, and for the owners of cells `before` a move."""

    owner: Any
    total: Any
    spread: Any
    count: Any
    free: Any
    picked: Any
    before: Any


@kernels.compiled
@no_type_check
def empty(n_rows, n_cells):
    """A state without wires, for rows of so many connections."""
    return State(
        np.full(n_cells, -1), np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows, np.int64),
        np.empty(n_cells, np.int64), np.empty(n_cells + 1, np.int64), np.empty(n_cells, np.int64),
    )  # fmt: skip


@kernels.compiled
@no_type_check
def cost(row, state, e):
    """What connection e costs."""
    off = row.weights[e] - state.total[e]
    return row.factor[e] * (off * off + state.spread[e])


@kernels.compiled
@no_type_check
def release(neuron, state, e):
    """Switch off the cells of connection e."""
    if state.count[e]:
        for k in range(neuron.cells.size):
            if state.owner[k] == e:
                state.owner[k] = -1
    state.total[e], state.spread[e], state.count[e] = 0.0, 0.0, 0


@kernels.compiled
@no_type_check
def take(neuron, state, e, n_picked):
    """Give connection e the cells that are picked, besides what it has."""
    for s in range(n_picked):
        k = state.picked[s]
        state.owner[k] = e
        state.total[e] += neuron.cells[k]
        state.spread[e] += neuron.noise[k]
        state.count[e] += 1


@kernels.compiled
@no_type_check
def restore(neuron, state):
    """Set all cells back to their owners before a move."""
    state.total[:], state.spread[:], state.count[:] = 0.0, 0.0, 0
    for k in range(neuron.cells.size):
        e = state.before[k]
        state.owner[k] = e
        if e >= 0:
            state.total[e] += neuron.cells[k]
            state.spread[e] += neuron.noise[k]
            state.count[e] += 1


@kernels.compiled
@no_type_check
def choose(row, neuron, state, e, most):
    """Pick the best of the free cells for a connection without any, `most` at most.

    Returns how many, -1 where it needs one and there is none, and what the connection then costs.
    """
    free, n_free = state.free, 0
    for k in range(neuron.cells.size):
        if state.owner[k] == -1:
            free[n_free] = k
            n_free += 1
    wanted = row.weights[e]
    least, number = wanted * wanted if row.least == 0 else np.inf, 0 if row.least == 0 else -1
    for s in range(n_free if most >= 1 else 0):
        off = wanted - neuron.cells[free[s]]
        found = off * off + neuron.noise[free[s]]
        if found < least:
            least, number, state.picked[0] = found, 1, free[s]
    if most >= 2:
        found, low, high = _pair(neuron, free, n_free, wanted, -1)
        if found < least:
            least, number, state.picked[0], state.picked[1] = found, 2, low, high
    if most >= 3 and n_free <= MOST_TRIPLES:
        for s in range(n_free):
            k = free[s]
            found, low, high = _pair(neuron, free, n_free, wanted - neuron.cells[k], k)
            found += neuron.noise[k]
            if found < least:
                least, number = found, 3
                state.picked[0], state.picked[1], state.picked[2] = low, high, k
    if number > 0:
        least, number = _extended(neuron, state, wanted, n_free, most, least, number)
    return number, row.factor[e] * least if number >= 0 else np.inf


@kernels.compiled
@no_type_check
def _pair(neuron, free, n_free, wanted, without):
    """The pair of free cells whose sum comes nearest, by two pointers: its squared difference plus noise, its cells."""
    best, first, second, low, high = np.inf, -1, -1, 0, n_free - 1
    while low < high:
        a, b = free[low], free[high]
        if a == without:
            low += 1
            continue
        if b == without:
            high -= 1
            continue
        off = wanted - neuron.cells[a] - neuron.cells[b]
        found = off * off + neuron.noise[a] + neuron.noise[b]
        if found < best:
            best, first, second = found, a, b
        if off > 0.0:
            low += 1
        else:
            high -= 1
    return best, first, second


@kernels.compiled
@no_type_check
def _extended(neuron, state, wanted, n_free, most, least, number):
    """Add the free cell that helps most, again and again."""
    total, spread = 0.0, 0.0
    for s in range(number):
        total += neuron.cells[state.picked[s]]
        spread += neuron.noise[state.picked[s]]
    while number < most:
        best, at = least, -1
        for s in range(n_free):
            off = wanted - total - neuron.cells[state.free[s]]
            found = off * off + spread + neuron.noise[state.free[s]]
            taken = False
            for p in range(number):
                taken |= state.picked[p] == state.free[s]
            if found < best and not taken:
                best, at = found, state.free[s]
        if at < 0:
            break
        state.picked[number] = at
        total, spread, least, number = total + neuron.cells[at], spread + neuron.noise[at], best, number + 1
    return least, number
