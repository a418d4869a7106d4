"""Compiled loops of the dual ascent: assignments with their potentials, and what one item keeps of its costs."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

DOWN = 1.0 + 2.0**-22  # so that single precision rounds what is kept down
BELOW_SIGN, SIGN = np.int64(2**63 - 1), np.int64(63)


class Potentials(NamedTuple):
    """Scratch of `assign`, and its answer: potentials of rows and columns (the latter <= 0), row of each column."""

    of_row: Any
    of_col: Any
    row_of: Any
    via: Any
    distance: Any
    masked: Any
    passed: Any
    length: Any

    @classmethod
    def of(cls, size: int) -> "Potentials":
        """For tables of at most `size` rows and columns."""
        of_row, of_col, distance, masked, length = (np.zeros(size + 1) for _ in range(5))
        row_of, via, passed = (np.zeros(size + 1, np.int64) for _ in range(3))
        return cls(of_row, of_col, row_of, via, distance, masked, passed, length)


@kernels.compiled
@no_type_check
def assign(cost, n_rows, n_cols, found):
    """Value of the cheapest assignment of n_rows <= n_cols, by shortest augmenting paths.

    Rows and columns are counted from 1 in `found`. Its potentials keep u + v <= cost, up to rounding. Rows begin on
    their cheapest columns, where these are free.
    """
    for j in range(n_cols + 1):
        found.of_col[j], found.row_of[j] = 0.0, 0
    for i in range(1, n_rows + 1):
        at = _cheapest(cost[i - 1], n_cols, found.masked) + 1
        found.of_row[i] = cost[i - 1, at - 1]
        if found.row_of[at] == 0:
            found.row_of[at] = i
        else:
            _bring_in(cost, i, n_cols, found)
    value = 0.0
    for i in range(1, n_rows + 1):
        value += found.of_row[i]
    for j in range(1, n_cols + 1):
        value += found.of_col[j]
    return value


@kernels.compiled
@no_type_check
def _bring_in(cost, i, n_cols, found):
    found.row_of[0] = i
    at = _shortest_path(cost, n_cols, found)
    while at != 0:
        found.row_of[at] = found.row_of[found.via[at]]
        at = found.via[at]


@kernels.compiled
@no_type_check
def _shortest_path(cost, n_cols, found):
    """The free column nearest to the row at column 0; potentials are changed so that the path has length 0.

    Columns that the path has passed have the price -inf, which keeps them out of reach without a branch.
    """
    u, v, row_of, via, distance, masked, passed, length_of = found
    for j in range(1, n_cols + 1):
        distance[j], masked[j] = np.inf, v[j]
    at, length, n_passed = 0, 0.0, 0
    while True:
        own, offset = cost[row_of[at] - 1], u[row_of[at]] - length
        for j in range(1, n_cols + 1):
            reach, before = own[j - 1] - masked[j] - offset, distance[j]
            via[j] = at if reach < before else via[j]
            distance[j] = reach if reach < before else before
        at = _cheapest(distance[1:], n_cols, masked) + 1
        length = distance[at]
        if row_of[at] == 0:
            break
        passed[n_passed], length_of[n_passed] = at, length
        n_passed += 1
        distance[at], masked[at] = np.inf, -np.inf
    u[row_of[0]] += length
    for t in range(n_passed):
        u[row_of[passed[t]]] += length - length_of[t]
        v[passed[t]] -= length - length_of[t]
    return at


@kernels.reordered
@no_type_check
def _cheapest(cost, n_cols, scratch):
    """The first of the least. Integers have vector minima, and numbers order as they do, those below 0 turned over."""
    bits, least = cost.view(np.int64), BELOW_SIGN
    for j in range(n_cols):
        least = min(least, bits[j] ^ ((bits[j] >> SIGN) & BELOW_SIGN))
    scratch.view(np.int64)[0] = least ^ ((least >> SIGN) & BELOW_SIGN)
    value, found = scratch[0], np.int64(n_cols)
    for j in range(n_cols):
        found = min(found, np.int64(j) if cost[j] == value else np.int64(n_cols))
    return found if found < n_cols else 0


class Side(NamedTuple):
    """Rows with neurons as places and lines as partners, or inputs the other way round.

    Item a has the connections `listed` from `start[a]`; each has a `weight`, a `factor` and an item `met` of the other
    side. `cells`, `noise`, `off` and `usable` are of (place, partner). The item keeps `price[e, j]` + `fare[a, k, j]`
    (<= 0) of what connection e costs with it on place j and its partner on place k, and `least[a, j]` of the sum of
    all. `gains` holds the two ends where `interval` says so; what can be written are ranges from `low` to `high` with
    the variance `spread`, whatever their number, at the price `write`, and a connection that is tuned costs `tuned`.
    `plain` are cells without leaks that are all in use, `usual` if at one gain none of them is written.
    """

    start: Any
    listed: Any
    weight: Any
    factor: Any
    met: Any
    cells: Any
    noise: Any
    off: Any
    usable: Any
    low: Any
    high: Any
    spread: Any
    gains: Any
    interval: Any
    drop: Any
    plain: Any
    usual: Any
    barred: Any
    write: Any
    tuned: Any
    price: Any
    fare: Any
    least: Any


@kernels.compiled
@no_type_check
def keep(side, other, a, block, inner):
    """What item `a` keeps on each place: the potentials of its connections' cheapest assignment, and their sum.

    The costs are those that the other side does not keep.
    """
    first, count, n_partners = side.start[a], side.start[a + 1] - side.start[a], side.cells.shape[1]
    g = side.gains[0]
    side.fare[a] = 0
    for j in range(side.cells.shape[0]):
        for t in range(count):
            e = side.listed[first + t]
            kept, fare, out = other.price[e], other.fare[side.met[e], j], block[t]
            if side.usual:
                w, q, own, spread = side.weight[e], side.factor[e], side.cells[j], side.noise[j]
                least = min(q * (w * w), side.tuned) if side.drop else side.tuned
                for k in range(n_partners):
                    d = w - g * own[k]
                    cost = q * (d * d + g * g * spread[k])
                    out[k] = (cost if cost < least else least) - (kept[k] + fare[k])
            else:
                price_cells(side, e, j, out)
                for k in range(n_partners):
                    out[k] -= kept[k] + fare[k]
        assign(block, count, n_partners, inner)
        total = 0.0
        for t in range(count):
            side.price[side.listed[first + t], j] = inner.of_row[t + 1]
            total += inner.of_row[t + 1]
        for k in range(n_partners):
            if inner.of_col[k + 1] < 0.0:
                side.fare[a, k, j] = inner.of_col[k + 1] * DOWN
                total += side.fare[a, k, j]
        side.least[a, j] = total


@kernels.compiled
@no_type_check
def share_out(side, outer):
    """The bound of this side; what its items keep beyond that goes to the other, in equal parts of connections."""
    n_items, n_places = side.least.shape
    value = assign(side.least, n_items, n_places, outer)
    for a in range(n_items):
        first, last = side.start[a], side.start[a + 1]
        for j in range(n_places):
            over = max(0.0, side.least[a, j] - outer.of_row[a + 1] - outer.of_col[j + 1])
            side.least[a, j] -= over
            for t in range(first, last):
                side.price[side.listed[t], j] -= over / (last - first)
    return value


@kernels.compiled
@no_type_check
def price_cells(side, e, j, out):
    """The least that connection e can cost on every cell of a place."""
    w, q, cells, noise, off, usable = (
        side.weight[e], side.factor[e], side.cells[j], side.noise[j], side.off[j], side.usable[j])  # fmt: skip
    if side.interval:
        low, high = side.gains[0], side.gains[1]
        for k in range(cells.size):
            square = cells[k] * cells[k] + noise[k]
            g = min(max(w * cells[k] / square, low), high) if square > 0.0 else low
            out[k] = (w - g * cells[k]) ** 2 + g * g * noise[k]
    else:
        g = side.gains[0]
        for k in range(cells.size):
            d = w - g * cells[k]
            out[k] = d * d + g * g * noise[k]
        for number in range(1, side.gains.size):
            g = side.gains[number]
            for k in range(cells.size):
                d = w - g * cells[k]
                out[k] = min(out[k], d * d + g * g * noise[k])
        if side.low.shape[0] > 0:
            _price_written(side, w, q, j, out)
    dropped = w * w
    if side.plain:
        least = min(q * dropped, side.tuned) if side.drop else side.tuned
        for k in range(cells.size):
            cost = q * out[k]
            out[k] = cost if cost < least else least
        return
    for k in range(cells.size):
        if side.drop:
            idle = min(dropped, _idle(side, w, off[k]))
            out[k] = q * (min(out[k], idle) if usable[k] else idle)
        else:
            out[k] = q * out[k] if usable[k] else side.barred
        out[k] = min(out[k], side.tuned)


@kernels.compiled
@no_type_check
def _price_written(side, w, q, j, out):
    """Lower the costs, importance apart, to those of the best value written, where that is less."""
    price = side.write / q if q > 0.0 else 0.0
    for number in range(side.gains.size):
        g = side.gains[number]
        aim = w / g if g != 0.0 else 0.0
        for a in range(side.low.shape[0]):
            low, high, spread = side.low[a, j], side.high[a, j], side.spread[a, j]
            for k in range(out.size):
                d = w - g * min(max(aim, low[k]), high[k])
                out[k] = min(out[k], d * d + g * g * spread[k] + price)


@kernels.compiled
@no_type_check
def _idle(side, w, off):
    """What a connection costs at least that has only the leak of its cell."""
    if off == 0.0:
        return w * w
    if side.interval:
        g = min(max(w / off, side.gains[0]), side.gains[1])
        return (w - g * off) ** 2
    least = w * w
    for number in range(side.gains.size):
        least = min(least, (w - side.gains[number] * off) ** 2)
    return least
