"""Moves of a row and of one of its inputs together: to a neuron and a line whose cell suits their connection.

Where a large weight sits on a good cell, neither its row nor its input can move alone. For every connection that counts
for much, all neurons and lines of its bus are looked at, also those in use, whose items come to where these leave.
What the rest of the row costs on a neuron, and the rest of the input on a line, are in the two tables; only places that
are good enough with the best of the other side are paired, so that a look is linear in the number of places.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt.kernels.compiling import inlined_quick, quick
from matchopt.kernels.crossbar_costs import LEAKING, add_up
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
)

# By trials at 100 x 100.
EVERY = 4  # passes to one look at connections
COOLER = np.float32(0.6)  # of the temperature of assignments
HEAVY = (0.5, 1.0)  # times the mean square of weights is looked at, without drops and with
SELDOM, LONGEST = 400, 64  # with fewer than one move in so many looks, they come half as often, down to every so many
MOST_LOOKED = 32  # costs looked at then, times those in both tables; what is left waits for the next time
LARGEST = np.float32(6.0)  # of the exponential numbers of Metropolis: one in 400 is larger, and takes longer


class Joint(NamedTuple):
    """Which connections are moved with both ends, `heavy` being the least that dropping them costs; a `count` of passes
    gone by, -1 where none ever moves jointly, the next row, and how many times rarer looks are than at first;
    exponential numbers; and scratch: the row on each neuron and the input on each line, what neurons, lines and pairs
    of them cost, and the neurons that may do."""

    heavy: Any
    count: Any
    exponential: Any
    row_at: Any
    input_at: Any
    neurons: Any
    lines: Any
    pairs: Any
    listed: Any

    @classmethod
    def of(cls, board: Any, state: Any, exponential: Any) -> "Joint":
        """For this layer; switched off."""
        square = board.row_factor.astype(np.float64) * board.row_weight.astype(np.float64) ** 2
        least = np.float32(HEAVY[board.kind % 2] * square.mean())
        (_, neurons), (buses, lines) = state.rows.shape, state.line.shape
        scratch = np.zeros(neurons, np.float32), np.zeros(lines, np.float32), np.zeros(lines, np.float32)
        whole = np.zeros(neurons, np.int64), np.zeros((buses, lines), np.int64)
        return cls(least, np.array([-1, 0, 1]), exponential, *whole, *scratch, np.zeros(neurons, np.int64))


def movable(board: Any) -> bool:
    """Whether costs are sums over connections, so that moves are judged by the tables."""
    return bool(board.kind < LEAKING and board.gains.size == 1)


@inlined_quick
@no_type_check
def join(board, state, heat, least, joint):
    """Every few times that this is called, if ever, move jointly, as much as does not take longer than some passes."""
    if joint.count[0] >= 0:
        joint.count[0] += 1
        if joint.count[0] % (EVERY * joint.count[2]) == 0:
            most = MOST_LOOKED * (state.rows.size + state.cols.size)
            looks, moves = move_jointly(board, state, COOLER * heat, least, joint, most)
            joint.count[2] = min(2 * joint.count[2], LONGEST) if SELDOM * moves < looks else 1


@quick
@no_type_check
def move_jointly(board, state, heat, least, joint, most):
    """Try to move the heavy connections with both their ends by Metropolis, each once or until `most` costs are met.

    Returns how many were looked at, and moved. Both tables must be fresh when it begins, and are when it ends.
    """
    for a in range(state.neuron.size):
        joint.row_at[state.neuron[a]] = a
    for b in range(state.line.shape[0]):
        for a in range(state.line.shape[1]):
            joint.input_at[b, state.line[b, a]] = a
    looks, moves, met = 0, 0, 0
    for _ in range(state.rows.shape[0]):
        i = joint.count[1]
        for e in range(board.row_start[i], board.row_start[i + 1]):
            w, q = board.row_weight[e], board.row_factor[e]
            if q * w * w >= joint.heavy:
                state.weight[0], state.factor[0], state.scale[0] = w, q, board.gains[0]
                j, k, costs = _chosen(board, state, i, board.row_input[e], heat, joint)
                looks, met = looks + 1, met + costs
                if j >= 0:
                    moves += 1
                    _move(board, state, i, board.row_input[e], j, k, least, joint)
        joint.count[1] = (i + 1) % state.rows.shape[0]
        if met > most:
            break
    return looks, moves


@inlined_quick
@no_type_check
def _alone(board, state, cells, s, low, out):
    """What the connection in hand costs on the cells `s` from `low` on."""
    for j in range(out.size):
        out[j] = 0
    state.source[0] = s
    add_up(board.kind, state, out, low, 1, cells)


@inlined_quick
@no_type_check
def _without(table, own, place, low, at, out):
    """What an item costs on every place from `low` on, without its connection in hand, which costs `out` there, and
    with the item that has to make place. Returns the least of places other than `at`, and what it costs there."""
    here = table[own, at] - out[at]
    for p in range(out.size):
        out[p] = table[own, p] - out[p]
    for other in range(table.shape[0]):
        p = np.int64(place[other]) - low
        if 0 <= p < out.size:
            out[p] += table[other, at] - table[other, p]
    out[at] = FAR
    lowest = FAR
    for p in range(out.size):
        lowest = min(lowest, out[p])
    return lowest, here


@quick
@no_type_check
def _chosen(board, state, i, x, heat, joint):
    """The neuron and the line that are taken by row i and input x, -1 for none, and how many costs were met."""
    j0 = np.int64(state.neuron[i])
    b = board.bus_of[j0]
    low, high, k0 = board.bus_start[b], board.bus_start[b + 1], np.int64(state.line[b, x])
    neurons, lines, pairs = joint.neurons[: high - low], joint.lines, joint.pairs
    _alone(board, state, board.chip_t, k0, low, neurons)
    _alone(board, state, board.chip, j0, 0, lines)
    at = neurons[j0 - low]
    best_neuron, row = _without(state.rows[:, low:high], i, state.neuron, low, j0 - low, neurons)
    best_line, column = _without(state.cols[b], x, state.line[b], 0, k0, lines)
    now = row + column + at
    limit = now + heat * LARGEST
    count, first = 0, np.int64(next_random(state.random) & np.uint64(TABLE - 1))
    if best_neuron + best_line < limit:
        for j in range(neurons.size):
            if neurons[j] + best_line < limit:
                joint.listed[count] = j
                count += 1
    met = neurons.size + lines.size
    for t in range(count):
        met += lines.size
        j = joint.listed[(t + first) % count]
        _alone(board, state, board.chip, low + j, 0, pairs)
        drawn, lowest, k = joint.exponential[(first + t) % TABLE :], FAR, 0
        for c in range(pairs.size):
            pairs[c] = pairs[c] + lines[c] - heat * drawn[c]
            lowest = min(lowest, pairs[c])
        if neurons[j] + lowest < now:
            while k < pairs.size - 1 and pairs[k] > lowest:
                k += 1
            if _apart(board, i, x, joint.row_at[low + j], joint.input_at[b, k]):
                return low + j, k, met
    return np.int64(-1), np.int64(-1), met


@inlined_quick
@no_type_check
def _apart(board, i, x, other, beside):
    """Whether the row and the input that make place have no connection with those that come, nor with each other."""
    free = True
    for e in range(board.row_start[i], board.row_start[i + 1]):
        free = free and board.row_input[e] != beside
    if other < board.row_start.size - 1:
        for e in range(board.row_start[other], board.row_start[other + 1]):
            free = free and board.row_input[e] != x and board.row_input[e] != beside
    return free


@quick
@no_type_check
def _move(board, state, i, x, j, k, least, joint):
    j0 = np.int64(state.neuron[i])
    b = board.bus_of[j0]
    k0, other, beside = np.int64(state.line[b, x]), joint.row_at[j], joint.input_at[b, k]
    copy(state.neuron, state.neuron_before)
    copy(state.line[b], state.line_before[b])
    state.neuron[i], state.neuron[other], joint.row_at[j], joint.row_at[j0] = j, j0, i, other
    state.line[b, x], state.line[b, beside], joint.input_at[b, k], joint.input_at[b, k0] = k, k0, x, beside
    row_moved(board, state, i, j0)
    if other < state.rows.shape[0]:
        row_moved(board, state, other, j)
    input_moved(board, state, b, x)
    if beside < state.cols.shape[1]:
        input_moved(board, state, b, beside)
    refresh_cols(board, state)
    note_best(state, refresh_rows(board, state), least)
