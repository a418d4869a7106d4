"""Order-preserving matching of a row's wishes with the cells of its hardware neuron, some wishes optional.

With wishes and cells sorted, an optimal matching keeps the order; a dynamic program goes through both, and may pass
over a cell, or over a wish that need not be met. The cost of a match, h * (threshold * h - wish), is half the change
of the squared distance where threshold is 0.5.
"""

import numpy as np

from matchopt.kernels.compiling import compiled, inlined


@compiled
def align_rows(wishes, starts, support, must, extra, cells, cell_ids, n_cells, threshold, wires):
    """Match every row's wishes on its support, and with `extra` any others, with the neuron's cells.

    `support` (numbers of inputs, rows from `starts`) has to be met entirely if `must`; then it must not be larger than
    the number of cells. `cells` (rows, most) ascend. `wires` are `Wires`.
    """
    most = cells.shape[1]
    longest = 0
    for i in range(starts.size - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    room = longest + (2 * most if extra else 0)
    items, needed, value = np.empty(room, np.int64), np.empty(room, np.bool_), np.empty(room)
    best, matched = np.empty((room + 1, most + 1)), np.empty((room + 1, most + 1), np.int8)
    near, far = np.empty(most, np.int64), np.empty(most, wishes.dtype)
    inside = np.zeros(wishes.shape[1], np.bool_)
    for i in range(starts.size - 1):
        size = starts[i + 1] - starts[i]
        items[:size] = support[starts[i] : starts[i + 1]]
        needed[:size] = must
        if extra:
            inside[items[:size]] = True
            for side in range(2):
                found = _extremes(
                    wishes[i], wishes.dtype.type(1 - 2 * side), n_cells[i], near[: n_cells[i]], far, inside
                )
                for k in range(found):
                    if (1 - 2 * side) * wishes[i, near[k]] > 0.0:
                        items[size] = near[k]
                        needed[size] = False
                        size += 1
            inside[items[:size]] = False
        for e in range(size):
            value[e] = wishes[i, items[e]]
        _sort(value, items, needed, size)
        _fill(value, needed, size, cells[i], n_cells[i], threshold, best, matched)
        made, k = 0, n_cells[i]
        for e in range(size, 0, -1):
            while matched[e, k] == 2:
                k -= 1
            if matched[e, k] == 1:
                k -= 1
                wires.inputs[i, made], wires.cells[i, made] = items[e - 1], cell_ids[i, k]
                wires.weights[i, made] = cells[i, k]
                made += 1
        wires.count[i] = made


@compiled
def _extremes(row, sign, size, near, value, taken):
    """The `size` inputs of largest sign * row that are not taken: in `near`, falling; returns how many there are."""
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
def _sort(value, items, needed, size):
    """Ascending by value; insertion is fast for short rows."""
    for e in range(1, size):
        v, x, n = value[e], items[e], needed[e]
        at = e
        while at > 0 and value[at - 1] > v:
            value[at], items[at], needed[at] = value[at - 1], items[at - 1], needed[at - 1]
            at -= 1
        value[at], items[at], needed[at] = v, x, n


@inlined
def _fill(value, needed, size, cells, n_cells, threshold, best, matched):
    """best[e, k]: least cost of the first e wishes on the first k cells; matched: 1 met, 0 passed over, 2 cell unused.

    Only the band is filled in which the needed wishes before e fit before k and those after e fit after k.
    """
    later = 0
    for e in range(size):
        later += needed[e]
    earlier = 0
    for k in range(n_cells - later + 1):
        best[0, k] = 0.0
    for e in range(1, size + 1):
        before = earlier
        if needed[e - 1]:
            earlier += 1
            later -= 1
        for k in range(earlier, n_cells - later + 1):
            least, how = np.inf, 2
            if not needed[e - 1]:
                least, how = best[e - 1, k], 0
            if k - 1 >= before:
                met = best[e - 1, k - 1] + cells[k - 1] * (threshold * cells[k - 1] - value[e - 1])
                if met < least:
                    least, how = met, 1
            if k > earlier and best[e, k - 1] <= least:
                least, how = best[e, k - 1], 2
            best[e, k], matched[e, k] = least, how
