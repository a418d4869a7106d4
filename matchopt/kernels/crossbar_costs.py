"""What connections of one row, or input, cost together on every place: sums over contiguous cells."""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import inlined_quick, quick

SQUARES, DROPPED, PRICED, LEAKING = 0, 1, 2, 4  # kinds of costs; PRICED + 1 and LEAKING + 1 may drop connections
NEVER = np.float32(1e37)


@quick
@no_type_check
def fill(board, state, out, low, high, count, transposed):
    """Add up the costs of one item's connections on every place from `low` to `high`; sources are rows of the cells.

    Rows begin with what leaks, inputs with what `out` holds. Loops run from 0 over parts of arrays: numba cannot tell
    that a loop from `low` never meets a negative index, and would not fill vector registers.
    """
    out = out[low:high]
    if transposed:
        leak, square = state.leak[low:high], board.gains[0] * board.gains[0]
        for j in range(out.size):
            out[j] = square * leak[j] if board.kind >= LEAKING else 0
    add_up(board.kind, state, out, low, count, board.chip_t if transposed else board.chip)


@inlined_quick
@no_type_check
def add_up(kind, state, out, low, count, cells):
    """Add the costs of the connections in `state` to what `out` holds, on places from `low` on."""
    if kind == SQUARES:
        _squares(state, out, low, count, cells.weights)
    elif kind == DROPPED:
        _kept_or_dropped(state, out, low, count, cells.weights)
    else:
        priced(kind, state, out, low, count, cells)


