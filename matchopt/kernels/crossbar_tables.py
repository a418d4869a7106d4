"""The two tables of a crossbar: what every row costs on every neuron, and every input on every line, as wired now.

A swap of rows a and b costs R[a, s_b] + R[b, s_a] - R[a, s_a] - R[b, s_b] with R the table of rows: four loads whatever
the fan-in. Moves of rows leave R as it is, and change only the lines of the other table that they touch.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt.kernels.compiling import inlined_quick, quick
from matchopt.kernels.crossbar_costs import LEAKING, driven_or_not, fill, patch
from matchopt.kernels.crossbar_gains import fill_gained

FAR = np.float32(1e30)
TABLE = 0x4000  # exponential numbers that a search has at hand; it takes a random window of them at a time


class Cells(NamedTuple):
    """Cells in one order of places. `noise`, `barred` (added to the cost of a wire), `off` and `spill` (what a cell
    costs a row that has nothing on its line) may be empty where the kind of costs does not read them. What can be
    written are ranges from `low` to `high` with the variance `spread`, whatever their number."""

    weights: Any
    noise: Any
    barred: Any
    off: Any
    spill: Any
    low: Any
    high: Any
    spread: Any


class Board(NamedTuple):
    """What does not change: connections by row and by input, cells as (neurons, lines) and transposed, and buses, whose
    neurons are neighbours. `driven` is what spills of each input count for. `gains` are the gains of rows, or two ends
    of an interval where `interval` says so."""

    row_start: Any
    row_input: Any
    row_weight: Any
    row_factor: Any
    col_start: Any
    col_row: Any
    col_weight: Any
    col_factor: Any
    chip: Any
    chip_t: Any
    driven: Any
    gains: Any
    interval: Any
    bus_start: Any
    bus_of: Any
    kind: int


class State(NamedTuple):
    """One mapping with its tables. The first rows of `neuron` are those of target rows, the rest spare neurons; so are
    the first lines of a bus those of inputs. `used` counts the connections of each input on each bus; tables are out of
    date where `stale` says so. `gain` is that of each row, `gains` the best one on each neuron. `best` is the least
    cost met, with its neurons and lines; `prices` are of a write and of a tuned connection. A row of a table is changed
    by what has moved at most `patience` times before it is added up anew; `patched` counts. The rest is scratch."""

    neuron: Any
    line: Any
    rows: Any
    cols: Any
    row_cost: Any
    col_cost: Any
    stale_rows: Any
    stale_cols: Any
    used: Any
    gain: Any
    gains: Any
    neuron_before: Any
    line_before: Any
    best: Any
    best_neuron: Any
    best_line: Any
    prices: Any
    patience: Any
    patched_rows: Any
    patched_cols: Any
    source: Any
    source_before: Any
    weight: Any
    factor: Any
    scale: Any
    leak: Any
    buffer: Any
    column: Any
    wired: Any
    random: Any


@quick
@no_type_check
def refresh_rows(board, state):
    """Bring the table of rows up to date, each at its best gain on each neuron, and give the cost of the whole."""
    n_rows, leaks = state.rows.shape[0], board.kind >= LEAKING
    if leaks:
        _leak_of_neurons(board, state)
    for b in range(state.line.shape[0]):
        low, high, line = board.bus_start[b], board.bus_start[b + 1], state.line[b]
        for i in range(n_rows):
            if state.stale_rows[b, i] or leaks:
                state.stale_rows[b, i] = False
                if state.patched_rows[i] < state.patience[0] and _patch_row(board, state, i):
                    continue
                state.patched_rows[i] = 0
                count = 0
                for e in range(board.row_start[i], board.row_start[i + 1]):
                    x = board.row_input[e]
                    state.source[count] = line[x]
                    state.weight[count] = board.row_weight[e]
                    state.factor[count] = board.row_factor[e]
                    state.column[count] = board.driven[x] if state.used[b, x] > 0 else 0
                    state.scale[count] = board.gains[0]
                    count += 1
                if board.interval or board.gains.size > 1:
                    fill_gained(board, state, i, low, high, count)
                else:
                    fill(board, state, state.rows[i], low, high, count, True)
    total = 0.0
    for i in range(n_rows):
        state.row_cost[i] = state.rows[i, state.neuron[i]]
        total += state.row_cost[i]
        _regain(board, state, i)
    return total


@quick
@no_type_check
def refresh_cols(board, state):
    """Bring the table of inputs up to date."""
    n_lines, leaks = state.line.shape[1], board.kind >= LEAKING
    for b in range(state.line.shape[0]):
        if leaks:
            _leak_of_lines(board, state, b)
        for x in range(state.cols.shape[1]):
            if state.stale_cols[b, x] or leaks:
                state.stale_cols[b, x] = False
                if state.patched_cols[x] >= state.patience[0] or not _patch_col(board, state, x):
                    _renew_col(board, state, b, x, n_lines)
            state.col_cost[b, x] = state.cols[b, x, state.line[b, x]]


@quick
@no_type_check
def _renew_col(board, state, b, x, n_lines):
    count = 0
    for e in range(board.col_start[x], board.col_start[x + 1]):
        j = state.neuron[board.col_row[e]]
        if board.bus_of[j] == b:
            state.source[count] = j
            state.weight[count] = board.col_weight[e]
            state.factor[count] = board.col_factor[e]
            state.column[count] = board.driven[x]
            state.scale[count] = state.gain[board.col_row[e]]
            count += 1
    state.used[b, x], state.patched_cols[x] = count, 0
    _fill_col(board, state, b, x, n_lines, count)


@inlined_quick
@no_type_check
def _moved(state, first, last, others, weights, now, before):
    """Note the connections whose partners have moved, where these are now and were before; returns how many."""
    count = 0
    for e in range(first, last):
        o = others[e]
        if now[o] != before[o]:
            state.source[count], state.source_before[count] = now[o], before[o]
            state.weight[count] = weights[e]
            count += 1
    return count


@quick
@no_type_check
def _patch_row(board, state, i):
    """Bring a row up to date by the inputs that have moved, if these are less than half; returns whether it did."""
    first, last = board.row_start[i], board.row_start[i + 1]
    count = _moved(state, first, last, board.row_input, board.row_weight, state.line[0], state.line_before[0])
    if 2 * count >= last - first:
        return False
    patch(board.kind, state, state.rows[i], count, board.chip_t.weights)
    state.patched_rows[i] += 1
    return True


@quick
@no_type_check
def _patch_col(board, state, x):
    """The same for an input, by the rows that have moved."""
    first, last = board.col_start[x], board.col_start[x + 1]
    count = _moved(state, first, last, board.col_row, board.col_weight, state.neuron, state.neuron_before)
    if 2 * count >= last - first:
        return False
    patch(board.kind, state, state.cols[0, x], count, board.chip.weights)
    state.patched_cols[x] += 1
    return True


@quick
@no_type_check
def _fill_col(board, state, b, x, n_lines, count):
    """An input that drives nothing on this bus leaks nothing there."""
    out, share = state.cols[b, x], board.driven[x] if count > 0 else 0
    for k in range(n_lines):
        out[k] = share * state.leak[k] if board.kind >= LEAKING else 0
    fill(board, state, out, 0, n_lines, count, False)
    if board.kind == LEAKING + 1:
        driven_or_not(board, state, out, count)


@quick
@no_type_check
def sum_cols(state):
    """The cost of the whole by the table of inputs, for rows where they are."""
    total = 0.0
    for b in range(state.line.shape[0]):
        for x in range(state.cols.shape[1]):
            total += state.col_cost[b, x]
    return total


@quick
@no_type_check
def row_moved(board, state, i, before):
    """Mark what row i has changed by its move from neuron `before`."""
    old, new = board.bus_of[before], board.bus_of[state.neuron[i]]
    for e in range(board.row_start[i], board.row_start[i + 1]):
        state.stale_cols[old, board.row_input[e]] = True
        state.stale_cols[new, board.row_input[e]] = True
    _regain(board, state, i)


@quick
@no_type_check
def _regain(board, state, i):
    """Give row i its best gain where it is."""
    j = state.neuron[i]
    if state.gains.size > 0 and state.gain[i] != state.gains[i, j]:
        state.gain[i] = state.gains[i, j]
        for e in range(board.row_start[i], board.row_start[i + 1]):
            state.stale_cols[board.bus_of[j], board.row_input[e]] = True


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
def next_random(random):
    """The next of G. Marsaglia's xorshift numbers (Journal of Statistical Software 8, 2003)."""
    s = random[0]
    s ^= s << np.uint64(13)
    s ^= s >> np.uint64(7)
    s ^= s << np.uint64(17)
    random[0] = s
    return s


@inlined_quick
@no_type_check
def copy(values, out):
    """Copy a line; numba's own copies may allocate."""
    for j in range(values.size):
        out[j] = values[j]


@quick
@no_type_check
def _leak_of_neurons(board, state):
    """What every neuron's cells spill on the lines of its bus that are driven, at gain 1."""
    for j in range(board.chip.weights.shape[0]):
        state.leak[j] = 0
    for b in range(state.line.shape[0]):
        for x in range(board.driven.size):
            if state.used[b, x] > 0:
                low, high = board.bus_start[b], board.bus_start[b + 1]
                spill, leak = board.chip_t.spill[state.line[b, x]][low:high], state.leak[low:high]
                for j in range(leak.size):
                    leak[j] += board.driven[x] * spill[j]


@quick
@no_type_check
def _leak_of_lines(board, state, b):
    """What the neurons in use on a bus spill on every line, at their gains."""
    for k in range(board.chip.weights.shape[1]):
        state.leak[k] = 0
    for i in range(state.rows.shape[0]):
        if board.bus_of[state.neuron[i]] == b:
            spill, square = board.chip.spill[state.neuron[i]], state.gain[i] * state.gain[i]
            for k in range(board.chip.weights.shape[1]):
                state.leak[k] += square * spill[k]
