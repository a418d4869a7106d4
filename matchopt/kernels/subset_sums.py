"""The sums of some of a few cells that come nearest to given weights: by a sorted table, or by meeting in the middle.

E. Horowitz and S. Sahni, "Computing partitions with applications to the knapsack problem", Journal of the ACM 21
(1974), doi:10.1145/321812.321823: the sorted sums of one half are run through against those of the other. Read noise
adds to the square of what is left over; then a sum matters only where its parabola is the lowest of all for some
weight, and those are again best in the order of their values.
"""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import compiled, inlined

PER_WEIGHT = 8  # sums of a table per weight that is looked up, beyond which halves are quicker


class Sums(NamedTuple):
    """Sums in ascending order: `value`, their `noise`, which cells they are of (bits of `code`), and how many."""

    value: Any
    noise: Any
    code: Any
    count: Any


class Scratch(NamedTuple):
    """Room for one thread: two `grown` lists that take turns, the halves `first` and `second`, and their tables."""

    grown: Any
    first: Any
    second: Any
    left: Any
    right: Any
    crossing: Any


@compiled
def subsets(cells, most):
    """How many sums of at most `most` out of `cells` cells there are, the empty one included."""
    total, term = 1, 1
    for n in range(min(cells, most)):
        term = term * (cells - n) // (n + 1)
        total += term
    return total


@compiled
def room(size):
    """Scratch for tables and halves of at most `size` sums."""
    return Scratch(_lists(2, size), _lists(1, size), _lists(1, size), _lists(1, size), _lists(1, size), np.empty(size))


@compiled
def _lists(number, size):
    return Sums(
        np.empty((number, size)), np.empty((number, size)), np.empty((number, size), np.int64),
        np.empty((number, size), np.int64),
    )  # fmt: skip


@inlined
def _copy(into, at, place, of, row, s, value, noise, bit, more):
    into.value[at, place] = of.value[row, s] + value
    into.noise[at, place] = of.noise[row, s] + noise
    into.code[at, place] = of.code[row, s] | bit
    into.count[at, place] = of.count[row, s] + more


@inlined
def _grow(cells, noise, begin, end, shift, most, grown, out):
    """All sums of at most `most` of the cells begin .. end - 1 into `out`, ascending; returns how many."""
    side, n = 0, 1
    grown.value[0, 0], grown.noise[0, 0], grown.code[0, 0], grown.count[0, 0] = 0.0, 0.0, 0, 0
    for k in range(begin, end):
        bit, i, j, at = np.int64(1) << np.int64(k - begin + shift), 0, 0, 0
        while i < n or j < n:
            while j < n and grown.count[side, j] >= most:
                j += 1
            if j < n and (i == n or grown.value[side, j] + cells[k] < grown.value[side, i]):
                _copy(grown, 1 - side, at, grown, side, j, cells[k], noise[k], bit, 1)
                j, at = j + 1, at + 1
            elif i < n:
                _copy(grown, 1 - side, at, grown, side, i, 0.0, 0.0, 0, 0)
                i, at = i + 1, at + 1
        side, n = 1 - side, at
    for s in range(n):
        _copy(out, 0, s, grown, side, s, 0.0, 0.0, 0, 0)
    return n


@inlined
def _chosen(of, n, low, high, noisy, out, row, crossing):
    """Those sums of low .. high cells that are best for some weight, into row `row` of `out`; returns how many."""
    at = 0
    for s in range(n):
        if not low <= of.count[0, s] <= high:
            continue
        value, skip = of.value[0, s], False
        height = value * value + of.noise[0, s]
        while noisy and at > 0:
            top, below = out.value[row, at - 1], height - out.noise[row, at - 1]
            below -= top * top
            if value == top:
                skip = below >= 0.0
                if skip:
                    break
            else:
                meet = below / (2.0 * (value - top))
                if at == 1 or meet > crossing[at - 1]:
                    crossing[at] = meet
                    break
            at -= 1
        if not skip:
            _copy(out, row, at, of, 0, s, 0.0, 0.0, 0, 0)
            at += 1
    return at


@inlined
def _advance(wanted, k, table, row, n):
    """The best sum of a table for a weight, from a sum on that is not beyond it: its place and its cost."""
    off = wanted - table.value[row, k]
    cost = off * off + table.noise[row, k]
    while k + 1 < n:
        off = wanted - table.value[row, k + 1]
        further = off * off + table.noise[row, k + 1]
        if further > cost:
            break
        cost, k = further, k + 1
    return k, cost


@compiled
def nearest_sums(cells, noise, begin, end, least, most, wanted, n_wanted, noisy, cost, code, scratch):
    """Fill `cost` and `code` with the best sums of the cells begin .. end - 1 for the ascending `wanted` weights.

    A sum is of `least` (0 or 1) to `most` cells; bit k of its code stands for cell begin + k. The cost is the squared
    difference plus the noise of the cells, inf where there is no such sum.
    """
    size = subsets(end - begin, most)
    if size <= 64 + PER_WEIGHT * n_wanted and size <= scratch.crossing.size:
        n = _grow(cells, noise, begin, end, 0, most, scratch.grown, scratch.first)
        n = _chosen(scratch.first, n, least, most, noisy, scratch.left, 0, scratch.crossing)
        k = 0
        for e in range(n_wanted):
            cost[e], code[e] = np.inf, 0
            if n > 0:
                k, cost[e] = _advance(wanted[e], k, scratch.left, 0, n)
                code[e] = scratch.left.code[0, k]
        return
    _meet(cells, noise, begin, end, least, most, wanted, n_wanted, noisy, cost, code, scratch)


@inlined
def _meet(cells, noise, begin, end, least, most, wanted, n_wanted, noisy, cost, code, scratch):
    middle = (begin + end) // 2
    n_first = _grow(cells, noise, begin, middle, 0, most, scratch.grown, scratch.first)
    n_second = _grow(cells, noise, middle, end, middle - begin, most, scratch.grown, scratch.second)
    for e in range(n_wanted):
        cost[e], code[e] = np.inf, 0
    every = most >= end - begin
    groups = 2 - (least == 0) if every else min(most, middle - begin) + 1
    for p in range(groups):  # of p cells of the first half, or, where all are allowed together, of any or of none
        low, high = (p, p) if not every else (p, middle - begin) if least == 0 or p else (0, 0)
        need = least if high == 0 else 0
        n_left = _chosen(scratch.first, n_first, low, high, noisy, scratch.left, 0, scratch.crossing)
        n_right = _chosen(scratch.second, n_second, need, most - low, noisy, scratch.right, 0, scratch.crossing)
        for e in range(n_wanted if n_left and n_right else 0):
            k = 0
            for s in range(n_left - 1, -1, -1):  # what the second half should be rises
                k, found = _advance(wanted[e] - scratch.left.value[0, s], k, scratch.right, 0, n_right)
                found += scratch.left.noise[0, s]
                if found < cost[e]:
                    cost[e], code[e] = found, scratch.left.code[0, s] | scratch.right.code[0, k]
