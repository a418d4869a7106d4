"""Projection of a dense row of wishes on what one hardware neuron can realise with any cell on any input.

A cell h on input x changes the squared distance between wishes u and realised weights by h^2 - 2 h u_x. So positive
cells belong to the inputs of largest u and negative ones to those of smallest u, larger magnitudes to the more extreme
inputs (rearrangement inequality): the two signs are independent, and only as many extreme inputs matter as there are
cells. Which cells to use at all is a dynamic program over the sorted cells of a sign: if s of them are used they serve
the s most extreme inputs in order.
"""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import inlined, leaf

STRIPES = 64  # input x is in stripe x % 64; a stripe whose extremes do not pass the threshold is passed over


class Workspace(NamedTuple):
    """Scratch of `route_rows`: the wishes of the extreme inputs, which inputs are taken, the table of the most that
    some cells are worth with the choices that led there, ranks, peaks of stripes, and wishes put aside."""

    value: Any
    taken: Any
    best: Any
    chosen: Any
    rank: Any
    peaks: Any
    aside: Any


def workspace(most: int, n_inputs: int) -> Workspace:
    """Scratch of `route_rows` for at most `most` cells of a sign."""
    single = np.float32
    return Workspace(
        np.empty(most, single), np.zeros(n_inputs, bool), np.empty(most + 1), np.empty((most, most + 1), bool),
        np.empty(most, np.int32), np.empty((2, STRIPES), single), np.empty(most, single),
    )  # fmt: skip


@leaf
def route_rows(wishes, cells, cell_ids, n_cells, threshold, exact, near, wires, work):
    """Route every row; all arrays have one line per row.

    `cells` (rows, 2, most) are magnitudes in falling order, positive cells first, `cell_ids` their numbers and
    `n_cells` (rows, 2) how many there are. A cell of magnitude h is worth h * (wish - threshold * h) on an input of
    that wish (negative wishes for negative cells): 0.5 is the Euclidean projection. `exact` finds the cells of largest
    total worth; otherwise each cell in falling order takes the next input if it is worth anything there. A threshold of
    0 forces every cell of a neuron onto an input, whatever the wish, if there are enough inputs. `near` (rows, 2, most)
    holds the extreme inputs of the call before, or -1, and is updated. `wires` are `Wires`; `work` is scratch
    from `workspace`.
    """
    value, taken, rank = work.value, work.taken, work.rank
    for i in range(wishes.shape[0]):
        made = 0
        forced = threshold == 0.0 and n_cells[i, 0] + n_cells[i, 1] <= wishes.shape[1]
        _peaks_of_stripes(wishes[i], n_cells[i], near[i], work)
        for side in range(2):
            sign = wishes.dtype.type(1 - 2 * side)
            size = n_cells[i, side]
            found = _extremes(wishes[i], sign, size, work.peaks[side], near[i, side], value, taken)
            if forced:
                _by_rank(found, size, rank)
            elif exact:
                _most_worth(found, cells[i, side], size, threshold, work)
            else:
                _in_turn(value, found, cells[i, side], size, threshold, rank)
            made = _write(made, sign, rank, near[i, side], cells[i, side], cell_ids[i, side], size, wires, i)
            if side == 0 and forced:  # no input serves cells of both signs, not even where wishes are equal
                for k in range(found):
                    taken[near[i, 0, k]] = True
        for k in range(n_cells[i, 0]):
            if near[i, 0, k] >= 0:
                taken[near[i, 0, k]] = False
        wires.count[i] = made


@leaf
def route_worths(wishes, cells, n_cells, threshold, exact, near, work, worths):
    """Fill worths[row, neuron] with the total worth of routing the row on the neuron; arguments as for `route_rows`.

    `cells` and `n_cells` have one line per neuron; `near` is scratch for one row, (2, most).
    """
    value, taken, rank = work.value, work.taken, work.rank
    most = cells.shape[2]
    for i in range(wishes.shape[0]):
        for side in range(2):
            for k in range(most):
                near[side, k] = -1
        _peaks_of_stripes(wishes[i], (most, most), near, work)
        for side in range(2):
            sign = wishes.dtype.type(1 - 2 * side)
            found = _extremes(wishes[i], sign, most, work.peaks[side], near[side], value, taken)
            for j in range(cells.shape[0]):
                size, line = n_cells[j, side], cells[j, side]
                if threshold == 0.0 and n_cells[j, 0] + n_cells[j, 1] <= wishes.shape[1]:
                    _by_rank(found, size, rank)
                elif exact:
                    _most_worth(found, line, size, threshold, work)
                else:
                    _in_turn(value, found, line, size, threshold, rank)
                worth = 0.0
                for k in range(size):
                    if rank[k] >= 0:
                        worth += line[k] * (value[rank[k]] - threshold * line[k])
                worths[i, j] = worth if side == 0 else worths[i, j] + worth


