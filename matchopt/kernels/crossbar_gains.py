"""What a row costs on every neuron of a bus at its best gain: of a finite set, or of an interval by least squares."""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import quick
from matchopt.kernels.crossbar_costs import LEAKING, PRICED, priced

FITS = 3  # of an interval's gain, where each changes which connections are dropped
TINY = np.float32(1e-30)


@quick
@no_type_check
def fill_gained(board, state, i, low, high, count):
    """Fill row i of the table of rows, and its gains, from the connections that the state holds."""
    out, chosen, trial, leaks = state.rows[i], state.gains[i], state.buffer, board.kind >= LEAKING
    if board.interval:
        _fit(board, state, i, low, high, count)
        return
    for number in range(board.gains.size):
        g = board.gains[number]
        for t in range(count):
            state.scale[t] = g
        for j in range(low, high):
            trial[j] = g * g * state.leak[j] if leaks else 0
        priced(
            board.kind, state, trial, low, high, count, board.cells_t, board.noise_t, board.barred_t, board.off_t,
            board.spill_t,
        )  # fmt: skip
        for j in range(low, high):
            if number == 0 or trial[j] < out[j]:
                out[j], chosen[j] = trial[j], g


@quick
@no_type_check
def _fit(board, state, i, low, high, count):
    """The gain is the ratio of two sums over what is realised, which depends on it where connections may be dropped."""
    drops = board.kind == PRICED + 1 or board.kind == LEAKING + 1
    out, chosen, least, most = state.rows[i], state.gains[i], board.gains[0], board.gains[1]
    for step in range(FITS if drops else 1):
        for j in range(low, high):
            out[j] = 0
            state.buffer[j] = state.leak[j] if board.kind >= LEAKING else 0
        for t in range(count):
            _add_squares(board, state, out, chosen, low, high, t, drops, step == 0)
        for j in range(low, high):
            chosen[j] = min(max(out[j] / max(state.buffer[j], TINY), least), most)
    for j in range(low, high):
        out[j] = chosen[j] * chosen[j] * state.leak[j] if board.kind >= LEAKING else 0
    for t in range(count):
        _add_costs(board, state, out, chosen, low, high, t, drops)


@quick
@no_type_check
def _add_squares(board, state, out, chosen, low, high, t, drops, first):
    """Add one connection's products with the target to the row of costs, and its squares to the buffer."""
    s, w, q = state.source[t], state.weight[t], state.factor[t]
    h, v, p = board.cells_t[s], board.noise_t[s], board.barred_t[s]
    leaks = board.kind >= LEAKING
    for j in range(low, high):
        g = chosen[j]
        o = board.off_t[s, j] if leaks else np.float32(0)
        d, u = w - g * h[j], w - g * o
        wired = p[j] <= 0 if first else q * (d * d + g * g * v[j]) + p[j] < q * u * u
        if wired or not drops:
            state.buffer[j] += q * (h[j] * h[j] + v[j])
            out[j] += q * w * h[j]
        else:
            state.buffer[j] += q * o * o
            out[j] += q * w * o
        if leaks:
            state.buffer[j] -= state.column[t] * board.spill_t[s, j]


@quick
@no_type_check
def _add_costs(board, state, out, chosen, low, high, t, drops):
    """Add what one connection costs at these gains."""
    s, w, q, leaks = state.source[t], state.weight[t], state.factor[t], board.kind >= LEAKING
    h, v, p = board.cells_t[s], board.noise_t[s], board.barred_t[s]
    for j in range(low, high):
        g = chosen[j]
        o = board.off_t[s, j] if leaks else np.float32(0)
        d, u = w - g * h[j], w - g * o
        wired = q * (d * d + g * g * v[j]) + p[j]
        out[j] += min(wired, q * u * u) if drops else wired
        if leaks:
            out[j] -= state.column[t] * g * g * board.spill_t[s, j]
