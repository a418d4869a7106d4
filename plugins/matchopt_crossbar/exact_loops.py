"""Compiled loops of branch and bound: bounds of nodes by dual ascent, places closed by reduced costs, depth first.

What connection e costs on cell (j, k) is at least A[e, j] + B[e, k]: a share of its row, and one of its input. Rows are
assigned to neurons by the sums of A, inputs to lines by those of B, and both values together bound all mappings. Each
pass makes one side's shares as large as the other's allow, and keeps of them what its assignment needs.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels
from matchopt_crossbar.ascent_loops import Potentials, assign

FAR = 1e200
TIED = 1e-9  # relative: what is better by less is not sought
WORTHWHILE = 0.1  # of the gap: a round that gains less is the last of its node


class Layer(NamedTuple):
    """What does not change: `cost[e, j, k]`, and how much `more` it is if e must be wired, empty where that plays no
    part; rows' connections from `row_start`; inputs' ones `listed` from `col_start`; row and input of each connection;
    how many gains each neuron has, which are places of it; and the number of rounds a node may take."""

    cost: Any
    more: Any
    row_start: Any
    col_start: Any
    listed: Any
    row_of: Any
    col_of: Any
    gains: Any
    rounds: Any


class Tree(NamedTuple):
    """One path of the tree by depth: open places of rows and of inputs, the rows' `share` (A) with its `value`, the
    branching item (rows first, then inputs), its places still to visit and their bounds; and scratch. `best` is the
    least cost known to all trees, `found` neurons and lines of this one's best, `mine` its cost, `count` of nodes."""

    rows_open: Any
    cols_open: Any
    share: Any
    value: Any
    item: Any
    places: Any
    bounds: Any
    left: Any
    cols_share: Any
    table: Any
    over_rows: Any
    over_cols: Any
    neuron: Any
    line: Any
    best: Any
    found: Any
    mine: Any
    count: Any
    potentials: Any


def tree(layer: Layer, rows: int, cols: int, best: np.ndarray) -> Tree:
    """An empty tree of a layer with so many rows and inputs."""
    (connections, neurons, lines), deep, most = layer.cost.shape, rows + cols + 2, max(layer.cost.shape[1:])
    return Tree(
        np.ones((deep, rows, neurons), bool), np.ones((deep, cols, lines), bool),
        np.zeros((deep, connections, neurons)), np.zeros(deep), np.zeros(deep, np.int64),
        np.zeros((deep, most), np.int64), np.zeros((deep, most)), np.zeros(deep, np.int64),
        np.zeros((connections, lines)), np.zeros((max(rows, cols), most)), np.zeros((rows, neurons)),
        np.zeros((cols, lines)), np.zeros(rows, np.int64), np.zeros(cols, np.int64), best,
        np.zeros(rows + cols, np.int64), np.full(1, np.inf), np.zeros(2, np.int64), Potentials.of(most),
    )  # fmt: skip


@kernels.compiled
@no_type_check
def search(layer, tree, depth, floor, nodes):
    """Visit up to so many nodes; returns the depth to go on at, `floor` - 1 when all is done.

    A depth whose node is not opened yet has `left` -1.
    """
    for _ in range(nodes):
        if tree.left[depth] < 0:
            open_node(layer, tree, depth)
        while depth >= floor and tree.left[depth] == 0:
            depth -= 1
        if depth < floor:
            return depth
        tree.left[depth] -= 1
        at = tree.left[depth]
        if tree.bounds[depth, at] >= tree.best[0]:
            tree.left[depth] = 0
            continue
        descend(layer, tree, depth, tree.places[depth, at])
        depth += 1
    return depth