@inlined
def _extremes(row, sign, size, peaks, near, value, taken):
    """The `size` inputs of largest sign * row that are not taken: in `near`, falling, their wishes in `value`.

    Returns how many there are. What `near` holds on entry is tried first: after a small change of the row it sets a
    threshold that hardly any other input passes.
    """
    found = 0
    for k in range(size):
        x = near[k]
        if x >= 0 and not taken[x]:
            found = _insert(x, sign * row[x], size, found, near, value)
    if size == 0 or (found == size and _none_above(peaks, sign, value[size - 1])):
        return found
    for stripe in range(peaks.size):
        if found < size or sign * peaks[stripe] > value[size - 1]:
            for x in range(stripe, row.size, peaks.size):
                wish = sign * row[x]
                if (found < size or wish > value[size - 1]) and not taken[x] and not _listed(x, near, found):
                    found = _insert(x, wish, size, found, near, value)
    for k in range(found, size):
        near[k] = -1
    return found


@inlined
def _insert(x, wish, size, found, near, value):
    """Put input `x` into its place in the falling list, off which the last one drops when it is full."""
    at = min(found, size - 1)
    while at > 0 and value[at - 1] < wish:
        value[at] = value[at - 1]
        near[at] = near[at - 1]
        at -= 1
    value[at] = wish
    near[at] = x
    return min(found + 1, size)


@inlined
def _listed(x, near, found):
    at = 0
    while at < found and near[at] != x:
        at += 1
    return at < found


@inlined
def _none_above(peaks, sign, bound):
    highest = sign * peaks[0]
    for j in range(1, peaks.size):
        highest = max(highest, sign * peaks[j])
    return highest <= bound


@inlined
def _peaks_of_stripes(row, n_cells, near, work):
    """The largest value of every stripe but for the inputs in near[0], and the smallest but for those in near[1].

    Those are set to infinity meanwhile. Stripes run side by side, as that fills vector registers.
    """
    aside, whole = work.aside, row.size - row.size % STRIPES
    for side in range(2):
        nothing = row.dtype.type(-np.inf if side == 0 else np.inf)
        for k in range(n_cells[side]):
            if near[side, k] >= 0:
                aside[k] = row[near[side, k]]
                row[near[side, k]] = nothing
        line = work.peaks[side]
        for j in range(STRIPES):
            line[j] = row[whole + j] if whole + j < row.size else nothing
        if side == 0:
            for start in range(0, whole, STRIPES):
                for j in range(STRIPES):
                    line[j] = max(line[j], row[start + j])
        else:
            for start in range(0, whole, STRIPES):
                for j in range(STRIPES):
                    line[j] = min(line[j], row[start + j])
        for k in range(n_cells[side]):
            if near[side, k] >= 0:
                row[near[side, k]] = aside[k]


@inlined
def _write(made, sign, rank, near, cells, cell_ids, size, wires, i):
    for k in range(size):
        if rank[k] >= 0:
            wires.inputs[i, made] = near[rank[k]]
            wires.cells[i, made] = cell_ids[k]
            wires.weights[i, made] = sign * cells[k]
            made += 1
    return made


@inlined
def _by_rank(found, size, rank):
    for k in range(size):
        rank[k] = k if k < found else -1


@inlined
def _in_turn(value, found, cells, size, threshold, rank):
    """Each cell in falling order takes the next input if it is worth anything there."""
    at = 0
    for k in range(size):
        rank[k] = -1
        if at < found and value[at] > threshold * cells[k]:
            rank[k] = at
            at += 1


@inlined
def _most_worth(found, cells, size, threshold, work):
    """The cells of largest total worth: best[s] is the most that s of the cells so far are worth."""
    value, best, chosen, rank = work.value, work.best, work.chosen, work.rank
    positive = 0
    while positive < found and value[positive] > 0.0:
        positive += 1
    best[0] = 0.0
    for s in range(1, positive + 1):
        best[s] = -np.inf
    for k in range(size):
        h = np.float64(cells[k])
        for s in range(min(k + 1, positive), 0, -1):
            with_it = best[s - 1] + h * (value[s - 1] - threshold * h)
            chosen[k, s] = with_it > best[s]
            if chosen[k, s]:
                best[s] = with_it
    s = 0
    for other in range(1, positive + 1):
        if best[other] > best[s]:
            s = other
    for k in range(size - 1, -1, -1):
        rank[k] = -1
        if s > 0 and s <= k + 1 and chosen[k, s]:
            s -= 1
            rank[k] = s
