"""Loops for rows that share lines: which inputs change their lines; sums as those of `switch_loops`."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels
from matchopt_reroute.switch_loops import NEVER, chances, draw, reach


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