@kernels.compiled
@no_type_check
def open_node(layer, tree, depth):
    """Bound a node and, unless it is cut, list where its branching item may go, the best last."""
    tree.count[0] += 1
    tree.left[depth] = 0
    total = _bound(layer, tree, depth)
    if total >= tree.best[0]:
        return
    rows, neurons = tree.over_rows.shape
    cols, lines = tree.over_cols.shape
    gap, most, chosen = tree.best[0] - total, -1.0, -1
    for a in range(rows + cols):
        open_, over, places = (tree.rows_open[depth], tree.over_rows, neurons) if a < rows else (
            tree.cols_open[depth], tree.over_cols, lines)  # fmt: skip
        i, score, count = a if a < rows else a - rows, 0.0, 0
        for j in range(places):
            if open_[i, j]:
                count += 1
                score += min(gap, over[i, j])
            else:
                score += gap
        if count > 1 and score / places > most:
            most, chosen = score / places, a
    if chosen >= 0:
        _list_places(tree, depth, chosen, total)


@kernels.compiled
@no_type_check
def _list_places(tree, depth, chosen, total):
    """Open places of the branching item by falling bound."""
    rows = tree.over_rows.shape[0]
    open_, over = (tree.rows_open[depth], tree.over_rows) if chosen < rows else (tree.cols_open[depth], tree.over_cols)
    i, count = chosen if chosen < rows else chosen - rows, 0
    for j in range(open_.shape[1]):
        if open_[i, j]:
            bound, t = total + over[i, j], count
            while t > 0 and tree.bounds[depth, t - 1] < bound:
                tree.bounds[depth, t], tree.places[depth, t] = tree.bounds[depth, t - 1], tree.places[depth, t - 1]
                t -= 1
            tree.bounds[depth, t], tree.places[depth, t] = bound, j
            count += 1
    tree.item[depth], tree.left[depth] = chosen, count


