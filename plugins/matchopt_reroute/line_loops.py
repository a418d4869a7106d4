"""Loops for rows whose inputs are on lines already: which cells are switched on, and which inputs change their lines.

With w the realised weights of a row, score = max over u in [low, high] of 2 u a - u^2 q is to be made large, where
a = a0 + linear.w and q = q0 + w^T S w + noise, as for `kernels.CellPlacement`. A row's cells are numbered by the inputs
that they hear; switching one changes a and q by terms of the product S w, which a switch updates in O(inputs).
All floats are of single precision.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

SMALL = np.float32(1e-30)  # in place of a vanishing q
NEVER = np.float32(-1e30)  # what a forbidden move reaches
MOST = 40  # moves for each cell of one descent


class Switches(NamedTuple):
    """One row on its neuron, by input: moments S, their diagonal, the linear part; what switching a cell on adds to
    the weight and to the noise; which cells may be switched; and the allowed scales."""

    moments: Any
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
    for x in range(step.size):
        sign = np.float32(1) - np.float32(2) * state[x]
        d = sign * step[x]
        a1 = a + d * linear[x]
        q1 = q + d * (product[x] + product[x] + d * diagonal[x]) + sign * noise[x]
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
    d = sign * row.step[x]
    a += d * row.linear[x]
    q += d * (product[x] + product[x] + d * row.diagonal[x]) + sign * row.noise[x]
    line = row.moments[x]
    for y in range(product.size):
        product[y] += d * line[y]
    state[x] = np.float32(1) - state[x]
    return a, q


@kernels.compiled
@no_type_check
def descend(row, state, product, a, q, least, pairs, work):
    """Switch cells, one at a time and where that no longer helps two at once (if `pairs`); returns a and q."""
    size, first = state.size, 0
    found, shifted = work[0], work[1]
    for _ in range(MOST * size):
        now = reach(a, q, row.low, row.high) + least
        x, best = scan(row, state, product, a, q, -1, found)
        if best > now:
            a, q = switch(row, x, state, product, a, q)
            continue
        other = -1
        for _ in range(size if pairs else 0):
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
def switch_rows(moments, power, linear, on, off, noise, may, fixed, ranges, least, kicks, seeds, state, score, scale):
    """Improve which cells of every row are on; all but `moments` and `power` have one line per row, by input.

    Parameters
    ----------
    moments, power, linear : see `kernels.RowErrors`.
    on, off, noise : what the cell that hears each input adds switched on and off, and its read noise; 0 without one.
    may, fixed : which cells may be switched, and which of them stay as they are.
    ranges : low, high, a0 and q0 of every row.
    least : gain of each row below which a move is none.
    kicks, seeds : random switches of a few cells, each followed by a descent that is kept if it is better.
    state : 1 where a cell is on; improved. Off where it may not be.
    score, scale : of every row; filled.
    """
    n = linear.shape[1]
    for i in range(len(linear)):
        own = np.flatnonzero(may[i] & ~fixed[i])
        low, high, a0, q0 = ranges[i, 0], ranges[i, 1], ranges[i, 2], ranges[i, 3]
        base, a, q = np.zeros(n, np.float32), a0, q0
        for x in range(n):
            base[x] = on[i, x] if fixed[i, x] and state[i, x] > 0 else off[i, x]
            if fixed[i, x] and state[i, x] > 0:
                q += noise[i, x] * power[x]
        rest = np.zeros(n, np.float32)
        for x in range(n):
            if base[x] != 0:
                line = moments[x]
                for y in range(n):
                    rest[y] += base[x] * line[y]
        for x in range(n):
            a += base[x] * linear[i, x]
            q += base[x] * rest[x]
        whole = own.size == n
        part = moments if whole else np.empty((own.size, own.size), np.float32)
        if not whole:
            for x in range(own.size):
                for y in range(own.size):
                    part[x, y] = moments[own[x], own[y]]
        diagonal = np.empty(own.size, np.float32)
        for x in range(own.size):
            diagonal[x] = part[x, x]
        row = Switches(
            part, diagonal, linear[i][own], (on[i] - off[i])[own], (noise[i] * power)[own], may[i][own], low, high
        )
        score[i], scale[i] = _improve(row, state[i], own, rest[own], a, q, least[i], kicks, seeds[i])


@kernels.compiled
@no_type_check
def _improve(row, states, own, rest, a0, q0, least, kicks, seed):
    """Descend, then kick and descend again, on one row's own cells; returns its score and scale."""
    size, zero = own.size, np.float32(0)
    state, product, work = states[own], np.empty(own.size, np.float32), np.empty((2, own.size), np.float32)
    a, q = begin(row, state, product, zero, zero, rest, a0, q0)
    descend(row, state, product, a, q, least, True, work)
    a, q = begin(row, state, product, zero, zero, rest, a0, q0)
    best = reach(a, q, row.low, row.high)
    chance = chances(seed)
    for _ in range(kicks if size else 0):
        trial = state.copy()
        b, r = begin(row, trial, product, zero, zero, rest, a0, q0)
        for _ in range(3):
            b, r = switch(row, draw(chance, size), trial, product, b, r)
        descend(row, trial, product, b, r, least, False, work)
        b, r = begin(row, trial, product, zero, zero, rest, a0, q0)
        value = reach(b, r, row.low, row.high)
        if value > best + least:
            best, a, q = value, b, r
            state[:] = trial
    for k in range(size):
        states[own[k]] = state[k]
    scale = row.low if row.low == row.high else min(max(a / max(q, SMALL), row.low), row.high)
    return best, scale


