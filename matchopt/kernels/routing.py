"""Projection of a dense row of wishes on what one hardware neuron can realise with any cell on any input.

A cell h on input x changes the squared distance between wishes u and realised weights by h^2 - 2 h u_x. So positive
cells belong to the inputs of largest u and negative ones to those of smallest u, larger magnitudes to the more extreme
inputs (rearrangement inequality): the two signs are independent, and only as many extreme inputs matter as there are
cells. Which cells to use at all is a dynamic program over the sorted cells of a sign: if s of them are used they serve
the s most extreme inputs in order.
"""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiled import compiled, inlined

STRIPES = 64  # input x is in stripe x % 64; a stripe whose extremes do not pass the threshold is passed over
MOST_INSERTED = 64  # cells of one sign up to which inserting beats sorting the row


@compiled
@no_type_check
def route_rows(wishes, cells, cell_ids, n_cells, threshold, exact, near, wires):
    """Route every row; all arrays have one line per row.

    `cells` (rows, 2, most) are magnitudes in falling order, positive cells first, `cell_ids` their numbers and
    `n_cells` (rows, 2) how many there are. A cell of magnitude h is worth h * (wish - threshold * h) on an input of
    that wish (negative wishes for negative cells): 0.5 is the Euclidean projection. `exact` finds the cells of largest
    total worth; otherwise each cell in falling order takes the next input if it is worth anything there. A threshold of
    0 forces every cell of a neuron onto an input, whatever the wish, if there are enough inputs. `near` (rows, 2, most)
    holds the extreme inputs of the call before, or -1, and is updated. `wires` is `Wires.compiled`.
    """
    count, inputs, used, weights = wires
    most = cells.shape[2]
    value = np.empty(most, wishes.dtype)
    taken = np.zeros(wishes.shape[1], np.bool_)
    best = np.empty(most + 1)
    chosen = np.empty((most, most + 1), np.bool_)
    rank = np.empty(most, np.int32)
    peaks = np.empty((2, min(STRIPES, wishes.shape[1])), wishes.dtype)
    for i in range(wishes.shape[0]):
        made = 0
        forced = threshold == 0.0 and n_cells[i, 0] + n_cells[i, 1] <= wishes.shape[1]
        peaks_of_stripes(wishes[i], peaks)
        for side in range(2):
            sign = wishes.dtype.type(1 - 2 * side)
            size = n_cells[i, side]
            if size > MOST_INSERTED:
                found = extremes_by_sorting(wishes[i], sign, size, near[i, side], value, taken)
            else:
                found = extremes(wishes[i], sign, size, peaks[side], near[i, side], value, taken)
            if forced:
                _by_rank(found, size, rank)
            elif exact:
                _most_worth(value, found, cells[i, side], size, threshold, best, chosen, rank)
            else:
                _in_turn(value, found, cells[i, side], size, threshold, rank)
            made = _write(made, sign, rank, near[i, side], cells[i, side], cell_ids[i, side], size,
                          inputs[i], used[i], weights[i])  # fmt: skip
            if side == 0 and forced:  # no input serves cells of both signs, not even where wishes are equal
                for k in range(found):
                    taken[near[i, 0, k]] = True
        for k in range(n_cells[i, 0]):
            if near[i, 0, k] >= 0:
                taken[near[i, 0, k]] = False
        count[i] = made


@inlined
@no_type_check
def extremes(row, sign, size, peaks, near, value, taken):
    """The `size` inputs of largest sign * row that are not taken: in `near`, falling, their wishes in `value`.

    Returns how many there are. What `near` holds on entry is tried first: after a small change of the row it sets a
    threshold that hardly any other input passes.
    """
    found = 0
    for k in range(size):
        x = near[k]
        if x >= 0 and not taken[x]:
            found = _insert(x, sign * row[x], size, found, near, value)
    for stripe in range(peaks.size if size > 0 else 0):
        if found < size or sign * peaks[stripe] > value[size - 1]:
            for x in range(stripe, row.size, peaks.size):
                wish = sign * row[x]
                if (found < size or wish > value[size - 1]) and not taken[x] and not _listed(x, near, found):
                    found = _insert(x, wish, size, found, near, value)
    for k in range(found, size):
        near[k] = -1
    return found


@inlined
@no_type_check
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
@no_type_check
def _listed(x, near, found):
    at = 0
    while at < found and near[at] != x:
        at += 1
    return at < found


@compiled
@no_type_check
def extremes_by_sorting(row, sign, size, near, value, taken):
    """The same as `extremes`, for many cells."""
    found = 0
    for x in np.argsort(-sign * row):
        if found < size and not taken[x]:
            near[found] = x
            value[found] = sign * row[x]
            found += 1
    for k in range(found, size):
        near[k] = -1
    return found


@inlined
@no_type_check
def peaks_of_stripes(row, peaks):
    """The largest and the smallest value of every stripe; side by side, as that fills vector registers."""
    stripes = peaks.shape[1]
    for j in range(stripes):
        peaks[0, j] = row[j]
        peaks[1, j] = row[j]
    if stripes == 0:
        return
    for start in range(stripes, row.size, stripes):
        for j in range(min(stripes, row.size - start)):
            peaks[0, j] = max(peaks[0, j], row[start + j])
            peaks[1, j] = min(peaks[1, j], row[start + j])


@inlined
@no_type_check
def _write(made, sign, rank, near, cells, cell_ids, size, inputs, used, weights):
    for k in range(size):
        if rank[k] >= 0:
            inputs[made] = near[rank[k]]
            used[made] = cell_ids[k]
            weights[made] = sign * cells[k]
            made += 1
    return made


@inlined
@no_type_check
def _by_rank(found, size, rank):
    for k in range(size):
        rank[k] = k if k < found else -1


@inlined
@no_type_check
def _in_turn(value, found, cells, size, threshold, rank):
    """Each cell in falling order takes the next input if it is worth anything there."""
    at = 0
    for k in range(size):
        rank[k] = -1
        if at < found and value[at] > threshold * cells[k]:
            rank[k] = at
            at += 1


@inlined
@no_type_check
def _most_worth(value, found, cells, size, threshold, best, chosen, rank):
    """The cells of largest total worth: best[s] is the most that s of the cells so far are worth."""
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
