"""Compiled loops of the robust tabu search: swaps that move rows and inputs together, their deltas kept up to date."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

FRESH = 2000  # iterations between two recomputations of all deltas


class Pairs(NamedTuple):
    """A cost, the sum over t, i, x of wanted[t, i, x] * given[t, p(i), p(x)], its permutation p, deltas of all swaps,
    until when each item must not return to each place, the best permutation, and [cost, least cost] and [iteration,
    iteration of the last improvement]; and scratch."""

    wanted: Any
    given: Any
    place: Any
    delta: Any
    banned: Any
    best: Any
    cost: Any
    clock: Any
    scratch: Any
    random: Any


@kernels.compiled
@no_type_check
def start(pairs):
    """Cost and deltas of the permutation there is, all swaps allowed."""
    n = pairs.place.size
    pairs.cost[0] = 0.0
    for t in range(pairs.wanted.shape[0]):
        for i in range(n):
            for x in range(n):
                pairs.cost[0] += pairs.wanted[t, i, x] * pairs.given[t, pairs.place[i], pairs.place[x]]
    for i in range(n):
        for x in range(n):
            pairs.banned[i, x] = 0
            if x > i:
                pairs.delta[i, x] = _delta(pairs, i, x)
    _keep_best(pairs)


@kernels.compiled
@no_type_check
def improve(pairs, iterations, patience):
    """Best allowed swaps, one after the other, with kicks where nothing better is met for `patience` iterations."""
    for _ in range(iterations):
        pairs.clock[0] += 1
        r, s = _choose(pairs)
        if r >= 0:
            _swap(pairs, r, s)
        if pairs.clock[0] - pairs.clock[1] > patience:
            _kick(pairs)
            pairs.clock[1] = pairs.clock[0]
        elif pairs.clock[0] % FRESH == 0:
            _refresh(pairs)


@kernels.compiled
@no_type_check
def _draw(pairs, below):
    s = pairs.random[0]
    s ^= s << np.uint64(13)
    s ^= s >> np.uint64(7)
    s ^= s << np.uint64(17)
    pairs.random[0] = s
    return np.int64((s >> np.uint64(11)) % np.uint64(below))


@kernels.compiled
@no_type_check
def _choose(pairs):
    """The best swap that does not bring both items back where they were lately, or that beats the best."""
    n, now = pairs.place.size, pairs.clock[0]
    least, r, s = np.inf, -1, -1
    goal = pairs.cost[1] - pairs.cost[0] - 1e-9 * abs(pairs.cost[1])
    for i in range(n - 1):
        at = pairs.place[i]
        for x in range(i + 1, n):
            delta = pairs.delta[i, x]
            if delta < least:
                free = pairs.banned[i, pairs.place[x]] < now or pairs.banned[x, at] < now
                if free or delta < goal:
                    least, r, s = delta, i, x
    return r, s


@kernels.compiled
@no_type_check
def _swap(pairs, r, s):
    """Swap two items, ban the way back for a random while, and update the deltas (Taillard's section 3)."""
    n, place, now = pairs.place.size, pairs.place, pairs.clock[0]
    low = max(1, (9 * n) // 10)
    pairs.banned[r, place[r]] = now + low + _draw(pairs, n // 5 + 4)
    pairs.banned[s, place[s]] = now + low + _draw(pairs, n // 5 + 4)
    pairs.cost[0] += pairs.delta[r, s]
    place[r], place[s] = place[s], place[r]
    for t in range(pairs.wanted.shape[0]):
        _update(pairs, pairs.wanted[t], pairs.given[t], r, s)
    for i in range(n):
        for x in (r, s):
            if i != x:
                pairs.delta[min(i, x), max(i, x)] = _delta(pairs, min(i, x), max(i, x))
    if pairs.cost[0] < pairs.cost[1] - 1e-9 * abs(pairs.cost[1]):
        _keep_best(pairs)


@kernels.compiled
@no_type_check
def _keep_best(pairs):
    if pairs.cost[0] < pairs.cost[1]:
        pairs.cost[1] = pairs.cost[0]
        pairs.clock[1] = pairs.clock[0]
        pairs.best[:] = pairs.place


@kernels.compiled
@no_type_check
def _refresh(pairs):
    """Deltas anew: rounding adds up."""
    n = pairs.place.size
    for i in range(n - 1):
        for x in range(i + 1, n):
            pairs.delta[i, x] = _delta(pairs, i, x)


@kernels.compiled
@no_type_check
def _kick(pairs):
    """Some random swaps from the best permutation or from here, or so many that little is left of it."""
    n, kind = pairs.place.size, _draw(pairs, 4)
    if kind < 2:
        pairs.place[:] = pairs.best
    for _ in range(3 + _draw(pairs, max(1, n // 2)) + (2 * n if kind == 3 else 0)):
        r, s = _draw(pairs, n), _draw(pairs, n)
        pairs.place[r], pairs.place[s] = pairs.place[s], pairs.place[r]
    start(pairs)


@kernels.compiled
@no_type_check
def _delta(pairs, r, s):
    """What the cost changes by when items r and s swap places."""
    n, p = pairs.place.size, pairs.place
    pr, ps, total = p[r], p[s], 0.0
    for t in range(pairs.wanted.shape[0]):
        a, b = pairs.wanted[t], pairs.given[t]
        total += (a[r, r] - a[s, s]) * (b[ps, ps] - b[pr, pr]) + (a[r, s] - a[s, r]) * (b[ps, pr] - b[pr, ps])
        for k in range(n):
            if k != r and k != s:
                total += (a[k, r] - a[k, s]) * (b[p[k], ps] - b[p[k], pr])
                total += (a[r, k] - a[s, k]) * (b[ps, p[k]] - b[pr, p[k]])
    return total


@kernels.reordered
@no_type_check
def _update(pairs, a, b, r, s):
    """Change the deltas of all swaps of two others than r and s, which have swapped places."""
    n, place = pairs.place.size, pairs.place
    pr, ps = place[r], place[s]
    rows, rows_at, cols, cols_at = pairs.scratch[0], pairs.scratch[1], pairs.scratch[2], pairs.scratch[3]
    for i in range(n):
        at = place[i]
        rows[i], rows_at[i] = a[r, i] - a[s, i], b[ps, at] - b[pr, at]
        cols[i], cols_at[i] = a[i, r] - a[i, s], b[at, ps] - b[at, pr]
    for i in range(n - 1):
        delta, u, v, w, z = pairs.delta[i], rows[i], rows_at[i], cols[i], cols_at[i]
        for x in range(i + 1, n):
            delta[x] += (u - rows[x]) * (v - rows_at[x]) + (w - cols[x]) * (z - cols_at[x])
