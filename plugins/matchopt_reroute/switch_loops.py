"""Loops for rows whose cells hear given inputs: which of them are switched on.

With w the realised weights of a row, score = max over u in [low, high] of 2 u a - u^2 q is to be made large, where
a = a0 + linear.w and q = q0 + w^T S w + noise, as for `kernels.CellPlacement`. Switching a cell changes a and q by
terms of the product S w at the input that it hears, which a switch updates in O(inputs). All floats are of single
precision.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

SMALL = np.float32(1e-30)  # in place of a vanishing q
NEVER = np.float32(-1e30)  # what a forbidden move reaches
MOST = 40  # moves for each cell of one descent


class Switches(NamedTuple):
    """One row on its neuron: moments S of the inputs that its cells hear; by cell the number of its input there, that
    input's power and linear part, what switching it on adds to the weight and to the noise, and whether it may be
    switched; and the allowed scales. `plain` says that every cell hears the input of its own number."""

    moments: Any
    at: Any
    plain: Any
    diagonal: Any
    linear: Any
    step: Any
    noise: Any
    may: Any
    low: Any
    high: Any


@kernels.compiled
@no_type_check
def draw(chance, below):
    """A number in 0 .. below - 1; chance[0] is the state of the generator (G. Marsaglia, "Xorshift RNGs", 2003)."""
    s = chance[0]
    s ^= s << np.uint64(13)
    s ^= s >> np.uint64(7)
    s ^= s << np.uint64(17)
    chance[0] = s
    return np.int64((s >> np.uint64(11)) % np.uint64(below))


@kernels.compiled
@no_type_check
def chances(seed):
    """The state of a generator."""
    return np.full(1, np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1), np.uint64)


@kernels.compiled
@no_type_check
def reach(a, q, low, high):
    """Max over u in [low, high] of 2 u a - u^2 q."""
    u = low if low == high else min(max(a / max(q, SMALL), low), high)
    return u * (a + a - u * q)


@kernels.reordered
@no_type_check
def scan(row, state, product, a, q, skip, found):
    """The cell whose switch reaches the highest score, and that score; `skip` is none of them."""
    step, noise, linear, diagonal, low, high = row.step, row.noise, row.linear, row.diagonal, row.low, row.high
    heard = product
    if not row.plain:
        heard = np.empty(step.size, np.float32)
        for x in range(step.size):
            heard[x] = product[row.at[x]]
    for x in range(step.size):
        sign = np.float32(1) - np.float32(2) * state[x]
        d = sign * step[x]
        a1 = a + d * linear[x]
        q1 = q + d * (heard[x] + heard[x] + d * diagonal[x]) + sign * noise[x]
        u = min(max(a1 / max(q1, SMALL), low), high)
        found[x] = u * (a1 + a1 - u * q1)
    best, at = NEVER, -1
    for x in range(step.size):
        if found[x] > best and row.may[x] and x != skip:
            best, at = found[x], x
    return at, best


@kernels.compiled
@no_type_check
def switch(row, x, state, product, a, q):
    """Switch cell x; returns a and q."""
    sign = np.float32(1) - np.float32(2) * state[x]
    d, at = sign * row.step[x], row.at[x]
    a += d * row.linear[x]
    q += d * (product[at] + product[at] + d * row.diagonal[x]) + sign * row.noise[x]
    line = row.moments[at]
    for y in range(product.size):
        product[y] += d * line[y]
    state[x] = np.float32(1) - state[x]
    return a, q


@kernels.compiled
@no_type_check
def descend(row, state, product, a, q, least, pairs, work):
    """Switch cells, one at a time and where that no longer helps two at once, of which `pairs` may be the first each
    time; returns a and q. `work` has room for a number of every cell, and of every input."""
    size, first = state.size, 0
    found, shifted = work
    for _ in range(MOST * size):
        now = reach(a, q, row.low, row.high) + least
        x, best = scan(row, state, product, a, q, -1, found)
        if best > now:
            a, q = switch(row, x, state, product, a, q)
            continue
        other = -1
        for _ in range(min(size, pairs)):
            x = first
            first = first + 1 if first + 1 < size else 0
            if not row.may[x]:
                continue
            shifted[:] = product
            a1, q1 = switch(row, x, state, shifted, a, q)
            other, best = scan(row, state, shifted, a1, q1, x, found)
            if best > now:
                product[:] = shifted
                a, q = switch(row, other, state, product, a1, q1)
                break
            state[x] = np.float32(1) - state[x]
            other = -1
        if other < 0:
            break
    return a, q


@kernels.compiled
@no_type_check
def begin(row, state, product, a, q, rest, a_rest, q_rest):
    """Set the product for the cells switched on beside `rest`, that of what cannot be switched; returns a and q."""
    product[:] = rest
    a, q = a + a_rest, q + q_rest
    for x in range(state.size):
        if state[x] > 0:
            state[x] = np.float32(0)
            a, q = switch(row, x, state, product, a, q)
    return a, q


@kernels.compiled
@no_type_check
def _held(column, on, off, noise, fixed, state, power, base):
    """Fill the weights that cells add which stay as they are, or are off until they are switched; returns noise."""
    noises = np.float32(0)
    for k in range(on.size):
        x = column[k]
        if x >= 0:
            stays = fixed[k] and state[k] > 0
            base[x] += on[k] if stays else off[k]
            if stays:
                noises += noise[k] * power[x]
    return noises


@kernels.compiled
@no_type_check
def switch_rows(
    moments, power, linear, column, on, off, noise, may, fixed, ranges, least, kicks, pairs, seeds, state, score, scale
):
    """Improve which cells of every row are on; all but `moments` and `power` have one line per row.

    Parameters
    ----------
    moments, power, linear : see `kernels.RowErrors`.
    column : the input that each cell hears, -1 for none that counts.
    on, off, noise : what each cell adds switched on and off, and its read noise; 0 without one.
    may, fixed : which cells may be switched, and which of them stay as they are.
    ranges : low, high, a0 and q0 of every row.
    least : gain of each row below which a move is none.
    kicks, seeds : random switches of a few cells, each followed by a descent that is kept if it is better.
    pairs : most first cells of two that are tried when one alone no longer helps; see `descend`.
    state : 1 where a cell is on; improved. Off where it may not be.
    score, scale : of every row; filled.
    """
    n = linear.shape[1]
    for i in range(len(linear)):
        own = np.flatnonzero(may[i] & ~fixed[i] & (column[i] >= 0))
        low, high, a0, q0 = ranges[i, 0], ranges[i, 1], ranges[i, 2], ranges[i, 3]
        base = np.zeros(n, np.float32)
        a, q = a0, q0 + _held(column[i], on[i], off[i], noise[i], fixed[i], state[i], power, base)
        rest = np.zeros(n, np.float32)
        for x in range(n):
            if base[x] != 0:
                line = moments[x]
                for y in range(n):
                    rest[y] += base[x] * line[y]
        for x in range(n):
            a += base[x] * linear[i, x]
            q += base[x] * rest[x]
        heard = column[i][own]
        number = np.full(n, -1)
        number[heard] = 0
        inputs = np.flatnonzero(number == 0)
        number[inputs] = np.arange(inputs.size)
        at = number[heard]
        part = moments if inputs.size == n else np.empty((inputs.size, inputs.size), np.float32)
        if inputs.size < n:
            for x in range(inputs.size):
                for y in range(inputs.size):
                    part[x, y] = moments[inputs[x], inputs[y]]
        diagonal = np.empty(own.size, np.float32)
        for k in range(own.size):
            diagonal[k] = part[at[k], at[k]]
        plain = own.size == inputs.size and (at == np.arange(own.size)).all()
        noises = noise[i][own] * power[heard]
        row = Switches(
            part, at, plain, diagonal, linear[i][heard], (on[i] - off[i])[own], noises, may[i][own], low, high
        )
        score[i], scale[i] = _improve(row, state[i], own, rest[inputs], a, q, least[i], kicks, pairs, seeds[i])


@kernels.compiled
@no_type_check
def _improve(row, states, own, rest, a0, q0, least, kicks, pairs, seed):
    """Descend, then kick and descend again, on one row's own cells; returns its score and scale."""
    size, zero = own.size, np.float32(0)
    state, product = states[own], np.empty(rest.size, np.float32)
    work = np.empty(size, np.float32), np.empty(rest.size, np.float32)
    a, q = begin(row, state, product, zero, zero, rest, a0, q0)
    descend(row, state, product, a, q, least, pairs, work)
    a, q = begin(row, state, product, zero, zero, rest, a0, q0)
    best = reach(a, q, row.low, row.high)
    chance = chances(seed)
    for _ in range(kicks if size else 0):
        trial = state.copy()
        b, r = begin(row, trial, product, zero, zero, rest, a0, q0)
        for _ in range(3):
            b, r = switch(row, draw(chance, size), trial, product, b, r)
        descend(row, trial, product, b, r, least, 0, work)
        b, r = begin(row, trial, product, zero, zero, rest, a0, q0)
        value = reach(b, r, row.low, row.high)
        if value > best + least:
            best, a, q = value, b, r
            state[:] = trial
    for k in range(size):
        states[own[k]] = state[k]
    scale = row.low if row.low == row.high else min(max(a / max(q, SMALL), row.low), row.high)
    return best, scale