class Bus(NamedTuple):
    """The rows on one bus: what their cells add on every line, and what rows may and must listen to, by input; whether
    cells leak, so that lines are driven only while somebody listens."""

    moments: Any
    power: Any
    linear: Any
    on: Any
    off: Any
    noise: Any
    usable: Any
    may: Any
    must: Any
    ranges: Any
    leaky: Any


@kernels.compiled
@no_type_check
def products(bus, line_of, state, product, a, q):
    """Fill S w, a and q of every row, for these lines and cells switched on."""
    product[:] = 0
    for i in range(len(a)):
        a[i], q[i] = bus.ranges[i, 2], bus.ranges[i, 3]
        for x in range(line_of.size):
            k = line_of[x]
            if k >= 0:
                w = bus.on[i, k] if state[i, x] > 0 else bus.off[i, k]
                if state[i, x] > 0:
                    q[i] += bus.noise[i, k] * bus.power[x]
                if w != 0:
                    a[i], q[i] = _add(bus, i, x, w, product[i], a[i], q[i])


@kernels.compiled
@no_type_check
def _add(bus, i, x, d, product, a, q):
    line = bus.moments[x]
    a += d * bus.linear[i, x]
    q += d * (product[x] + product[x] + d * line[x])
    for y in range(product.size):
        product[y] += d * line[y]
    return a, q


@kernels.compiled
@no_type_check
def _allowed(bus, i, x, k, want):
    """Whether row i may have the cell of input x on line k (-1 for none) on, or off if `want` is 0."""
    if x < 0:
        return want == 0
    if want == 0:
        return not bus.must[i, x]
    return k >= 0 and bus.usable[i, k] and bus.may[i, x]


@kernels.compiled
@no_type_check
def _value(cells, i, k, want):
    """What the cell on line k adds, switched on or off."""
    return np.float32(0) if k < 0 else (cells.on[i, k] if want else cells.off[i, k])


