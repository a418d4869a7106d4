"""One row against one hardware neuron whose cells can be written: a rectangular assignment on the cells.

A cell that takes one of several values has no single place in their order, so that matchings in order are not the best.
What a weight costs on a cell is the least over what the cell can read; the assignment over these costs is exact. Most
weights of a row get their cheapest cell at once, the others one shortest augmenting path each.

References: R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
problems", Computing 38 (1987), 10.1007/BF02278710.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import Refused
from matchopt.instances import Gains, Hardware
from matchopt.instances.demands import understanding
from matchopt.kernels.compiling import compiled
from matchopt.kernels.packing import finite_values

DROPPED = -1
NEVER_WORTH = 1e30  # variance in place of a value that cannot be written
UNDERSTOOD = {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "gains", "programmable-cells"}


class MenuCells(NamedTuple):
    """Some hardware neurons with what can be written into their cells; the fields are those of `Hardware`."""

    weights: Float[np.ndarray, "neurons cells"]
    variance: Float[np.ndarray, "neurons cells"]
    usable: Bool[np.ndarray, "neurons cells"]
    low: Float[np.ndarray, "neurons cells"]
    high: Float[np.ndarray, "neurons cells"]
    write_variance: Float[np.ndarray, "neurons cells"]
    levels: Float[np.ndarray, "neurons cells levels"]
    level_variance: Float[np.ndarray, "neurons cells levels"]


@understanding("a kernel of programmable cells", UNDERSTOOD)
def menu_cells(hardware: Hardware, neurons: slice | Int[np.ndarray, " some"]) -> MenuCells:
    """Those neurons, in arrays of their own: loops are compiled anew for ones that must not be written to."""
    return MenuCells._make(np.array(getattr(hardware, name)[neurons], order="C") for name in MenuCells._fields)


def written_ranges(hardware: Hardware) -> list[Float[np.ndarray, "ranges neurons cells"]]:
    """Low and high ends of all ranges that can be written into cells, and their variances.

    A level is a range of its own. Cells without one, or out of use, have a range of 0 with a variance of 1e30 in its
    place, which is never worth it.

    Parameters
    ----------
    hardware : the cells.
    """
    if not hardware.programmable:
        return [np.zeros((0, *hardware.weights.shape))] * 3
    levels, variances = np.moveaxis(hardware.levels, 2, 0), np.moveaxis(hardware.level_variance, 2, 0)
    low, high = (np.concatenate([end[None], levels]) for end in (hardware.low, hardware.high))
    absent = np.isnan(low) | ~hardware.usable
    spread = np.where(absent, NEVER_WORTH, np.concatenate([hardware.write_variance[None], variances]))
    return [np.where(absent, 0.0, low), np.where(absent, 0.0, high), spread]


def menu_gains(gains: Gains) -> Float[np.ndarray, " gains"]:
    """The gains as an array.

    Raises
    ------
    Refused
        for an interval: the best value to write depends on the gain, and the best gain on what is written.
    """
    values = finite_values(gains)
    if values is None:
        raise Refused("programmable cells under gains of an interval are not solved; allow a few gains")
    return values


class _Scratch(NamedTuple):
    """Room for one pair: costs, prices of cells, their owners and distances, the row `via` which each was reached,
    cells `done`; of each weight its price, its cell, and its cost without one."""

    cost: Any
    price: Any
    owner: Any
    distance: Any
    via: Any
    done: Any
    height: Any
    used: Any
    dropped: Any


@compiled
def menu_costs(chip, rows, gains, price, out):
    """Fill out[neuron, row] with the least cost over a finite set of gains, a write costing `price` more.

    `chip` are `MenuCells`, `rows` is a `RowBlock`.
    """
    work = _scratch(rows, chip)
    for j in range(chip.weights.shape[0]):
        for i in range(rows.starts.size - 1):
            out[j, i] = np.inf
            for gain in gains:
                out[j, i] = min(out[j, i], _solve(chip, j, rows, i, gain, price, work))


@compiled
def menu_matchings(chip, rows, gains, price, cell_of, gain_of, cost_of):
    """Match row i with the i-th neuron given; `cell_of` gets its cells, -1 for none."""
    work = _scratch(rows, chip)
    for i in range(rows.starts.size - 1):
        cost_of[i], gain_of[i] = np.inf, gains[0]
        for gain in gains:
            cost = _solve(chip, i, rows, i, gain, price, work)
            if cost < cost_of[i]:
                cost_of[i], gain_of[i] = cost, gain
                for e in range(rows.starts[i], rows.starts[i + 1]):
                    cell_of[e] = work.used[e - rows.starts[i]]


@compiled
def _scratch(rows, chip):
    longest, most = 0, chip.weights.shape[1]
    for i in range(rows.starts.size - 1):
        longest = max(longest, rows.starts[i + 1] - rows.starts[i])
    return _Scratch(
        np.empty((longest, most)), np.empty(most), np.empty(most, np.int64), np.empty(most), np.empty(most, np.int64),
        np.empty(most, np.bool_), np.empty(longest), np.empty(longest, np.int64), np.empty(longest),
    )  # fmt: skip


@compiled
def _solve(chip, j, rows, i, gain, price, work):
    """The least cost of row i on neuron j; `work.used` holds the cells."""
    a, n = rows.starts[i], rows.starts[i + 1] - rows.starts[i]
    for k in range(work.price.size):
        work.price[k], work.owner[k] = 0.0, -1
    for e in range(n):
        weight, factor = rows.weights[a + e], rows.importance[a + e]
        work.dropped[e] = rows.skip[a + e] if rows.skip.size else np.inf
        work.used[e] = DROPPED
        _fill(chip, j, weight, factor, gain, price, work.cost[e])
        least, at = work.dropped[e], -1
        for k in range(work.price.size):
            if work.cost[e, k] < least:
                least, at = work.cost[e, k], k
        work.height[e] = least
        if least == np.inf:
            return np.inf
        if at >= 0 and work.owner[at] < 0:
            work.owner[at], work.used[e] = e, at
    total = 0.0
    for e in range(n):
        if work.used[e] < 0 and work.height[e] < work.dropped[e] and not _augment(e, work):
            return np.inf
    for e in range(n):
        total += work.cost[e, work.used[e]] if work.used[e] >= 0 else work.dropped[e]
    return total


@compiled
def _fill(chip, j, weight, factor, gain, price, out):
    """What the weight costs on every cell, inf where it cannot be used."""
    square, aim = gain * gain, weight / gain if gain != 0.0 else 0.0
    for k in range(out.size):
        error = weight - gain * chip.weights[j, k]
        cost = factor * (error * error + square * chip.variance[j, k])
        error = weight - gain * min(max(aim, chip.low[j, k]), chip.high[j, k])
        written = factor * (error * error + square * chip.write_variance[j, k]) + price
        if chip.low[j, k] <= chip.high[j, k] and written < cost:
            cost = written
        for s in range(chip.levels.shape[2]):
            error = weight - gain * chip.levels[j, k, s]
            written = factor * (error * error + square * chip.level_variance[j, k, s]) + price
            if written < cost:  # not where there is no level, which is NaN
                cost = written
        out[k] = cost if chip.usable[j, k] else np.inf


@compiled
def _augment(new, work):
    """Bring weight `new` into the matching along a shortest path; False where there is none."""
    price, owner, distance, done = work.price, work.owner, work.distance, work.done
    for k in range(price.size):
        distance[k], done[k] = np.inf, False
    e, length, best, end, last = new, 0.0, np.inf, DROPPED, new
    while True:
        offset = length - work.height[e]
        if offset + work.dropped[e] < best:
            best, end, last = offset + work.dropped[e], DROPPED, e
        at = _nearest(e, offset, best, work)
        if at < 0:
            break
        if owner[at] < 0:
            best, end, last = distance[at], at, work.via[at]
            break
        length, e, done[at] = distance[at], owner[at], True
    if best == np.inf:
        return False
    work.height[new] += best
    for k in range(price.size):
        if done[k]:
            price[k] += distance[k] - best
            work.height[owner[k]] += best - distance[k]
    _shift_along(end, last, new, work)
    return True


@compiled
def _nearest(e, offset, best, work):
    """Extend paths from weight e; the cell reached in least that is not done, -1 where none is in `best`."""
    distance, at = work.distance, -1
    for k in range(distance.size):
        if not work.done[k]:
            reach = offset + work.cost[e, k] - work.price[k]
            if reach < distance[k]:
                distance[k], work.via[k] = reach, e
            if distance[k] < best:
                best, at = distance[k], k
    return at


@compiled
def _shift_along(end, last, new, work):
    """Give cell `end` to weight `last`, the cell that had to the weight before it on the path, and so on to `new`."""
    while True:
        had = work.used[last]
        work.used[last] = end
        if end >= 0:
            work.owner[end] = last
        if last == new:
            return
        end, last = had, work.via[had]
