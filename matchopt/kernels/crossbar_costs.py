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

    Rows begin with what leaks, inputs with what `out` holds.
    """
    if transposed:
        for j in range(low, high):
            out[j] = board.gains[0] * board.gains[0] * state.leak[j] if board.kind >= LEAKING else 0
    if board.kind == SQUARES:
        _squares(state, out, low, high, count, board.cells_t if transposed else board.cells)
    elif board.kind == DROPPED:
        _kept_or_dropped(state, out, low, high, count, board.cells_t if transposed else board.cells)
    elif transposed:
        priced(
            board.kind,
            state,
            out,
            low,
            high,
            count,
            board.cells_t,
            board.noise_t,
            board.barred_t,
            board.off_t,
            board.spill_t,
        )
    else:
        priced(board.kind, state, out, low, high, count, board.cells, board.noise, board.barred, board.off, board.spill)


@inlined_quick
@no_type_check
def _squares(state, out, low, high, count, cells):
    """Four connections at a time, so that sums stay in registers."""
    t = 0
    while t + 3 < count:
        h0, h1 = cells[state.source[t]], cells[state.source[t + 1]]
        h2, h3 = cells[state.source[t + 2]], cells[state.source[t + 3]]
        w0, w1, w2, w3 = state.weight[t], state.weight[t + 1], state.weight[t + 2], state.weight[t + 3]
        for j in range(low, high):
            d0, d1, d2, d3 = w0 - h0[j], w1 - h1[j], w2 - h2[j], w3 - h3[j]
            out[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        t += 4
    while t < count:
        h0, w0 = cells[state.source[t]], state.weight[t]
        for j in range(low, high):
            d0 = w0 - h0[j]
            out[j] += d0 * d0
        t += 1


@inlined_quick
@no_type_check
def _kept_or_dropped(state, out, low, high, count, cells):
    t = 0
    while t + 3 < count:
        h0, h1 = cells[state.source[t]], cells[state.source[t + 1]]
        h2, h3 = cells[state.source[t + 2]], cells[state.source[t + 3]]
        w0, w1, w2, w3 = state.weight[t], state.weight[t + 1], state.weight[t + 2], state.weight[t + 3]
        q0, q1, q2, q3 = w0 * w0, w1 * w1, w2 * w2, w3 * w3
        for j in range(low, high):
            d0, d1, d2, d3 = w0 - h0[j], w1 - h1[j], w2 - h2[j], w3 - h3[j]
            out[j] += (min(q0, d0 * d0) + min(q1, d1 * d1)) + (min(q2, d2 * d2) + min(q3, d3 * d3))
        t += 4
    while t < count:
        h0, w0 = cells[state.source[t]], state.weight[t]
        q0 = w0 * w0
        for j in range(low, high):
            d0 = w0 - h0[j]
            out[j] += min(q0, d0 * d0)
        t += 1


@inlined_quick
@no_type_check
def priced(kind, state, out, low, high, count, cells, noise, barred, off, spill):
    """Importance, read noise, gains and cells out of use; where cells leak, less the spill that `out` holds already."""
    for t in range(count):
        s, w, q, g = state.source[t], state.weight[t], state.factor[t], state.scale[t]
        h, v, p = cells[s], noise[s], barred[s]
        if kind < LEAKING:
            dropped = q * w * w if kind > PRICED else NEVER
            for j in range(low, high):
                d = w - g * h[j]
                out[j] += min(q * (d * d + g * g * v[j]) + p[j], dropped)
        else:
            o, c, driven = off[s], spill[s], state.column[t] * g * g
            for j in range(low, high):
                d, u = w - g * h[j], w - g * o[j]
                wired = q * (d * d + g * g * v[j]) + p[j]
                out[j] += (min(wired, q * u * u) if kind > LEAKING else wired) - driven * c[j]


@quick
@no_type_check
def driven_or_not(board, state, out, count):
    """What an input costs on every line where connections may be dropped: the line needs a row that listens to it.

    `out` holds the costs that it has as soon as one does.
    """
    silent = np.float32(0)
    for t in range(count):
        silent += state.factor[t] * state.weight[t] * state.weight[t]
    for k in range(out.size):
        state.buffer[k] = NEVER
    for t in range(count):
        s, w, q, g = state.source[t], state.weight[t], state.factor[t], state.scale[t]
        h, v, p, o = board.cells[s], board.noise[s], board.barred[s], board.off[s]
        for k in range(out.size):
            d, u = w - g * h[k], w - g * o[k]
            more = q * (d * d + g * g * v[k]) + p[k] - q * u * u
            state.buffer[k] = min(state.buffer[k], max(more, np.float32(0)))
    for k in range(out.size):
        out[k] = min(out[k] + state.buffer[k], silent)