@inlined_quick
@no_type_check
def _squares(state, out, low, count, cells):
    """Four connections at a time, so that sums stay in registers."""
    t = 0
    while t + 3 < count:
        h0, h1 = cells[state.source[t]][low:], cells[state.source[t + 1]][low:]
        h2, h3 = cells[state.source[t + 2]][low:], cells[state.source[t + 3]][low:]
        w0, w1, w2, w3 = state.weight[t], state.weight[t + 1], state.weight[t + 2], state.weight[t + 3]
        for j in range(out.size):
            d0, d1, d2, d3 = w0 - h0[j], w1 - h1[j], w2 - h2[j], w3 - h3[j]
            out[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        t += 4
    while t < count:
        h0, w0 = cells[state.source[t]][low:], state.weight[t]
        for j in range(out.size):
            d0 = w0 - h0[j]
            out[j] += d0 * d0
        t += 1


@inlined_quick
@no_type_check
def _kept_or_dropped(state, out, low, count, cells):
    t = 0
    while t + 3 < count:
        h0, h1 = cells[state.source[t]][low:], cells[state.source[t + 1]][low:]
        h2, h3 = cells[state.source[t + 2]][low:], cells[state.source[t + 3]][low:]
        w0, w1, w2, w3 = state.weight[t], state.weight[t + 1], state.weight[t + 2], state.weight[t + 3]
        q0, q1, q2, q3 = w0 * w0, w1 * w1, w2 * w2, w3 * w3
        for j in range(out.size):
            d0, d1, d2, d3 = w0 - h0[j], w1 - h1[j], w2 - h2[j], w3 - h3[j]
            out[j] += (min(q0, d0 * d0) + min(q1, d1 * d1)) + (min(q2, d2 * d2) + min(q3, d3 * d3))
        t += 4
    while t < count:
        h0, w0 = cells[state.source[t]][low:], state.weight[t]
        q0 = w0 * w0
        for j in range(out.size):
            d0 = w0 - h0[j]
            out[j] += min(q0, d0 * d0)
        t += 1


@quick
@no_type_check
def patch(kind, state, out, count, cells):
    """Take connections off the sums that `fill` made, where they were, and add them where they are.

    Sums stay >= 0, as assignments need them. Two connections at a time.
    """
    least, t = np.float32(0), 0
    while t < count:
        u = min(t + 1, count - 1)
        h0, g0, w0 = cells[state.source_before[t]], cells[state.source[t]], state.weight[t]
        h1, g1, w1 = cells[state.source_before[u]], cells[state.source[u]], state.weight[u]
        if kind == SQUARES and u > t:
            for j in range(out.size):
                d0, d1, e0, e1 = w0 - h0[j], w1 - h1[j], w0 - g0[j], w1 - g1[j]
                out[j] = max(out[j] + ((e0 * e0 - d0 * d0) + (e1 * e1 - d1 * d1)), least)
        elif kind == SQUARES:
            for j in range(out.size):
                d0, e0 = w0 - h0[j], w0 - g0[j]
                out[j] = max(out[j] + (e0 * e0 - d0 * d0), least)
        elif u > t:
            q0, q1 = w0 * w0, w1 * w1
            for j in range(out.size):
                d0, d1, e0, e1 = w0 - h0[j], w1 - h1[j], w0 - g0[j], w1 - g1[j]
                out[j] = max(out[j] + ((min(q0, e0 * e0) - min(q0, d0 * d0)) + (min(q1, e1 * e1) - min(q1, d1 * d1))),
                             least)  # fmt: skip
        else:
            q0 = w0 * w0
            for j in range(out.size):
                d0, e0 = w0 - h0[j], w0 - g0[j]
                out[j] = max(out[j] + (min(q0, e0 * e0) - min(q0, d0 * d0)), least)
        t += 2


@inlined_quick
@no_type_check
def priced(kind, state, out, low, count, chip):
    """Importance, read noise, gains, cells out of use or written, and connections that are tuned at their price; where
    cells leak, less the spill that `out` holds already."""
    wired, tuned = state.wired, state.prices[1]
    for t in range(count):
        s, w, q, g = state.source[t], state.weight[t], state.factor[t], state.scale[t]
        wire(chip, s, w, q, g, state.prices[0], wired[: out.size], low)
        if kind < LEAKING:
            without = min(q * w * w, tuned) if kind > PRICED else tuned
            for j in range(out.size):
                out[j] += min(wired[j], without)
        else:
            o, c, driven = chip.off[s][low:], chip.spill[s][low:], state.column[t] * g * g
            for j in range(out.size):
                u = w - g * o[j]
                out[j] += min(wired[j], min(q * u * u, tuned) if kind > LEAKING else tuned) - driven * c[j]


@quick
@no_type_check
def wire(chip, s, w, q, g, price, out, low):
    """What a connection costs on the cells `s` from `low` on, as they read or with a value written."""
    h, v, p = chip.weights[s][low:], chip.noise[s][low:], chip.barred[s][low:]
    for j in range(out.size):
        d = w - g * h[j]
        out[j] = q * (d * d + g * g * v[j]) + p[j]
    aim = w / g if g != 0 else np.float32(0)
    for a in range(chip.low.shape[0]):
        least, most, spread = chip.low[a, s][low:], chip.high[a, s][low:], chip.spread[a, s][low:]
        for j in range(out.size):
            d = w - g * min(max(aim, least[j]), most[j])
            out[j] = min(out[j], q * (d * d + g * g * spread[j]) + p[j] + price)


@quick
@no_type_check
def driven_or_not(board, state, out, count):
    """What an input costs on every line where connections may be dropped: the line needs a row that listens to it.

    `out` holds the costs that it has as soon as one does.
    """
    silent, tuned = np.float32(0), state.prices[1]
    for t in range(count):
        silent += min(state.factor[t] * state.weight[t] * state.weight[t], tuned)
    for k in range(out.size):
        state.buffer[k] = NEVER
    for t in range(count):
        s, w, q, g = state.source[t], state.weight[t], state.factor[t], state.scale[t]
        wire(board.chip, s, w, q, g, state.prices[0], state.wired[: out.size], 0)
        o = board.chip.off[s]
        for k in range(out.size):
            u = w - g * o[k]
            more = state.wired[k] - min(q * u * u, tuned)
            state.buffer[k] = min(state.buffer[k], max(more, np.float32(0)))
    for k in range(out.size):
        out[k] = min(out[k] + state.buffer[k], silent)
