"""Whole assignments of one side of a crossbar at a time: by turns down to a local optimum, or under noise.

Under noise, rows go where the table plus a temperature times fresh Gumbel numbers is least, then inputs, and the best
mapping seen is kept. Both are exact in each half.
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiling import quick
from matchopt.kernels.crossbar_costs import LEAKING
from matchopt.kernels.crossbar_joint import join
from matchopt.kernels.crossbar_tables import (
    copy,
    input_moved,
    next_random,
    note_best,
    refresh_cols,
    refresh_rows,
    row_moved,
    sum_cols,
)
from matchopt.kernels.dense_assignment import place

TABLE = 0x10000  # Gumbel numbers in the table


@quick
@no_type_check
def descend(board, state, most, least, noise, spare, paths):
    """Assign inputs and rows by turns until neither improves, at most `most` times; returns the cost."""
    total = refresh_rows(board, state)
    for _ in range(most):
        before = total
        if state.gains.size > 0:  # rows may have other gains now
            refresh_cols(board, state)
        assign_cols(board, state, np.float32(0), noise, spare, paths)
        total = refresh_rows(board, state)
        assign_rows(board, state, np.float32(0), noise, spare, paths)
        refresh_cols(board, state)
        total = refresh_rows(board, state)
        note_best(state, sum_cols(state) if board.kind > LEAKING else total, least)
        if not total < before - least:
            break
    return total


@quick
@no_type_check
def perturb(board, state, rounds, heat, ratio, least, noise, spare, paths, joint):
    """Assign both sides under noise, so many times, the temperature multiplied by `ratio` after each; returns it."""
    for _ in range(rounds):
        warm = np.float32(heat)
        assign_rows(board, state, warm, noise, spare, paths)
        refresh_cols(board, state)
        note_best(state, sum_cols(state), least)
        assign_cols(board, state, warm, noise, spare, paths)
        total = refresh_rows(board, state)
        if board.kind <= LEAKING:  # else rows take for granted that lines are driven
            note_best(state, total, least)
        join(board, state, warm, least, joint)
        heat *= ratio
    return heat


@quick
@no_type_check
def assign_rows(board, state, heat, noise, spare, paths):
    """Give rows the neurons that are cheapest with the lines as they are, under noise."""
    n_rows, n_neurons = state.rows.shape
    for i in range(n_rows):
        _add_noise(state.rows[i], spare[i], heat, noise, state.random)
    place(spare, n_rows, n_neurons, paths)
    copy(state.neuron, state.neuron_before)
    for j in range(n_neurons):
        paths.settled[j] = 0
    for i in range(n_rows):
        state.neuron[i] = paths.col_of[i]
        paths.settled[paths.col_of[i]] = 1
        if state.neuron_before[i] != state.neuron[i]:
            row_moved(board, state, i, state.neuron_before[i])
    _hand_out(state.neuron, n_rows, paths.settled)


@quick
@no_type_check
def assign_cols(board, state, heat, noise, spare, paths):
    """Give the inputs of every bus the lines that are cheapest with the rows where they are, under noise."""
    n_items, n_lines = state.cols.shape[1], state.line.shape[1]
    for b in range(state.line.shape[0]):
        count, line, before = 0, state.line[b], state.line_before[b]
        copy(line, before)
        for x in range(n_items):
            if state.used[b, x] > 0:
                _add_noise(state.cols[b, x], spare[count], heat, noise, state.random)
                count += 1
        place(spare, count, n_lines, paths)
        for k in range(n_lines):
            paths.settled[k] = 0
        count = 0
        for x in range(n_items):
            if state.used[b, x] > 0:
                line[x] = paths.col_of[count]
                paths.settled[line[x]] = 1
                count += 1
                if before[x] != line[x]:
                    input_moved(board, state, b, x)
        _hand_out_unused(board, state, b, paths.settled)


@quick
@no_type_check
def _add_noise(table, out, heat, noise, random):
    if heat == 0:
        for j in range(table.size):
            out[j] = table[j]
        return
    first = np.int64(next_random(random) & np.uint64(TABLE - 1))
    drawn = noise[first : first + table.size]
    for j in range(table.size):
        out[j] = table[j] + heat * drawn[j]


@quick
@no_type_check
def _hand_out(places, first, taken):
    """Give the entries from `first` on the places that are not taken, in order."""
    k = 0
    for a in range(first, places.size):
        while taken[k] != 0:
            k += 1
        places[a] = k
        k += 1


@quick
@no_type_check
def _hand_out_unused(board, state, b, taken):
    """Inputs without a connection on bus b stay on their lines where these are free, and take others where not."""
    line, before, n_items = state.line[b], state.line_before[b], state.cols.shape[1]
    for x in range(n_items):
        if state.used[b, x] == 0 and taken[before[x]] == 0:
            taken[before[x]] = 1
            line[x] = before[x]
        elif state.used[b, x] == 0:
            line[x] = line.size
    k = 0
    for x in range(line.size):
        if x >= n_items or line[x] == line.size:
            while taken[k] != 0:
                k += 1
            line[x] = k
            k += 1
            if x < n_items:
                input_moved(board, state, b, x)
