"""Compiled loops of the dual ascent: assignments with their potentials, and slack moved to the other side."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

BLOCK = 16  # lines handled together, so that a transposed block stays in the first-level cache


class Potentials(NamedTuple):
    """Scratch of `assign`, and its answer: potentials of rows and columns (the latter <= 0), row of each column."""

    of_row: Any
    of_col: Any
    row_of: Any
    via: Any
    distance: Any
    done: Any

    @classmethod
    def of(cls, size: int) -> "Potentials":
        """For tables of at most `size` rows and columns."""
        floats = [np.zeros(size + 1) for _ in range(3)]
        whole = [np.zeros(size + 1, np.int64) for _ in range(2)]
        return cls(floats[0], floats[1], whole[0], whole[1], floats[2], np.zeros(size + 1, bool))


@kernels.compiled
@no_type_check
def assign(cost, n_rows, n_cols, found):
    """Value of the cheapest assignment of n_rows <= n_cols, by shortest augmenting paths.

    Rows and columns are counted from 1 in `found`. Its potentials keep u + v <= cost, up to rounding.
    """
    for i in range(n_rows + 1):
        found.of_row[i] = 0.0
    for j in range(n_cols + 1):
        found.of_col[j], found.row_of[j] = 0.0, 0
    for i in range(1, n_rows + 1):
        found.row_of[0] = i
        at = _shortest_path(cost, n_cols, found)
        while at != 0:
            found.row_of[at] = found.row_of[found.via[at]]
            at = found.via[at]
    value = 0.0
    for i in range(1, n_rows + 1):
        value += found.of_row[i]
    for j in range(1, n_cols + 1):
        value += found.of_col[j]
    return value


@kernels.compiled
@no_type_check
def _shortest_path(cost, n_cols, found):
    """The free column nearest to the row at column 0; potentials are changed so that the path has length 0."""
    u, v, row_of, via, distance, done = found
    at = 0
    for j in range(n_cols + 1):
        distance[j], done[j] = 1e300, False
    while True:
        done[at] = True
        row, step, to = row_of[at], 1e300, 0
        for j in range(1, n_cols + 1):
            if not done[j]:
                reach = cost[row - 1, j - 1] - u[row] - v[j]
                if reach < distance[j]:
                    distance[j], via[j] = reach, at
                if distance[j] < step:
                    step, to = distance[j], j
        for j in range(n_cols + 1):
            if done[j]:
                u[row_of[j]] += step
                v[j] -= step
            else:
                distance[j] -= step
        at = to
        if row_of[at] == 0:
            return at


class Shares(NamedTuple):
    """One side of the ascent: `own[e, j, k]` this side's share of what connection e costs with its item on place j and
    its partner on place k, `other[e, k, j]` that of the other side; connections `listed` item by item from `start`;
    `barred[j, k]` cells out of use; and `least[a, j]`, the least share of item a on place j."""

    own: Any
    other: Any
    start: Any
    listed: Any
    barred: Any
    least: Any


@kernels.compiled
@no_type_check
def ascend(side, theta, inner, outer, block, rows, cols):
    """One half step: the bound of this side, and a share `theta` of its slack moved to the other, which keeps it.

    `inner` and `outer` are scratch of assignments, `block` (most connections of an item, partners), `rows` (places,
    most connections) and `cols` (places, partners) that of an item. Least shares of all items come first, as the slack
    of an item holds an equal part of the reduced cost of the assignment of items.
    """
    n_items, n_places = side.least.shape
    for a in range(n_items):
        for j in range(n_places):
            side.least[a, j] = _least(side, a, j, block, inner)
    value = assign(side.least, n_items, n_places, outer)
    if theta > 0.0:
        for a in range(n_items):
            count = side.start[a + 1] - side.start[a]
            if count == 0:
                continue
            for j in range(n_places):
                _least(side, a, j, block, inner)
                over = (side.least[a, j] - outer.of_row[a + 1] - outer.of_col[j + 1]) / count
                for t in range(count):
                    rows[j, t] = inner.of_row[t + 1] - over
                for k in range(cols.shape[1]):
                    cols[j, k] = inner.of_col[k + 1]
            for t in range(count):
                _move(side, side.listed[side.start[a] + t], t, theta, rows, cols)
    return value


@kernels.compiled
@no_type_check
def _least(side, a, j, block, inner):
    """The least share of item a on place j, its connections on different partners."""
    first, count, n_partners = side.start[a], side.start[a + 1] - side.start[a], block.shape[1]
    for t in range(count):
        own = side.own[side.listed[first + t], j]
        for k in range(n_partners):
            block[t, k] = own[k]
    return assign(block, count, n_partners, inner)


@kernels.compiled
@no_type_check
def _move(side, e, t, theta, rows, cols):
    """Move the slack of a connection to the other side."""
    n_places, n_partners = cols.shape
    for first in range(0, n_places, BLOCK):
        for k in range(n_partners):
            for j in range(first, min(first + BLOCK, n_places)):
                if not side.barred[j, k]:
                    moved = theta * (side.own[e, j, k] - rows[j, t] - cols[j, k])
                    side.own[e, j, k] -= moved
                    side.other[e, k, j] += moved