@kernels.compiled
@no_type_check
def _best(bus, i, x, y, k, other, state, product, a, q):
    """The best that row i can do with x on line `other` and y on line k, which are the other way round now."""
    low, high, zero = bus.ranges[i, 0], bus.ranges[i, 1], np.float32(0)
    was_x = _value(bus, i, k, state[i, x] > 0)
    was_y = _value(bus, i, other, state[i, y] > 0) if y >= 0 else zero
    noise = zero
    if state[i, x] > 0:
        noise -= bus.noise[i, k] * bus.power[x]
    if y >= 0 and state[i, y] > 0:
        noise -= bus.noise[i, other] * bus.power[y]
    best, choice = NEVER, -1
    for want in range(4):
        x_on, y_on = want & 1, want >> 1
        if not (_allowed(bus, i, x, other, x_on) and _allowed(bus, i, y, k, y_on)):
            continue
        d = _value(bus, i, other, x_on) - was_x
        a1 = a[i] + d * bus.linear[i, x]
        q1 = q[i] + noise + d * (product[i, x] + product[i, x] + d * bus.moments[x, x])
        if x_on:
            q1 += bus.noise[i, other] * bus.power[x]
        if y >= 0:
            e = _value(bus, i, k, y_on) - was_y
            cross = product[i, y] + d * bus.moments[x, y]
            a1 += e * bus.linear[i, y]
            q1 += e * (cross + cross + e * bus.moments[y, y])
            if y_on:
                q1 += bus.noise[i, k] * bus.power[y]
        value = reach(a1, q1, low, high)
        if value > best:
            best, choice = value, want
    return best, choice


@kernels.compiled
@no_type_check
def _gain(bus, x, y, k, other, state, product, a, q, choices):
    """What all rows gain if x goes to line `other` and y to line k; `choices` gets what each then does, -1 nothing."""
    gain, listen_x, listen_y = np.float32(0), other < 0, y < 0 or k < 0
    for i in range(len(a)):
        choices[i] = -1
        idle = _value(bus, i, k, False) == _value(bus, i, other, False)
        if idle and not bus.may[i, x] and not (y >= 0 and bus.may[i, y]):
            continue
        best, choices[i] = _best(bus, i, x, y, k, other, state, product, a, q)
        if choices[i] < 0:
            return NEVER
        listen_x |= (choices[i] & 1) > 0
        listen_y |= choices[i] > 1
        gain += best - reach(a[i], q[i], bus.ranges[i, 0], bus.ranges[i, 1])
    return NEVER if bus.leaky and not (listen_x and listen_y) else gain


@kernels.compiled
@no_type_check
def exchange_lines(bus, moving, tries, seed, least, line_of, input_of, state, product, a, q):
    """Let random ones of the inputs `moving` take random lines, in exchange for what is there, where all rows gain.

    Each row switches the two cells as suits it best. Returns how many exchanges were made; all arrays after `least`
    are updated.
    """
    rows, lines, made = len(a), input_of.size, 0
    choices, chance = np.zeros(rows, np.int64), chances(seed)
    for _ in range(tries):
        x, other = moving[draw(chance, moving.size)], draw(chance, lines + 1) - 1
        k = line_of[x]
        if k == other:
            continue
        y = input_of[other] if other >= 0 else -1
        if _gain(bus, x, y, k, other, state, product, a, q, choices) <= least:
            continue
        made += 1
        for i in range(rows):
            if choices[i] >= 0:
                _move(bus, i, x, k, other, choices[i] & 1, state, product, a, q)
                if y >= 0:
                    _move(bus, i, y, other, k, choices[i] >> 1, state, product, a, q)
        line_of[x] = other
        if other >= 0:
            input_of[other] = x
        if k >= 0:
            input_of[k] = y
        if y >= 0:
            line_of[y] = k
    return made


@kernels.compiled
@no_type_check
def _move(bus, i, x, k, other, want, state, product, a, q):
    """Let row i hear x on line `other` instead of k, its cell there on or off."""
    d = _value(bus, i, other, want) - _value(bus, i, k, state[i, x] > 0)
    if state[i, x] > 0:
        q[i] -= bus.noise[i, k] * bus.power[x]
    if want:
        q[i] += bus.noise[i, other] * bus.power[x]
    if d != 0:
        a[i], q[i] = _add(bus, i, x, d, product[i], a[i], q[i])
    state[i, x] = want
