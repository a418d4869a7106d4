"""Compiled loops of the dual ascent: assignments with their potentials, and what one item keeps of its costs."""

from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels

DOWN = 1.0 + 2.0**-22  # so that single precision rounds what is kept down


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

    Rows and columns are counted from 1 in `found`. Its potentials keep u + v <= cost, up to rounding. Rows begin on
    their cheapest columns, where these are free.
    """
    for j in range(n_cols + 1):
        found.of_col[j], found.row_of[j] = 0.0, 0
    for i in range(1, n_rows + 1):
        least, at = cost[i - 1, 0], 1
        for j in range(1, n_cols):
            if cost[i - 1, j] < least:
                least, at = cost[i - 1, j], j + 1
        found.of_row[i] = least
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


class Side(NamedTuple):
    """Rows with neurons as places and lines as partners, or inputs the other way round.

    Item a has the connections `listed` from `start[a]`; each has a `weight`, a `factor` and an item `met` of the other
    side. `cells`, `noise`, `off` and `usable` are of (place, partner). The item keeps `price[e, j]` + `fare[a, k, j]`
    (<= 0) of what connection e costs with it on place j and its partner on place k, and `least[a, j]` of the sum of
    all. `gains` holds the two ends where `interval` says so; what can be written are ranges from `low` to `high` with
    the variance `spread`, whatever their number, at the price `write`, and a connection that is tuned costs `tuned`.
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
    side.fare[a] = 0
    for j in range(side.cells.shape[0]):
        for t in range(count):
            e = side.listed[first + t]
            _price(side, e, j, block[t])
            kept, fare = other.price[e], other.fare[side.met[e], j]
            for k in range(n_partners):
                block[t, k] -= kept[k] + fare[k]
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
def _price(side, e, j, out):
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
