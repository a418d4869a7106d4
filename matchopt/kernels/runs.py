"""Order-preserving matching by run merging, for squared error with one importance per row.

Both sides are sorted. Targets are taken in ascending order and the matching of those taken so far is kept optimal. Each
target goes to its nearest cell where that lies right of the last cell used. Otherwise one of two moves is best: the
target takes the next cell to the right, or the whole run of adjacent used cells that ends at the last one shifts one
cell to the left and the target takes the cell this frees.

Why this is exact: adding a target to an optimal matching adds exactly one cell to the used ones (a shortest augmenting
path leaves no used cell), and an optimal matching keeps the order. If the new cell c lies right of the last one, nobody
else moves, and the target takes the nearest such cell. If it lies left, everyone right of c moves one used cell down.
Let g be the free cell just left of the last run, whose first target s sits on g + 1, and let c < g. Choosing c instead
of g changes the matching only of s and of targets left of it. If s is nearer to g + 1 than to g, then g is nearer to s
than every cell left of it, and moving the others away from their optimum gains nothing. If s is nearer to g, then
choosing c is no better than the matching before, restricted to s and the targets left of it, and that one has s on
g + 1, which is no better than g. Either way g is at least as good as c.

References: Bonneel and Coeurjolly, "SPOT: Sliced Partial Optimal Transport", ACM Trans. Graph. 38(4), 2019, section 3.
"""

import numpy as np

from matchopt.kernels.compiling import inlined, inlined_sum


@inlined
def nearest_cells(ascending, place, cells, n_cells, near):
    """Write the nearest cell of every target of a block, by one merge of all targets with the cells.

    `ascending` holds all targets of the block in ascending order with a trailing inf, `place[g]` where the g-th of them
    stands in the block; `near` is in the order of the block. Of two equally near cells the left one is taken.
    """
    g = 0
    for k in range(n_cells - 1):
        middle = 0.5 * (cells[k] + cells[k + 1])
        while ascending[g] <= middle:
            near[place[g]] = k
            g += 1
    for rest in range(g, place.size):
        near[place[rest]] = n_cells - 1


@inlined_sum
def nearest_cost(a, b, weights, cells, near, conflicts):
    """Squared error with every target on its nearest cell, and the targets whose cell the one before has as well.

    Returns the error and the number of conflicts; `conflicts` needs room for one entry more than the row has targets.
    """
    error = 0.0
    found = 0
    before = -1
    for e in range(a, b):
        k = near[e]
        difference = weights[e] - cells[k]
        error += difference * difference
        conflicts[found] = e  # without a branch, which would be mispredicted once per conflict
        found += k == before
        before = k
    return error, found


@inlined_sum
def shift_change(s, e, first, weights, cells):
    """Change in squared error when targets s .. e-1 move from cells `first`, `first` + 1, ... one cell to the left."""
    if first == 0:
        return np.inf
    change = 0.0
    k = first - s
    for i in range(s, e):
        here = cells[i + k]
        left = cells[i + k - 1]
        change += (here - left) * (2.0 * weights[i] - here - left)
    return change


@inlined
def resolve_conflicts(a, b, weights, cells, n_cells, near, conflicts, found):
    """Turn nearest cells into the optimal distinct cells, in place; returns the change in squared error (>= 0)."""
    change = 0.0
    resolved = a
    for c in range(found):
        e = conflicts[c]
        if e < resolved:
            continue
        last = near[e - 1]
        start = _run_start(a, e - 1, near)
        shift = shift_change(start, e, near[start], weights, cells)
        while e < b and near[e] <= last:
            w = weights[e]
            wanted = w - cells[near[e]]
            left = shift + (w - cells[last]) * (w - cells[last])
            right = np.inf
            if last + 1 < n_cells:
                right = (w - cells[last + 1]) * (w - cells[last + 1])
            change += min(left, right) - wanted * wanted
            if right <= left:
                shift += (cells[last + 1] - cells[last]) * (2.0 * w - cells[last + 1] - cells[last])
                last += 1
                near[e] = last
            else:
                near[e] = last
                for i in range(start, e):
                    near[i] -= 1
                start = _run_start(a, start, near)
                shift = shift_change(start, e + 1, near[start], weights, cells)
            e += 1
        resolved = e
    return change


@inlined
def _run_start(a, s, near):
    while s > a and near[s - 1] == near[s] - 1:
        s -= 1
    return s


@inlined
def nearest_of_row(weights, cells, n_cells, near):
    """Write the nearest cell of each of the ascending `weights` of one row."""
    k = 0
    for e in range(weights.size):
        while k + 1 < n_cells and weights[e] > 0.5 * (cells[k] + cells[k + 1]):
            k += 1
        near[e] = k
