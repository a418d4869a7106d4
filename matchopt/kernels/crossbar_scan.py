"""Annealing of a crossbar by whole scans: every swap of two rows, then every swap of two inputs, is tried once.

A scan runs over a table that stays fixed, and over memory in order: gather a row by the permutation, a column, add,
compare with the temperature times tabled exponential numbers (Metropolis), count. Only rows of the table whose count
says that there is an accepted swap are looked at again.

References: S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220 (1983),
10.1126/science.220.4598.671.
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import quick
from matchopt.kernels.crossbar_costs import LEAKING
from matchopt.kernels.crossbar_joint import join
from matchopt.kernels.crossbar_tables import (
    FAR,
    TABLE,
    copy,
    input_moved,
    next_random,
    note_best,
    refresh_cols,
    refresh_rows,
    row_moved,
    sum_cols,
)


@quick
@no_type_check
def scan(table, place, cost, heat, buffer, column, used, exponential, random):
    """One Metropolis pass over all swaps of an item with another, or with a spare place; returns how many were made.

    `cost` holds what each item costs where it is and is kept so. Items with `used` 0 stand for spare places.
    """
    n_items, n_places, moves = table.shape[0], place.size, 0
    for b in range(n_items, n_places):
        column[b] = 0
    for a in range(n_items):
        if used[a] == 0:
            continue
        first = np.int64(next_random(random) & np.uint64(TABLE - 1))
        drawn = exponential[first : first + n_places]
        own, at, spent = table[a], place[a], cost[a]
        for b in range(n_items):
            column[b] = table[b, at] - cost[b]
        for b in range(n_places):
            buffer[b] = own[place[b]]
        buffer[a] = FAR
        accepted = np.int32(0)
        for b in range(n_places):
            accepted += np.int32(buffer[b] + column[b] - heat * drawn[b] < spent)
        if accepted > 0:
            moves += _swap(table, place, cost, heat, buffer, column, drawn, a)
    return moves


@quick
@no_type_check
def _swap(table, place, cost, heat, buffer, column, drawn, a):
    """Make the accepted swaps of item `a`, one after the other; each is judged again where one before has moved it."""
    own, at, spent, moves = table[a], place[a], cost[a], 0
    for b in range(place.size):
        back = column[b]
        if moves > 0 and b < table.shape[0]:
            back = table[b, at] - cost[b]
        if buffer[b] + back - heat * drawn[b] < spent and b != a:
            to = place[b]
            place[a], place[b] = to, at
            buffer[b] = own[at]
            if b < table.shape[0]:
                cost[b] = table[b, at]
            spent = own[to]
            at = to
            cost[a] = spent
            moves += 1
    return moves


@quick
@no_type_check
def anneal(board, state, scans, heat, ratio, least, everything, joint):
    """Scans of both sides, the temperature multiplied by `ratio` after each; returns the last one.

    `everything` is the use of rows, all 1. Both tables must be fresh when it begins, and are when it ends.
    """
    n_rows, n_items = state.rows.shape[0], state.cols.shape[1]
    for _ in range(scans):
        warm = np.float32(heat)
        copy(state.neuron, state.neuron_before)
        args = (state.buffer, state.column)
        moves = scan(state.rows, state.neuron, state.row_cost, warm, *args, everything, joint.exponential, state.random)
        if moves > 0:
            for i in range(n_rows):
                if state.neuron_before[i] != state.neuron[i]:
                    row_moved(board, state, i, state.neuron_before[i])
        if moves > 0 or state.gains.size > 0:
            refresh_cols(board, state)
        for b in range(state.line.shape[0]):
            line, before, cost = state.line[b], state.line_before[b], state.col_cost[b]
            copy(line, before)
            moves = scan(state.cols[b], line, cost, warm, *args, state.used[b], joint.exponential, state.random)
            if moves > 0:
                for x in range(n_items):
                    if before[x] != line[x]:
                        input_moved(board, state, b, x)
        total = refresh_rows(board, state)
        note_best(state, sum_cols(state) if board.kind > LEAKING else total, least)
        join(board, state, warm, least, joint)
        heat *= ratio
    return heat
