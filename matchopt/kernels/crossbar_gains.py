"""What a row costs on every neuron of a bus at its best gain: of a finite set, or of an interval by least squares."""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import quick
from matchopt.kernels.crossbar_costs import LEAKING, NEVER, PRICED, priced

FITS = 3  # of an interval's gain, where each changes which connections are dropped, or tuned
TINY = np.float32(1e-30)


@quick
@no_type_check
def fill_gained(board, state, i, low, high, count):
    """Fill row i of the table of rows, and its gains, from the connections that the state holds."""
    out, chosen, trial, leak = (
        state.rows[i][low:high],
        state.gains[i][low:high],
        state.buffer[low:high],
        state.leak[low:high],
    )
    if board.interval:
        _fit(board, state, out, chosen, trial, leak, low, count)
        return
    for number in range(board.gains.size):
        g = board.gains[number]
        for t in range(count):
            state.scale[t] = g
        for j in range(out.size):
            trial[j] = g * g * leak[j] if board.kind >= LEAKING else 0
        priced(board.kind, state, trial, low, count, board.chip_t)
        for j in range(out.size):
            if number == 0 or trial[j] < out[j]:
                out[j], chosen[j] = trial[j], g


@quick
@no_type_check
def _fit(board, state, out, chosen, squares, leak, low, count):
    """The gain is the ratio of two sums over what is realised, which depends on it where connections may be dropped."""
    drops = board.kind == PRICED + 1 or board.kind == LEAKING + 1
    for step in range(FITS if drops or state.prices[1] < NEVER else 1):
        for j in range(out.size):
            out[j] = 0
            squares[j] = leak[j] if board.kind >= LEAKING else 0
        for t in range(count):
            _add_squares(board, state, out, chosen, squares, low, t, drops, step == 0)
        for j in range(out.size):
            chosen[j] = min(max(out[j] / max(squares[j], TINY), board.gains[0]), board.gains[1])
    for j in range(out.size):
        out[j] = chosen[j] * chosen[j] * leak[j] if board.kind >= LEAKING else 0
    for t in range(count):
        _add_costs(board, state, out, chosen, low, t, drops)


@quick
@no_type_check
def _add_squares(board, state, out, chosen, squares, low, t, drops, first):
    """Add one connection's products with the target to the row of costs, and its squares."""
    s, w, q, tuned = state.source[t], state.weight[t], state.factor[t], state.prices[1]
    chip = board.chip_t
    h, v, p = chip.weights[s][low:], chip.noise[s][low:], chip.barred[s][low:]
    leaks = board.kind >= LEAKING
    for j in range(out.size):
        g = chosen[j]
        o = chip.off[s, low + j] if leaks else np.float32(0)
        d, u = w - g * h[j], w - g * o
        cost, idle = q * (d * d + g * g * v[j]) + p[j], q * u * u if drops else NEVER
        if first or min(cost, idle) < tuned:
            if not drops or (p[j] <= 0 if first else cost < idle):
                squares[j] += q * (h[j] * h[j] + v[j])
                out[j] += q * w * h[j]
            else:
                squares[j] += q * o * o
                out[j] += q * w * o
        if leaks:
            squares[j] -= state.column[t] * chip.spill[s, low + j]


@quick
@no_type_check
def _add_costs(board, state, out, chosen, low, t, drops):
    """Add what one connection costs at these gains."""
    s, w, q, leaks = state.source[t], state.weight[t], state.factor[t], board.kind >= LEAKING
    chip = board.chip_t
    h, v, p = chip.weights[s][low:], chip.noise[s][low:], chip.barred[s][low:]
    for j in range(out.size):
        g = chosen[j]
        o = chip.off[s, low + j] if leaks else np.float32(0)
        d, u = w - g * h[j], w - g * o
        wired, without = q * (d * d + g * g * v[j]) + p[j], state.prices[1]
        out[j] += min(wired, min(q * u * u, without) if drops else without)
        if leaks:
            out[j] -= state.column[t] * g * g * chip.spill[s, low + j]
