"""The smoothed relaxation of a crossbar: as the ascent, with soft minima, which leave it no corner to get stuck in.

A connection's price on a place is the soft minimum over partners of what the other side leaves of its costs, at a
temperature that falls; the assignments of both sides are softened likewise, and partners that several connections of an
item would share get a fare. Steps alternate between the sides and go beyond what each asks for (over-relaxation).
Single precision and rough exponentials serve: whatever prices and fares come out, they split the costs, and ascent from
there gives a bound that is exact. A step makes the costs of all connections on all cells twice, 0.3 to 1 ns each.

References: M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NeurIPS 26 (2013),
arXiv:1306.0895; A. Thibault, L. Chizat, C. Dossal, N. Papadakis, "Overrelaxed Sinkhorn-Knopp algorithm for regularized
optimal transport", Algorithms 14 (2021), 10.3390/a14050143.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import kernels
from matchopt_crossbar.ascent_loops import Side, price_cells

HOT, COLD = 8.0, 0.02  # temperatures, as multiples of the bound for each connection
RELAXED = 1.6  # of a step; 1.8 is beyond what stays stable while it cools
SINKHORN = 3  # rounds for an assignment, which goes on where it was
CUT = np.float32(16.0)  # temperatures: what is so much dearer counts nothing
SLOTS, MOST_SLOTS = 12, 2**23  # fares for an item on a place, and in all, at most
SHARED, FAINT = 1.001, 1e-30  # listening to a partner: more than it can serve, and so little that it is taken for this
FULL = np.float32(SHARED).view(np.int32)


class Soft(NamedTuple):
    """One side in single precision: what its connections keep by place, and what its items keep besides.

    Of `cells` with `noise`, in the `usual` case, a `weight` costs `factor` times its squared error, in a unit
    that fits, and `most` at most. Fares are listed by place, `n_fares` for the partners `fare_at`, and by partner, from
    `begin` for the places `seen_at`. Soft assignments go on from `of_item` and `of_place`; the rest is scratch.
    """

    kept: Any
    weight: Any
    factor: Any
    cells: Any
    noise: Any
    usual: bool
    n_fares: Any
    fare_at: Any
    fare: Any
    begin: Any
    seen_at: Any
    seen: Any
    minima: Any
    total: Any
    of_item: Any
    of_place: Any
    row: Any
    bits: Any
    block: Any
    rest: Any
    top: Any
    most: Any
    listening: Any
    busy: Any

    @classmethod
    def of(cls, side: Side) -> "Soft":
        """Of a side that keeps nothing yet."""
        (items, places), partners, gain = side.least.shape, side.cells.shape[1], float(side.gains[0])
        values = (side.weight, gain * side.cells, gain * np.sqrt(side.noise))
        unit = 2.0 ** np.frexp(max(float(np.abs(part).max()) for part in values))[1]
        scaled = (side.weight / unit, side.factor * unit * unit, values[1] / unit, (values[2] / unit) ** 2)
        most = np.minimum(side.tuned, scaled[1] * scaled[0] ** 2 if side.drop else np.full(len(side.weight), np.inf))
        row, listening = np.zeros(partners + 1, np.float32), np.zeros(partners, np.float32)
        longest = int(np.diff(side.start).max(initial=1))
        slots = min(SLOTS, partners, MOST_SLOTS // (items * places))
        return cls._make([
            np.zeros(side.price.shape, np.float32), *(part.astype(np.float32) for part in scaled), side.usual,
            np.zeros((items, places), np.int64), np.zeros((items, places, slots), np.int32),
            np.zeros((items, places, slots), np.float32), np.zeros((items, partners + 1), np.int64),
            np.zeros((items, places * slots), np.int32), np.zeros((items, places * slots), np.float32),
            np.zeros(side.price.shape, np.float32), np.zeros((items, places)), np.zeros(items), np.zeros(places),
            row, row.view(np.int32), np.zeros(partners),
            np.zeros((longest, partners), np.float32), np.zeros(longest, np.float32), most.astype(np.float32),
            listening, listening.view(np.int32),
        ])  # fmt: skip


def smooth(sides: tuple[Side, Side], heat: float, progress: Callable[[], float], steps: int) -> None:
    """Let inputs keep what the smoothed relaxation ends with, and rows nothing yet.

    Parameters
    ----------
    sides : rows and inputs.
    heat : the unit of temperatures, > 0, in that of the sides' costs.
    progress : the part that is up of the time there is.
    steps : at most, >= 1, over which it cools where time does not tell.
    """
    soft, relaxed, before = [Soft.of(side) for side in sides], 1.0, np.inf
    for number in range(steps):
        done = max(progress(), number / steps)
        if done >= 1.0:
            break
        now, value = heat * HOT * (COLD / HOT) ** done, 0.0
        for own, other in ((0, 1), (1, 0)):
            soft_minima(sides[own], soft[own], soft[other], now)
            value += share_softly(sides[own], soft[own], now, relaxed)
        relaxed = 1.0 if number and value < before else RELAXED  # a step that is not relaxed never loses
        before = value
    sides[1].price[:], sides[1].fare[:] = soft[1].kept, 0.0
    a, j, s = np.nonzero(np.arange(soft[1].fare.shape[2]) < soft[1].n_fares[:, :, None])
    sides[1].fare[a, soft[1].fare_at[a, j, s], j] = soft[1].fare[a, j, s]
    paid = sides[1].fare.sum(axis=1, dtype=np.float64)
    sides[1].least[:] = np.add.reduceat(sides[1].price[sides[1].listed], sides[1].start[:-1], axis=0) + paid


@kernels.reordered
@no_type_check
def soft_minima(side, soft, other, heat):
    """Soft minima over partners of what connections cost less what the other side keeps of them, by place.

    They add up by item, with what is paid for partners that several connections of an item would share.
    """
    row, n_partners = soft.row, soft.block.size
    for a in range(side.start.size - 1):
        first, count = side.start[a], side.start[a + 1] - side.start[a]
        for t in range(count):
            kept = other.kept[side.listed[first + t]]
            soft.top[t] = kept.max()
            soft.rest[t] = soft.top[t] - kept
        for j in range(soft.cells.shape[0]):
            soft.total[a, j], soft.listening[:] = 0.0, 0.0
            for t in range(count):
                e = side.listed[first + t]
                x = side.met[e]
                if soft.usual:
                    w, q, most = soft.weight[e], soft.factor[e], soft.most[e]
                    for k in range(n_partners):
                        d = w - soft.cells[j, k]
                        cost = q * (d * d + soft.noise[j, k])
                        row[k] = (cost if cost < most else most) + soft.rest[t, k]
                else:
                    price_cells(side, e, j, soft.block)
                    for k in range(n_partners):
                        row[k] = np.float32(soft.block[k]) + soft.rest[t, k]
                for s in range(soft.n_fares[a, j]):
                    row[soft.fare_at[a, j, s]] -= soft.fare[a, j, s]
                for s in range(other.begin[x, j], other.begin[x, j + 1]):
                    row[other.seen_at[x, s]] -= other.seen[x, s]
                soft.minima[e, j] = _soft_least(row, soft.bits, heat, soft.listening) - soft.top[t]
                soft.total[a, j] += soft.minima[e, j]
            for s in range(soft.n_fares[a, j]):
                soft.total[a, j] += soft.fare[a, j, s]
            if count > 1 and (soft.n_fares[a, j] > 0 or _most(soft.busy) > FULL):
                _charge(soft.fare_at[a, j], soft.fare[a, j], soft.n_fares[a], j, soft.listening, heat)
        _list_by_partner(soft.n_fares[a], soft.fare_at[a], soft.fare[a], soft.begin[a], soft.seen_at[a], soft.seen[a])


@kernels.reordered
@no_type_check
def _soft_least(row, bits, heat, listening):
    """The soft least of costs, never negative; `listening` grows by the share of each.

    exp(-t) is taken for (1 - t / CUT)^CUT; the least is found among bits as integers, which have vector minima.
    """
    size, one, scale = listening.size, np.float32(1.0), np.float32(1.0 / (heat * CUT))
    least = bits[0]
    for k in range(size):
        least = min(least, bits[k])
    bits[size] = least
    cheapest, total = row[size], np.float32(0.0)
    for k in range(size):
        row[k] = one - (row[k] - cheapest) * scale
    for k in range(size):
        bits[k] = max(bits[k], np.int32(0))
    for k in range(size):
        x = row[k] * row[k]
        x *= x
        x *= x
        row[k] = x * x
        total += x * x
    part = one / total
    for k in range(size):
        listening[k] += part * row[k]
    return cheapest - heat * np.log(total)


@kernels.reordered
@no_type_check
def _most(bits):
    most = bits[0]
    for k in range(bits.size):
        most = max(most, bits[k])
    return most


@kernels.compiled
@no_type_check
def _charge(at, fare, n_fares, j, listening, heat):
    """Change what is paid for partners until about one connection listens to each."""
    count = 0
    for s in range(n_fares[j]):
        k = at[s]
        paid = fare[s] - heat * np.log(max(listening[k], FAINT))
        listening[k] = 0.0
        if paid < 0.0:
            at[count], fare[count] = k, paid
            count += 1
    for k in range(listening.size):
        if listening[k] > SHARED and count < fare.size:
            at[count], fare[count] = k, -heat * np.log(listening[k])
            count += 1
    n_fares[j] = count


@kernels.compiled
@no_type_check
def _list_by_partner(n_fares, at, fare, begin, seen_at, seen):
    begin[:] = 0
    for j in range(n_fares.size):
        for s in range(n_fares[j]):
            begin[at[j, s] + 1] += 1
    for k in range(begin.size - 1):
        begin[k + 1] += begin[k]
    for j in range(n_fares.size):
        for s in range(n_fares[j]):
            seen_at[begin[at[j, s]]], seen[begin[at[j, s]]] = j, fare[j, s]
            begin[at[j, s]] += 1
    begin[1:] = begin[:-1].copy()
    begin[0] = 0


@kernels.compiled
@no_type_check
def share_softly(side, soft, heat, relaxed):
    """Keep of the minima what a soft assignment of the items needs, in equal parts; the value of that assignment."""
    n_items, n_places = soft.total.shape
    _assign_softly(soft.total, heat * side.listed.size / n_items, soft.of_item, soft.of_place)
    for a in range(n_items):
        count = side.start[a + 1] - side.start[a]
        for t in range(side.start[a], side.start[a + 1]):
            e = side.listed[t]
            for j in range(n_places):
                over = (soft.total[a, j] - soft.of_item[a] - soft.of_place[j]) / count
                soft.kept[e, j] += relaxed * (soft.minima[e, j] - over - soft.kept[e, j])
    return soft.of_item.sum() + soft.of_place.sum()


@kernels.compiled
@no_type_check
def _assign_softly(cost, heat, of_row, of_col):
    """Rounds of Sinkhorn's, in logarithms: all rows are assigned, each column at most once."""
    for _ in range(SINKHORN):
        for i in range(of_row.size):
            of_row[i] = _log_sum(cost[i] - of_col, heat)
        for j in range(of_col.size):
            of_col[j] = min(0.0, _log_sum(cost[:, j] - of_row, heat))


@kernels.compiled
@no_type_check
def _log_sum(values, heat):
    least, total = values.min(), 0.0
    for value in values:
        total += np.exp((least - value) / heat)
    return least - heat * np.log(total)
