"""Linear assignments of listed pairs: row reduction, then shortest augmenting paths with a heap.

References: A. Volgenant, "Linear and semi-assignment problems: a core oriented approach", Computers & Operations
Research 23(10), 1996, 10.1016/0305-0548(96)00010-X.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from matchopt.kernels.augmenting import flip
from matchopt.kernels.compiling import leaf

STEPS = 8  # row reductions per row, before rows are left to paths
LOOK = 16  # paths between two looks at whether to stop


class Pairs(NamedTuple):
    """Listed pairs, row after row: `starts`, (rows + 1,), and of each pair its `cols` and `cost`."""

    starts: Any
    cols: Any
    cost: Any


class Found(NamedTuple):
    """Of each row its `column` (-1 for none), of each column its `row` and `price`."""

    column: Any
    row: Any
    price: Any


class Search(NamedTuple):
    """Scratch: of each column its `reach`, the row `via` which it was reached, and whether it is `done`; columns
    `touched`; and a heap of lengths `keys` with their columns `heap`."""

    reach: Any
    via: Any
    done: Any
    touched: Any
    keys: Any
    heap: Any


def sparse_paths(
    starts: Int[np.ndarray, " rows_and_one"],
    cols: Int[np.ndarray, " pairs"],
    cost: Float[np.ndarray, " pairs"],
    n_cols: int,
    price: Float[np.ndarray, " cols"] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " cols"]] | None:
    """The cheapest columns of all rows among listed pairs, and prices that prove it; None where there is none.

    Parameters
    ----------
    starts : start of each row among the pairs, shape (rows + 1,).
    cols, cost : column and finite cost of each pair, no column twice in a row.
    n_cols : number of columns, at least that of rows.
    price : prices <= 0 to begin with, such as those of some of the pairs.
    stop : asked now and then; once it is true the answer is None.

    Returns
    -------
    columns, prices : prices <= 0; with u[i] the least of cost - price over the pairs of a row, its own column attains
        u[i] up to rounding, and a column that stays free has the price 0.
    """
    n_rows = len(starts) - 1
    pairs = Pairs(np.asarray(starts, np.int64), np.asarray(cols, np.int32), np.asarray(cost, np.float64))
    if n_rows and (np.diff(pairs.starts) == 0).any():
        return None
    begun = [price, None] if price is not None and price.any() else [None]
    for given in begun:
        prices = np.zeros(n_cols) if given is None else np.minimum(given, 0.0)
        found = Found(np.full(n_rows, -1), np.full(n_cols, -1), prices)
        search = Search(
            np.full(n_cols, np.inf), np.zeros(n_cols, np.int64), np.zeros(n_cols, bool), np.zeros(n_cols, np.int64),
            np.zeros(len(cols) + 1), np.zeros(len(cols) + 1, np.int64),
        )  # fmt: skip
        left = np.arange(n_rows)
        left = left[: _reduce(pairs, left, found)]
        for first in range(0, len(left), LOOK):
            stopped = stop is not None and stop()
            if stopped or not _place(pairs, left[first : first + LOOK], found, search):
                return None
        free = found.row < 0
        if not free.any():
            return found.column, prices - prices.max(initial=-np.inf) if n_rows else prices
        if not prices[free].any():
            return found.column, prices
    raise AssertionError  # without prices to begin with, only those of taken columns ever fall


@leaf
@no_type_check
def _place(pairs, rows, found, search):
    placed = True
    for i in rows:
        placed = placed and _augment(pairs, i, found, search)
    return placed


@leaf
@no_type_check
def _reduce(pairs, free, found):
    """Rows take their cheapest columns, whose prices fall; returns how many rows are free after it."""
    n_rows = found.column.size
    k, left, steps = 0, 0, 0
    while k < n_rows:
        i = free[k]
        k += 1
        least, second, j = np.inf, np.inf, -1
        for p in range(pairs.starts[i], pairs.starts[i + 1]):
            reduced = pairs.cost[p] - found.price[pairs.cols[p]]
            if reduced < least or (reduced == least and found.row[j] >= 0 and found.row[pairs.cols[p]] < 0):
                least, second, j = reduced, least, pairs.cols[p]
            elif reduced < second:
                second = reduced
        if least < second < np.inf:
            found.price[j] -= second - least
        other = found.row[j]
        if other >= 0:
            found.column[other] = -1
            steps += 1
            if least < second and steps < STEPS * n_rows:
                k -= 1
                free[k] = other
            else:
                free[left] = other
                left += 1
        found.row[j] = i
        found.column[i] = j
    return left


@leaf
@no_type_check
def _augment(pairs, start, found, search):
    """Bring row `start` into the assignment by a shortest augmenting path; False where there is none."""
    reach, done, touched = search.reach, search.done, search.touched
    own_least = np.inf
    for p in range(pairs.starts[start], pairs.starts[start + 1]):
        own_least = min(own_least, pairs.cost[p] - found.price[pairs.cols[p]])
    i, offset, length, size, n_touched, end = start, own_least, 0.0, 0, 0, -1
    while end < 0:
        size, n_touched = _relax(pairs, i, offset, length, size, n_touched, found, search)
        j = -1
        while size > 0 and j < 0:
            j = search.heap[0]
            size = _pop(search, size)
            j = -1 if done[j] else j
        if j < 0:
            break
        done[j] = True
        length = reach[j]
        if found.row[j] < 0:
            end = j
        else:
            i = found.row[j]
            offset = _own_cost(pairs, i, j) - found.price[j] - length
    for t in range(n_touched):
        j = touched[t]
        if done[j] and end >= 0:
            found.price[j] += reach[j] - length
        reach[j], done[j] = np.inf, False
    if end >= 0:
        flip(search.via, found.row, found.column, start, end)
    return end >= 0


@leaf
@no_type_check
def _relax(pairs, i, offset, length, size, n_touched, found, search):
    for p in range(pairs.starts[i], pairs.starts[i + 1]):
        j = pairs.cols[p]
        reached = max(pairs.cost[p] - found.price[j] - offset, length)
        if not search.done[j] and reached < search.reach[j]:
            if search.reach[j] == np.inf:
                search.touched[n_touched] = j
                n_touched += 1
            search.reach[j], search.via[j] = reached, i
            size = _push(search, size, reached, j)
    return size, n_touched


@leaf
@no_type_check
def _own_cost(pairs, i, j):
    for p in range(pairs.starts[i], pairs.starts[i + 1]):
        if pairs.cols[p] == j:
            return pairs.cost[p]
    return np.inf


@leaf
@no_type_check
def _push(search, size, key, column):
    keys, heap = search.keys, search.heap
    at = size
    while at > 0 and keys[(at - 1) >> 1] > key:
        keys[at], heap[at] = keys[(at - 1) >> 1], heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    keys[at], heap[at] = key, column
    return size + 1


@leaf
@no_type_check
def _pop(search, size):
    keys, heap = search.keys, search.heap
    size -= 1
    key, column, at = keys[size], heap[size], 0
    while True:
        child = 2 * at + 1
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if child >= size or keys[child] >= key:
            break
        keys[at], heap[at] = keys[child], heap[child]
        at = child
    keys[at], heap[at] = key, column
    return size
