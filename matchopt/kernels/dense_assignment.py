"""Assignments of small dense tables in single precision, some hundred microseconds each, for searches that need many.

Two rounds of augmenting row reduction, then shortest augmenting paths. Minima run over the bits of non-negative floats
as integers, which order them alike, so that they fill vector registers.

References: R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
problems", Computing 38 (1987), 10.1007/BF02278710.
"""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt.kernels.augmenting import flip
from matchopt.kernels.compiling import inlined_quick, quick

FAR = np.int32(0x7F000000)  # bits of a float of 1.7e38
MOST_STEPS = 20  # row reductions per row, before rows are left to shortest paths


class Paths(NamedTuple):
    """Scratch of `place`: of each column its row, price and distance, the row `via` which it was reached and whether it
    is `done`; of each row its column; rows still `free`, columns `settled`; and reduced costs with their bits."""

    row_of: Any
    col_of: Any
    free: Any
    via: Any
    settled: Any
    done: Any
    price: Any
    distance: Any
    reduced: Any
    bits: Any

    @classmethod
    def of(cls, size: int) -> "Paths":
        """Scratch for tables of at most `size` columns."""
        reduced = np.zeros(size, np.float32)
        whole = [np.zeros(size, np.int64) for _ in range(5)]
        single = [np.zeros(size, np.float32), np.zeros(size, np.float32), reduced, reduced.view(np.int32)]
        return cls._make([*whole, np.zeros(size, bool), *single])


@quick
@no_type_check
def place(cost, n_rows, n_cols, work):
    """The cheapest columns of all rows, in `work.col_of`; costs >= 0, n_rows <= n_cols."""
    for j in range(n_cols):
        work.row_of[j] = -1
        work.price[j] = np.float32(0)
    for i in range(n_rows):
        work.free[i] = i
        work.col_of[i] = -1
    n_free = n_rows
    for _ in range(2):
        n_free = _reduce(cost, n_free, n_rows, n_cols, work)
    for f in range(n_free):
        _augment(cost, work.free[f], n_cols, work)


@inlined_quick
@no_type_check
def _least(bits, size):
    least = FAR
    for j in range(size):
        least = min(least, bits[j])
    return least


@inlined_quick
@no_type_check
def _first(bits, size, value):
    """No early return, so that this loop fills vector registers too."""
    found = np.int32(size)
    for j in range(size):
        found = min(found, np.int32(j) if bits[j] == value else np.int32(size))
    return np.int64(found)


@quick
@no_type_check
def _reduce(cost, n_free, n_rows, n_cols, work):
    """One round of augmenting row reduction over the first `n_free` free rows; returns how many are free after it."""
    k, left, steps = 0, 0, 0
    while k < n_free:
        i = work.free[k]
        k += 1
        own = cost[i]
        for j in range(n_cols):
            work.reduced[j] = own[j] - work.price[j]
        least = _least(work.bits, n_cols)
        j = _first(work.bits, n_cols, least)
        lowest = work.reduced[j]
        work.bits[j] = FAR
        second = _least(work.bits, n_cols)
        other = work.row_of[j]
        if least < second:
            if second < FAR:
                work.bits[j] = second  # the same memory
                work.price[j] -= work.reduced[j] - lowest
        elif other >= 0 and second < FAR:
            j = _first(work.bits, n_cols, second)
            other = work.row_of[j]
        if other >= 0:
            work.col_of[other] = -1
            steps += 1
            if least < second and steps < MOST_STEPS * n_rows:
                k -= 1
                work.free[k] = other
            else:
                work.free[left] = other
                left += 1
        work.row_of[j] = i
        work.col_of[i] = j
    return left


@quick
@no_type_check
def _augment(cost, start, n_cols, work):
    """Bring row `start` into the assignment by a shortest augmenting path."""
    own, price, distance = cost[start], work.price, work.distance
    for j in range(n_cols):
        distance[j] = own[j] - price[j]
        work.reduced[j] = distance[j]
        work.via[j] = start
        work.done[j] = False
    n_settled = 0
    while True:
        j = _first(work.bits, n_cols, _least(work.bits, n_cols))
        length = distance[j]
        i = work.row_of[j]
        if i < 0:
            break
        work.done[j] = True
        work.settled[n_settled] = j
        n_settled += 1
        work.bits[j] = FAR
        _relax(cost[i], i, cost[i, j] - price[j] - length, length, n_cols, work)
    for t in range(n_settled):
        k = work.settled[t]
        price[k] += distance[k] - length
    flip(work.via, work.row_of, work.col_of, start, j)


@inlined_quick
@no_type_check
def _relax(own, i, offset, length, n_cols, work):
    for j in range(n_cols):
        if not work.done[j]:
            reach = max(own[j] - work.price[j] - offset, length)
            if reach < work.distance[j]:
                work.distance[j] = reach
                work.via[j] = i
                work.reduced[j] = reach
