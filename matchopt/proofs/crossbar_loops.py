"""The compiled loops of `crossbar_tree`: nodes bounded by two passes over a split of costs, depth first.

They share nothing with kernels or solvers. Places that an item cannot have are closed, never priced, so all sums are of
finite numbers; `size` keeps the largest of them, for what rounding can do.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt.proofs.loops import compiled

ROUNDS = 8  # of two passes at a node, at most
WORTHWHILE = 0.1  # of the gap: a round that gains less is the last of its node
DONE, BETTER = -1, -2  # what a search returns in place of a depth
UNOPENED = -1  # of `left`


class Costs(NamedTuple):
    """`cost[e, j, k]` of connections on cells (inf: not there), row and input of each, and what a mapping must beat."""

    cost: Any
    row_of: Any
    input_of: Any
    goal: Any


class Path(NamedTuple):
    """A path of the tree, one level for each depth.

    Open places of rows and of inputs, the inputs' `share` B with the `value` of their assignment by it, the branching
    item (rows first), its places still to visit by falling bound and how many they are; and scratch: the rows' share A,
    tables of both sides and what is left of them, place of each item, potentials.
    """

    rows_open: Any
    inputs_open: Any
    share: Any
    value: Any
    item: Any
    places: Any
    bounds: Any
    left: Any
    rows_share: Any
    tables: tuple[Any, Any]
    place_of: tuple[Any, Any]
    potentials: Any
    size: Any


def path(connections: int, neurons: int, lines: int, rows: int, inputs: int) -> Path:
    """A path whose root has every place open."""
    deep, most = rows + inputs + 2, max(neurons, lines)
    return Path(
        np.ones((deep, rows, neurons), bool), np.ones((deep, inputs, lines), bool),
        np.zeros((deep, connections, lines)), np.zeros(deep), np.zeros(deep, np.int64),
        np.zeros((deep, most), np.int64), np.zeros((deep, most)), np.full(deep, UNOPENED),
        np.zeros((connections, neurons)), (np.zeros((rows, neurons)), np.zeros((inputs, lines))),
        (np.zeros(rows, np.int64), np.zeros(inputs, np.int64)), np.zeros((2, most + 1)), np.zeros(1),
    )  # fmt: skip


@compiled
@no_type_check
def nearest(table, open_, u, v, owner, at, least, done, before):
    """Look on from column `at`: the nearest that is not done, potentials moved up to it; -1 where there is none."""
    cols, r, step, to = table.shape[1], owner[at], np.inf, -1
    for j in range(cols):
        if not done[j]:
            slack = table[r, j] - u[r] - v[j] if open_[r, j] else np.inf
            if slack < least[j]:
                least[j], before[j] = slack, at
            if least[j] < step:
                step, to = least[j], j
    if to >= 0:
        for j in range(cols + 1):
            if done[j]:
                u[owner[j]] += step
                v[j] -= step if j < cols else 0.0
            else:
                least[j] -= step
    return to


@compiled
@no_type_check
def assigned(table, open_, place_of, potentials):
    """The value of a cheapest assignment of rows to open columns, by successive shortest paths; inf where none is.

    Fills the columns, and the table with what is left of it beyond potentials u and v <= 0, whose sum is the value: by
    weak duality it bounds every assignment, whatever they are.
    """
    rows, cols = table.shape
    u, v = np.zeros(rows), potentials[0]
    v[:] = 0.0
    owner, before = np.full(cols + 1, -1), np.zeros(cols + 1, np.int64)
    least, done = np.empty(cols + 1), np.empty(cols + 1, np.bool_)
    for i in range(rows):
        owner[cols], at = i, cols
        least[:], done[:] = np.inf, False
        while owner[at] >= 0:
            done[at] = True
            at = nearest(table, open_, u, v, owner, at, least, done, before)
            if at < 0:
                return np.inf
        while at != cols:
            owner[at] = owner[before[at]]
            at = before[at]
    value = 0.0
    for j in range(cols):
        value += v[j]
        if owner[j] >= 0:
            place_of[owner[j]] = j
    for i in range(rows):
        value += u[i]
        for j in range(cols):
            if open_[i, j]:
                table[i, j] = max(0.0, table[i, j] - u[i] - v[j])
    return value


@compiled
@no_type_check
def pass_over(costs, path, depth, side):
    """One side's share from the other's, the value of its assignment, and its share lowered to what that needs.

    The share of a connection at a place is the least that its costs exceed the other side's share by, over the open
    partners of that place.
    """
    table, open_ = path.tables[0], path.rows_open[depth]
    of, own, other, partners = costs.row_of, path.rows_share, path.share[depth], path.inputs_open[depth]
    of_partner = costs.input_of
    if side == 1:
        table, open_ = path.tables[1], path.inputs_open[depth]
        of, own, other, partners = costs.input_of, path.share[depth], path.rows_share, path.rows_open[depth]
        of_partner = costs.row_of
    places, there = open_.shape[1], partners.shape[1]
    table[:] = 0.0
    count = np.zeros(table.shape[0])
    for e in range(own.shape[0]):
        a, b = of[e], of_partner[e]
        count[a] += 1.0
        for p in range(places):
            if open_[a, p]:
                least = np.inf
                for q in range(there):
                    if partners[b, q]:
                        cost = costs.cost[e, p, q] if side == 0 else costs.cost[e, q, p]
                        least = min(least, cost - other[e, q])
                if least == np.inf:
                    open_[a, p] = False
                else:
                    own[e, p] = least
                    table[a, p] += least
                    path.size[0] = max(path.size[0], abs(least), abs(table[a, p]))
    value = assigned(table, open_, path.place_of[side], path.potentials)
    if value < np.inf:
        path.size[0] = max(path.size[0], abs(value), np.abs(path.potentials[0]).max())
        for e in range(own.shape[0]):
            for p in range(places):
                if open_[of[e], p]:
                    own[e, p] -= table[of[e], p] / count[of[e]]
    return value


@compiled
@no_type_check
def close(open_, over, gap):
    """Close the places that would fill the gap."""
    for a in range(open_.shape[0]):
        for p in range(open_.shape[1]):
            if open_[a, p] and over[a, p] >= gap:
                open_[a, p] = False


@compiled
@no_type_check
def met(costs, path):
    """What the mapping of both assignments costs."""
    total = 0.0
    for e in range(costs.row_of.size):
        total += costs.cost[e, path.place_of[0][costs.row_of[e]], path.place_of[1][costs.input_of[e]]]
    return total


@compiled
@no_type_check
def open_node(costs, path, depth):
    """Bound a node and, unless it is cut, list where its branching item may go; whether a cost beats the goal."""
    path.left[depth] = 0
    total, before, goal = 0.0, 0.0, costs.goal
    for step in range(ROUNDS):
        value = pass_over(costs, path, depth, 0)
        total = value + path.value[depth]
        if total >= goal:
            return False
        close(path.rows_open[depth], path.tables[0], goal - total)
        path.value[depth] = pass_over(costs, path, depth, 1)
        total = value + path.value[depth]
        if total >= goal:
            return False
        if met(costs, path) < goal:
            return True
        close(path.inputs_open[depth], path.tables[1], goal - total)
        if step > 0 and total - before < WORTHWHILE * (goal - total):
            break
        before = total
    branch(path, depth, total, goal)
    return False


@compiled
@no_type_check
def branch(path, depth, total, goal):
    """Choose the item that closes most of the gap, if one has a choice left, and list its open places."""
    most, side, item = -1.0, 0, -1
    for of in range(2):
        open_, over = path.rows_open[depth] if of == 0 else path.inputs_open[depth], path.tables[of]
        for a in range(open_.shape[0]):
            score, count = 0.0, 0
            for p in range(open_.shape[1]):
                score += min(goal - total, over[a, p]) if open_[a, p] else goal - total
                count += 1 if open_[a, p] else 0
            if count > 1 and score / open_.shape[1] > most:
                most, side, item = score / open_.shape[1], of, a
    if item < 0:
        return  # one place each, and what that costs is met
    open_, count = path.rows_open[depth] if side == 0 else path.inputs_open[depth], 0
    for p in range(open_.shape[1]):
        if open_[item, p]:
            bound, t = total + path.tables[side][item, p], count
            while t > 0 and path.bounds[depth, t - 1] < bound:
                path.bounds[depth, t], path.places[depth, t] = path.bounds[depth, t - 1], path.places[depth, t - 1]
                t -= 1
            path.bounds[depth, t], path.places[depth, t] = bound, p
            count += 1
    path.item[depth], path.left[depth] = item if side == 0 else item + path.rows_open.shape[1], count


@compiled
@no_type_check
def descend(path, depth):
    """Make the node of the next place: the branching item there, and nothing else."""
    below, rows = depth + 1, path.rows_open.shape[1]
    path.rows_open[below], path.inputs_open[below] = path.rows_open[depth], path.inputs_open[depth]
    path.share[below], path.value[below], path.left[below] = path.share[depth], path.value[depth], UNOPENED
    place, item = path.places[depth, path.left[depth]], path.item[depth]
    open_ = path.rows_open[below] if item < rows else path.inputs_open[below]
    item = item if item < rows else item - rows
    open_[:, place] = False
    open_[item] = False
    open_[item, place] = True


@compiled
@no_type_check
def search(costs, path, depth, nodes):
    """Open up to so many nodes; returns the depth to go on at, or DONE, or BETTER."""
    while nodes > 0:
        if path.left[depth] == UNOPENED:
            nodes -= 1
            if open_node(costs, path, depth):
                return BETTER
        while depth >= 0 and path.left[depth] == 0:
            depth -= 1
        if depth < 0:
            return DONE
        path.left[depth] -= 1
        if path.bounds[depth, path.left[depth]] >= costs.goal:
            path.left[depth] = 0  # those that wait are dearer still
            continue
        descend(path, depth)
        depth += 1
    return depth
