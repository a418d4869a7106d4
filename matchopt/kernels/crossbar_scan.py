"""Annealing of a crossbar by whole scans: every row, then every input, gets a place by heat bath.

A row is swapped with the row, or the spare place, where the change of the cost plus the temperature times the
logarithm of a fresh exponential number (minus that is a Gumbel number) is least; staying is one of the choices. So
places are drawn with their Boltzmann probabilities. What such a swap saves the other row is bounded by what that row
could save at best: a loop over memory in order finds the few places worth a closer look. The table stays fixed in a
scan. Where few have moved, the other table follows them.

Reference: S. Geman, D. Geman, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images",
IEEE Transactions on Pattern Analysis and Machine Intelligence 6 (1984), 10.1109/TPAMI.1984.4767596.
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import inlined_quick, quick
from matchopt.kernels.crossbar_costs import DROPPED, LEAKING, follow
from matchopt.kernels.crossbar_tables import (
    copy,
    input_moved,
    note_best,
    refresh_cols,
    refresh_rows,
    row_moved,
    sum_cols,
)

FAR = np.float32(1e30)
NONE = np.int32(0x7F000000)  # bits of a float of 1.7e38
TABLE = 0x4000  # logarithms of exponential numbers: each item takes a random window of them
CHUNK = 64  # places that are looked at again together
RENEWED = 32  # scans after which tables are made anew, as sums in single precision drift
FEW = 0.4  # share of the items; where more have moved it is faster to make the other table anew


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
def _ordered(bits):
    """An integer that orders as the float of these bits does, and the other way round: minima fill vector registers."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@quick
@no_type_check
def scan(table, place, cost, heat, low, least, item_at, used, noise, random):
    """One heat bath of all items, one after the other; returns how many moved.

    `cost` holds what each item costs where it is and is kept so. Items with `used` 0 stand for spare places. `low` is
    for what the item on each place can save at best; `least` and `item_at` are scratch too.
    """
    n_items, n_places, moves = table.shape[0], place.size, 0
    for b in range(n_places):
        item_at[place[b]] = b
        low[place[b]] = 0
    for b in range(n_items):
        bits, smallest = table[b].view(np.int32), NONE
        for j in range(n_places):
            smallest = min(smallest, _ordered(bits[j]))
        least.view(np.int32)[b] = _ordered(smallest)
        low[place[b]] = least[b] - cost[b]
    for a in range(n_items):
        if used[a] == 0:
            continue
        first = np.int64(next_random(random) & np.uint64(TABLE - 1))
        drawn, own, at = noise[first : first + n_places], table[a], place[a]
        low[at] = FAR
        stay = own[at] + heat * drawn[at]
        passed = np.int32(0)
        for j in range(n_places):
            passed += np.int32(own[j] + low[j] + heat * drawn[j] < stay)
        to = np.int64(at)
        if passed > 0:
            to = _choice(table, cost, heat, low, item_at, drawn, a, at, stay)
        if to != at:
            b = item_at[to]
            place[a], place[b] = to, at
            item_at[to], item_at[at] = a, b
            low[at] = 0
            if b < n_items:
                cost[b] = table[b, at]
                low[at] = least[b] - cost[b]
            cost[a] = own[to]
            moves += 1
        low[to] = least[a] - cost[a]
    return moves


@quick
@no_type_check
def _choice(table, cost, heat, low, item_at, drawn, a, at, best):
    """The place that item `a` moves to from `at`, where it costs `best` with its noise."""
    own, to, n_items, start = table[a], np.int64(at), table.shape[0], 0
    while start < own.size:
        part, saved, noise = own[start : start + CHUNK], low[start : start + CHUNK], drawn[start : start + CHUNK]
        passed = np.int32(0)
        for j in range(part.size):
            passed += np.int32(part[j] + saved[j] + heat * noise[j] < best)
        if passed > 0:
            for j in range(start, start + part.size):
                value = own[j] + heat * drawn[j]
                if value + low[j] < best:
                    b = item_at[j]
                    if b < n_items:
                        value += table[b, at] - cost[b]
                    if value < best:
                        best, to = value, np.int64(j)
        start += CHUNK
    return to


@quick
@no_type_check
def anneal(board, state, scans, heat, ratio, least, noise, everything):
    """Scans of both sides, the temperature multiplied by `ratio` after each; returns the last one.

    `everything` is the use of rows, all 1. Both tables must be fresh when it begins, and are when it ends.
    """
    followed = board.kind <= DROPPED and state.line.shape[0] == 1
    for number in range(scans):
        afresh = not followed or number % RENEWED == 0
        if followed and afresh:
            state.stale_rows[:], state.stale_cols[:] = True, True
        _scan_rows(board, state, np.float32(heat), afresh, noise, everything)
        total = _scan_cols(board, state, np.float32(heat), afresh, noise)
        note_best(state, sum_cols(state) if board.kind > LEAKING else total, least)
        heat *= ratio
    return heat


@quick
@no_type_check
def _scan_rows(board, state, heat, afresh, noise, everything):
    """A scan of the rows; the table of inputs is made anew where they moved, or follows them."""
    n_rows, now, before = state.rows.shape[0], state.neuron, state.neuron_before
    copy(now, before)
    args = (state.buffer, state.column, state.source)
    moves = scan(state.rows, now, state.row_cost, heat, *args, everything, noise, state.random)
    if moves == 0 and board.kind > DROPPED and state.gains.size == 0:
        return
    if afresh or _count(before, now, n_rows) > FEW * n_rows:
        for i in range(n_rows):
            if before[i] != now[i]:
                row_moved(board, state, i, before[i])
        refresh_cols(board, state)
        return
    dropped, start, cells = board.kind == DROPPED, board.row_start, board.chip.weights
    for i in range(n_rows):
        if before[i] != now[i]:
            for e in range(start[i], start[i + 1]):
                follow(state.cols[0, board.row_input[e]], cells[before[i]], cells[now[i]], board.row_weight[e], dropped)
    for x in range(state.cols.shape[1]):
        state.col_cost[0, x] = state.cols[0, x, state.line[0, x]]


@quick
@no_type_check
def _scan_cols(board, state, heat, afresh, noise):
    """The same of the inputs on every bus, and the table of rows; returns the cost by that table."""
    n_items, args = state.cols.shape[1], (state.buffer, state.column, state.source)
    for b in range(state.line.shape[0]):
        now, before = state.line[b], state.line_before[b]
        copy(now, before)
        scan(state.cols[b], now, state.col_cost[b], heat, *args, state.used[b], noise, state.random)
        few = not afresh and _count(before, now, n_items) <= FEW * n_items
        for x in range(n_items):
            if before[x] != now[x] and not few:
                input_moved(board, state, b, x)
            elif before[x] != now[x]:
                _rows_follow(board, state, x, before[x], now[x])
    return refresh_rows(board, state)


@quick
@no_type_check
def _rows_follow(board, state, x, before, now):
    """Bring the table of rows up to date with the move of input x, on the only bus there is."""
    dropped, cells = board.kind == DROPPED, board.chip_t.weights
    for e in range(board.col_start[x], board.col_start[x + 1]):
        follow(state.rows[board.col_row[e]], cells[before], cells[now], board.col_weight[e], dropped)


@inlined_quick
@no_type_check
def _count(before, now, size):
    moved = 0
    for a in range(size):
        moved += before[a] != now[a]
    return moved