@kernels.compiled
@no_type_check
def descend(layer, tree, depth, place):
    """Make the node below, with the branching item on one place."""
    down, rows = depth + 1, tree.over_rows.shape[0]
    tree.rows_open[down], tree.cols_open[down] = tree.rows_open[depth], tree.cols_open[depth]
    tree.share[down], tree.value[down], tree.left[down] = tree.share[depth], tree.value[depth], -1
    chosen = tree.item[depth]
    open_ = tree.rows_open[down] if chosen < rows else tree.cols_open[down]
    i = chosen if chosen < rows else chosen - rows
    for j in range(open_.shape[1]):
        if j != place:
            open_[i, j] = False
    gains = layer.gains if chosen < rows else 1
    for other in range(open_.shape[0]):
        if other != i:
            for j in range(place // gains * gains, place // gains * gains + gains):
                open_[other, j] = False


@kernels.compiled
@no_type_check
def _bound(layer, tree, depth):
    """The bound of a node after some rounds of the ascent; mappings met on the way are kept."""
    before = 0.0
    for step in range(layer.rounds):
        value = _cols_pass(layer, tree, depth)
        total = tree.value[depth] + value
        if total >= tree.best[0]:
            return total
        _close(tree.cols_open[depth], tree.over_cols, tree.best[0] - total)
        tree.value[depth] = _rows_pass(layer, tree, depth)
        total = tree.value[depth] + value
        if total >= tree.best[0]:
            return total
        _try(layer, tree)
        _close(tree.rows_open[depth], tree.over_rows, tree.best[0] - total)
        if step > 0 and total - before < WORTHWHILE * (tree.best[0] - total):
            break
        before = total
    return total


@kernels.compiled
@no_type_check
def _close(open_, over, gap):
    """Close the places whose reduced cost fills the gap."""
    for i in range(open_.shape[0]):
        for j in range(open_.shape[1]):
            if open_[i, j] and over[i, j] >= gap:
                open_[i, j] = False


@kernels.compiled
@no_type_check
def _cols_pass(layer, tree, depth):
    """Value of the inputs' assignment by all that the rows' shares leave; sets their shares and reduced costs."""
    cols, lines = tree.over_cols.shape
    neurons = tree.over_rows.shape[1]
    share, own, table, open_ = tree.share[depth], tree.cols_share, tree.table, tree.cols_open[depth]
    for x in range(cols):
        for k in range(lines):
            table[x, k] = 0.0 if open_[x, k] else FAR
        for t in range(layer.col_start[x], layer.col_start[x + 1]):
            e = layer.listed[t]
            least = own[e]
            least[:] = FAR
            allowed = tree.rows_open[depth, layer.row_of[e]]
            for j in range(neurons):
                if allowed[j]:
                    cost, taken = layer.cost[e, j], share[e, j]
                    for k in range(lines):
                        least[k] = min(least[k], cost[k] - taken)
            for k in range(lines):
                table[x, k] += least[k]
    value = assign(table, cols, lines, tree.potentials)
    _reduced(table, tree.over_cols, tree.line, tree.potentials)
    for x in range(cols):
        count = layer.col_start[x + 1] - layer.col_start[x]
        for t in range(layer.col_start[x], layer.col_start[x + 1]):
            least = own[layer.listed[t]]
            for k in range(lines):
                least[k] = least[k] - tree.over_cols[x, k] / count if open_[x, k] else -FAR
    return value


@kernels.compiled
@no_type_check
def _rows_pass(layer, tree, depth):
    """The same for the rows, by all that the inputs' shares leave."""
    rows, neurons = tree.over_rows.shape
    lines = tree.over_cols.shape[1]
    share, table, open_ = tree.share[depth], tree.table, tree.rows_open[depth]
    for i in range(rows):
        for j in range(neurons):
            table[i, j] = 0.0 if open_[i, j] else FAR
            if open_[i, j]:
                for e in range(layer.row_start[i], layer.row_start[i + 1]):
                    cost, taken, least = layer.cost[e, j], tree.cols_share[e], FAR
                    for k in range(lines):
                        least = min(least, cost[k] - taken[k])
                    share[e, j] = least
                    table[i, j] += least
    value = assign(table, rows, neurons, tree.potentials)
    _reduced(table, tree.over_rows, tree.neuron, tree.potentials)
    for i in range(rows):
        count = layer.row_start[i + 1] - layer.row_start[i]
        for e in range(layer.row_start[i], layer.row_start[i + 1]):
            for j in range(neurons):
                if open_[i, j]:
                    share[e, j] -= tree.over_rows[i, j] / count
    return value


@kernels.compiled
@no_type_check
def _reduced(table, over, place_of, found):
    """Reduced costs, and the place of each item."""
    for a in range(over.shape[0]):
        for j in range(over.shape[1]):
            over[a, j] = max(0.0, table[a, j] - found.of_row[a + 1] - found.of_col[j + 1])
    for j in range(over.shape[1]):
        if found.row_of[j + 1] > 0:
            place_of[found.row_of[j + 1] - 1] = j


@kernels.compiled
@no_type_check
def _try(layer, tree):
    """Keep the mapping of both assignments, if it is the best so far and gives no neuron two gains."""
    total, rows = 0.0, tree.over_rows.shape[0]
    for i in range(rows):
        for other in range(i):
            if tree.neuron[i] // layer.gains == tree.neuron[other] // layer.gains:
                return
    for e in range(layer.cost.shape[0]):
        total += layer.cost[e, tree.neuron[layer.row_of[e]], tree.line[layer.col_of[e]]]
    if layer.more.shape[0] > 0:
        total += _listening(layer, tree)
    if total < tree.best[0]:
        tree.mine[0] = total
        tree.best[0] = total - TIED * abs(total)
        for i in range(rows):
            tree.found[i] = tree.neuron[i]
        for x in range(tree.over_cols.shape[0]):
            tree.found[rows + x] = tree.line[x]


@kernels.compiled
@no_type_check
def _listening(layer, tree):
    """What it costs that a row listens to each line in use; FAR where none can."""
    total = 0.0
    for x in range(tree.over_cols.shape[0]):
        k = tree.line[x]
        if k < layer.more.shape[2]:
            least = FAR
            for t in range(layer.col_start[x], layer.col_start[x + 1]):
                e = layer.listed[t]
                least = min(least, layer.more[e, tree.neuron[layer.row_of[e]], k])
            total += least
    return total
