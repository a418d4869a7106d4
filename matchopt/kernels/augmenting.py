"""Linear assignments of full matrices in double precision: row reduction, then shortest augmenting paths.

As Jonker and Volgenant do it, but every loop over columns runs without a branch, so that it fills vector registers:
reduced costs are never negative, so their bits as integers order them alike, and integers have vector minima. Columns
that a path has passed get the price -inf, which keeps them out of reach.

References: R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
problems", Computing 38 (1987), 10.1007/BF02278710.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float, Int

from matchopt.kernels.compiling import inlined, inlined_scan, scan

FORBIDDEN = np.int64(0x7FF0000000000000)  # the bits of inf
NOWHERE = np.int64(2**62)
ROUNDS = 2  # of row reduction; more leave fewer rows to paths, but take longer than those
STEPS = 2  # row reductions per row in each round


class Labels(NamedTuple):
    """The state of an assignment, and scratch: of each row its `column` (-1 for none) and its `lowest` cost; of each
    column its `row` and `price`, its number as a `key` (n_cols more where it is taken), the row `via` which a path
    reached it, and the price `masked` by -inf once the path went on; `reach`, lengths of paths or reduced costs, with
    their `bits`; and the columns that are `settled`, at a `length` each."""

    column: Any
    lowest: Any
    row: Any
    price: Any
    key: Any
    via: Any
    masked: Any
    reach: Any
    bits: Any
    settled: Any
    length: Any


def shortest_paths(
    cost: Float[np.ndarray, "rows cols"], price: Float[np.ndarray, " cols"] | None = None
) -> tuple[Int[np.ndarray, " rows"], Float[np.ndarray, " cols"]] | None:
    """The cheapest columns of all rows and prices that prove it, or None where there is no assignment.

    Parameters
    ----------
    cost : cost of each pair, rows <= columns; inf forbids a pair.
    price : prices to begin with, as of a similar matrix. Only square matrices profit.

    Returns
    -------
    columns, prices : prices <= 0; with u[i] = min over j of cost[i,j] - price[j], the row's own column attains u[i] up
        to rounding, and a column that stays free has the price 0.
    """
    n_rows, n_cols = cost.shape
    reach, whole = np.zeros(n_cols), np.zeros((2, n_cols), np.int64)
    labels = Labels(
        np.full(n_rows, -1), np.empty(n_rows), np.full(n_cols, -1), np.zeros(n_cols), np.arange(n_cols), whole[0],
        np.empty(n_cols), reach, reach.view(np.int64), whole[1], np.empty(n_cols),
    )  # fmt: skip
    square = n_rows == n_cols
    if square and price is not None:
        labels.price[:] = price
    fixed = np.ascontiguousarray(cost).view()
    fixed.flags.writeable = False  # what may be written to would be compiled for anew
    if not _assign(fixed, square, square and price is not None, np.arange(n_rows), labels):
        return None
    return labels.column, labels.price - (labels.price.max(initial=0.0) if square and n_rows else 0.0)


@scan
@no_type_check
def _assign(cost, square, warm, free, labels):
    n_rows, n_cols = cost.shape
    price = labels.price
    for i in range(n_rows):
        labels.lowest[i] = _lowest(cost[i], price, n_cols)
        if not labels.lowest[i] < np.inf:
            return False
    if square and not warm:
        for j in range(n_cols):
            price[j] = np.inf
        for i in range(n_rows):
            own, lowest = cost[i], labels.lowest[i]
            for j in range(n_cols):
                reduced = own[j] - lowest
                price[j] = reduced if reduced < price[j] else price[j]
        for j in range(n_cols):
            if not price[j] < np.inf:
                return False
    n_free = n_rows
    for _ in range(ROUNDS):
        n_free = _reduce(cost, free, n_free, n_cols, labels)
    placed = True
    for f in range(n_free):
        placed = placed and _augment(cost, free[f], n_cols, labels)
    return placed


@scan
@no_type_check
def _lowest(own, price, n_cols):
    """The least of own - price, eight columns side by side."""
    a, b, c, d = np.inf, np.inf, np.inf, np.inf
    e, f, g, h = np.inf, np.inf, np.inf, np.inf
    whole = n_cols - n_cols % 8
    for j in range(0, whole, 8):
        a, b = min(a, own[j] - price[j]), min(b, own[j + 1] - price[j + 1])
        c, d = min(c, own[j + 2] - price[j + 2]), min(d, own[j + 3] - price[j + 3])
        e, f = min(e, own[j + 4] - price[j + 4]), min(f, own[j + 5] - price[j + 5])
        g, h = min(g, own[j + 6] - price[j + 6]), min(h, own[j + 7] - price[j + 7])
    for j in range(whole, n_cols):
        a = min(a, own[j] - price[j])
    return min(min(min(a, b), min(c, d)), min(min(e, f), min(g, h)))


@inlined_scan
@no_type_check
def _least(bits, n_cols):
    least = FORBIDDEN
    for j in range(n_cols):
        least = min(least, bits[j])
    return least


@inlined_scan
@no_type_check
def _first(bits, key, n_cols, value):
    """The first column with these bits that is free, or the first of all where none is."""
    found = NOWHERE
    for j in range(n_cols):
        found = min(found, key[j] if bits[j] == value else NOWHERE)
    return found if found < n_cols else found - n_cols


@inlined
@no_type_check
def flip(via, row_of, col_of, start, j):
    """Give each row of the path from row `start` to the free column j the next column on it."""
    i = -1
    while i != start:
        i = via[j]
        row_of[j] = i
        ahead = col_of[i]
        col_of[i] = j
        j = ahead


@scan
@no_type_check
def _reduce(cost, free, n_free, n_cols, labels):
    """One round of row reduction over the first `n_free` rows of `free`; returns how many are free after it.

    A row takes its cheapest column, whose price falls until the second cheapest costs the same; whoever had it is next.
    """
    price, reach, bits, key = labels.price, labels.reach, labels.bits, labels.key
    k, left, steps = 0, 0, 0
    most = STEPS * labels.column.size
    while k < n_free:
        i = free[k]
        k += 1
        own, lowest = cost[i], labels.lowest[i]
        for j in range(n_cols):
            reduced = own[j] - price[j] - lowest
            reach[j] = reduced if reduced > 0.0 else 0.0
        least = _least(bits, n_cols)
        j = _first(bits, key, n_cols, least)
        at_least = reach[j]
        bits[j] = FORBIDDEN
        second = _least(bits, n_cols)
        if least < second < FORBIDDEN:
            price[j] -= reach[_first(bits, key, n_cols, second)] - at_least
        other = labels.row[j]
        if other >= 0:
            labels.column[other] = -1
            steps += 1
            if least < second and steps < most:
                k -= 1
                free[k] = other
            else:
                free[left] = other
                left += 1
        labels.row[j] = i
        labels.column[i] = j
        key[j] = n_cols + j
    return left


@scan
@no_type_check
def _augment(cost, start, n_cols, labels):
    """Bring row `start` into the assignment by a shortest augmenting path; False where there is none."""
    price, masked, reach, bits, via = labels.price, labels.masked, labels.reach, labels.bits, labels.via
    for j in range(n_cols):
        reach[j] = np.inf
        masked[j] = price[j]
    n_settled, i, offset, length = 0, start, labels.lowest[start], 0.0
    while True:
        own = cost[i]
        for j in range(n_cols):
            reached = own[j] - masked[j] - offset
            reached = reached if reached > length else length
            before = reach[j]
            via[j] = i if reached < before else via[j]
            reach[j] = reached if reached < before else before
        least = _least(bits, n_cols)
        if least >= FORBIDDEN:
            return False
        j = _first(bits, labels.key, n_cols, least)
        length = reach[j]
        if labels.row[j] < 0:
            break
        labels.settled[n_settled], labels.length[n_settled] = j, length
        n_settled += 1
        reach[j], masked[j] = np.inf, -np.inf
        i = labels.row[j]
        offset = cost[i, j] - price[j] - length
    for t in range(n_settled):
        price[labels.settled[t]] += labels.length[t] - length
    labels.key[j] = n_cols + j
    flip(via, labels.row, labels.column, start, j)
    return True
