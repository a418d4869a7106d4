"""The two tables of a crossbar: what every row costs on every neuron, and every input on every line, as wired now.

A swap of rows a and b costs R[a, s_b] + R[b, s_a] - R[a, s_a] - R[b, s_b] with R the table of rows: four loads whatever
the fan-in. Moves of rows leave R as it is, and change only the lines of the other table that they touch.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt.kernels.compiling import inlined_quick, quick

SQUARES, DROPPED, PRICED, LEAKING = 0, 1, 2, 4  # kinds of costs; PRICED + 1 and LEAKING + 1 may drop connections
NEVER = np.float32(1e37)


class Board(NamedTuple):
    """What does not change: connections by row and by input, cells as (neurons, lines) and transposed, and buses, whose
    neurons are neighbours. `noise`, `barred` (added to the cost of a wire) and `off` may be empty where the kind of
    costs does not read them; `driven` is what a squared leak of each input counts for."""

    row_start: Any
    row_input: Any
    row_weight: Any
    row_factor: Any
    col_start: Any
    col_row: Any
    col_weight: Any
    col_factor: Any
    cells: Any
    noise: Any
    barred: Any
    off: Any
    cells_t: Any
    noise_t: Any
    barred_t: Any
    off_t: Any
    driven: Any
    bus_start: Any
    bus_of: Any
    kind: int


class State(NamedTuple):
    """One mapping with its tables. The first rows of `neuron` are those of target rows, the rest spare neurons; so are
    the first lines of a bus those of inputs. `used` counts the connections of each input on each bus; tables are out of
    date where `stale` says so. `best` is the least cost met, with its neurons and lines; the rest is scratch."""

    neuron: Any
    line: Any
    rows: Any
    cols: Any
    row_cost: Any
    col_cost: Any
    stale_rows: Any
    stale_cols: Any
    used: Any
    neuron_before: Any
    line_before: Any
    best: Any
    best_neuron: Any
    best_line: Any
    source: Any
    weight: Any
    factor: Any
    leak: Any
    buffer: Any
    column: Any
    random: Any


@quick
@no_type_check
def refresh_rows(board, state):
    """Bring the table of rows up to date, and give the cost of the whole."""
    n_rows, leaks = state.rows.shape[0], board.kind >= LEAKING
    if leaks:
        _leak_of_neurons(board, state)
    for b in range(state.line.shape[0]):
        low, high, line = board.bus_start[b], board.bus_start[b + 1], state.line[b]
        for i in range(n_rows):
            if state.stale_rows[b, i] or leaks:
                state.stale_rows[b, i] = False
                count = 0
                for e in range(board.row_start[i], board.row_start[i + 1]):
                    x = board.row_input[e]
                    state.source[count] = line[x]
                    state.weight[count] = board.row_weight[e]
                    state.factor[count] = board.row_factor[e]
                    state.column[count] = board.driven[x]
                    count += 1
                _fill(board, state, state.rows[i], low, high, count, True)
    total = 0.0
    for i in range(n_rows):
        state.row_cost[i] = state.rows[i, state.neuron[i]]
        total += state.row_cost[i]
    return total


@quick
@no_type_check
def refresh_cols(board, state):
    """Bring the table of inputs up to date."""
    n_lines, leaks = state.line.shape[1], board.kind >= LEAKING
    if leaks:
        _leak_of_lines(board, state)
    for b in range(state.line.shape[0]):
        for x in range(state.cols.shape[1]):
            if state.stale_cols[b, x] or leaks:
                state.stale_cols[b, x] = False
                count = 0
                for e in range(board.col_start[x], board.col_start[x + 1]):
                    j = state.neuron[board.col_row[e]]
                    if board.bus_of[j] == b:
                        state.source[count] = j
                        state.weight[count] = board.col_weight[e]
                        state.factor[count] = board.col_factor[e]
                        state.column[count] = board.driven[x]
                        count += 1
                state.used[b, x] = count
                _fill(board, state, state.cols[b, x], 0, n_lines, count, False)
                if leaks:
                    for k in range(n_lines):
                        state.cols[b, x, k] += (board.driven[x] - 1) * state.leak[k]
            state.col_cost[b, x] = state.cols[b, x, state.line[b, x]]


@quick
@no_type_check
def row_moved(board, state, i, before):
    """Mark what row i has changed by its move from neuron `before`."""
    old, new = board.bus_of[before], board.bus_of[state.neuron[i]]
    for e in range(board.row_start[i], board.row_start[i + 1]):
        state.stale_cols[old, board.row_input[e]] = True
        state.stale_cols[new, board.row_input[e]] = True


@quick
@no_type_check
def input_moved(board, state, b, x):
    """Mark what input x has changed by its move to another line of bus b."""
    for e in range(board.col_start[x], board.col_start[x + 1]):
        state.stale_rows[b, board.col_row[e]] = True


@quick
@no_type_check
def note_best(state, total, least):
    """Keep the mapping if its cost is below the best by more than `least`."""
    if total < state.best[0] - least:
        state.best[0] = total
        copy(state.neuron, state.best_neuron)
        for b in range(state.line.shape[0]):
            copy(state.line[b], state.best_line[b])


@inlined_quick
@no_type_check
def copy(values, out):
    """Copy a line; numba's own copies may allocate."""
    for j in range(values.size):
        out[j] = values[j]


@quick
@no_type_check
def _leak_of_neurons(board, state):
    for j in range(board.cells.shape[0]):
        state.leak[j] = 0
    for x in range(board.driven.size):
        off = board.off_t[state.line[0, x]]
        for j in range(board.cells.shape[0]):
            state.leak[j] += board.driven[x] * off[j] * off[j]


@quick
@no_type_check
def _leak_of_lines(board, state):
    for k in range(board.cells.shape[1]):
        state.leak[k] = 0
    for i in range(state.rows.shape[0]):
        off = board.off[state.neuron[i]]
        for k in range(board.cells.shape[1]):
            state.leak[k] += off[k] * off[k]


@quick
@no_type_check
def _fill(board, state, out, low, high, count, transposed):
    """Sum the costs of one item's connections on every place from `low` to `high`; sources are rows of the cells."""
    for j in range(low, high):
        out[j] = state.leak[j] if board.kind >= LEAKING else 0
    if board.kind == SQUARES:
        _squares(state, out, low, high, count, board.cells_t if transposed else board.cells)
    elif board.kind == DROPPED:
        _kept_or_dropped(state, out, low, high, count, board.cells_t if transposed else board.cells)
    elif transposed:
        _priced(board.kind, state, out, low, high, count, board.cells_t, board.noise_t, board.barred_t, board.off_t)
    else:
        _priced(board.kind, state, out, low, high, count, board.cells, board.noise, board.barred, board.off)


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
def _priced(kind, state, out, low, high, count, cells, noise, barred, off):
    """Importance, read noise and cells out of use; where cells leak, less the leak that `out` holds already."""
    for t in range(count):
        s, w, q = state.source[t], state.weight[t], state.factor[t]
        h, v, p = cells[s], noise[s], barred[s]
        if kind < LEAKING:
            dropped = q * w * w if kind > PRICED else NEVER
            for j in range(low, high):
                d = w - h[j]
                out[j] += min(q * (d * d + v[j]) + p[j], dropped)
        else:
            o, driven = off[s], state.column[t]
            for j in range(low, high):
                d, u = w - h[j], w - o[j]
                wired = q * (d * d + v[j]) + p[j]
                out[j] += (min(wired, q * u * u) if kind > LEAKING else wired) - driven * o[j] * o[j]
