"""Costs of pairs whose neuron may have any gain of an interval: bounds, and exact costs to within rounding.

With gain g > 0 a matching m costs A - 2 g B(m) + g^2 C(m), where A is the cost of the row without any cell, B the sum
of q a h and C the sum of q (h^2 + v) over its wires. The best matching at g therefore costs A + g s(g), with s(g) the
least g C(m) - 2 B(m) of all m: a minimum of lines, hence concave. Between two gains where s is known it is above its
chord, and A + g chord(g) is a parabola, whose least value is a lower bound on all gains in between. The bound is exact
where one matching is best at both ends, so splitting the interval where the parabola is lowest comes to an end: after
a few steps, and some three more for every factor of ten that the best gain is below the largest. At g = 0, where the
interval has both signs, s is -2 times the largest B(m). Gains below zero are the same with -h for h.

Nothing here needs to know which matchings are best, or where they change, as the recursion of Eisner and Severance in
the kernels does: the proof is an independent one.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.effort import Effort
from matchopt.proofs.inner import costs_at
from matchopt.proofs.separable import Separable, relaxed_costs

GRID = 16  # gains at which every pair is looked at, per sign
ROUNDS = 300  # splits; a pair that needs more keeps a bound below its cost
TOLERANCE = 8.0  # roundings by which a bound may be below the cost that is then called exact


@dataclass(frozen=True)
class Side:
    """The gains of one sign: sign * g for g from `low` >= 0 to `high`."""

    sign: float
    low: float
    high: float


def sides(interval: tuple[float, float]) -> list[Side]:
    """The interval, one part for each sign."""
    low, high = interval
    found = [Side(1.0, max(low, 0.0), high)] if high > 0.0 else []
    found += [Side(-1.0, max(-high, 0.0), -low)] if low < 0.0 else []
    return found or [Side(1.0, 0.0, 0.0)]


def interval_bounds(
    problem: Separable, effort: Effort
) -> tuple[Float[np.ndarray, "rows neurons"], Bool[np.ndarray, "rows neurons"]]:
    """As `matchopt.proofs.separable.pair_bounds`, for gains in an interval; exact are only rows that do not fit."""
    assert problem.interval is not None
    bounds = np.full((problem.n_neurons, problem.n_rows), np.inf)
    for side in sides(problem.interval):
        gains = _grid(side)
        reach = effort.afford(problem.relaxation * len(gains), problem.n_neurons)
        for j in range(problem.n_neurons):
            if j >= reach or effort.late_by_the_clock:
                bounds[j:] = 0.0
                break
            cells = problem.chip.of_pairs(np.full(len(gains), j), side.sign * gains)
            costs = np.array([relaxed_costs(problem, cells, level)[0] for level in range(len(gains))])
            bounds[j] = np.minimum(bounds[j], _least(problem, side, j, gains, costs))
    return np.ascontiguousarray(bounds.T), np.ascontiguousarray(np.isposinf(bounds).T)


def _grid(side: Side) -> Float[np.ndarray, " gains"]:
    if side.low == side.high:
        return np.array([side.high])
    return np.geomspace(side.low if side.low > 0.0 else side.high / 2.0 ** (GRID / 2), side.high, GRID)


def _least(
    problem: Separable, side: Side, j: int, gains: Float[np.ndarray, " gains"], costs: Float[np.ndarray, "gains rows"]
) -> Float[np.ndarray, " rows"]:
    """The least of all parabolas of each row."""
    fits = np.isfinite(costs[-1])
    base, rounding, costs = problem.dropped[fits], problem.rounding[fits], costs[:, fits]
    least = costs[-1] - rounding * (base + costs[-1])
    if side.high > 0.0:
        slopes = _slopes(base, costs, rounding, gains[:, None])
        if side.low == 0.0:
            gains, slopes = np.append(0.0, gains), np.vstack([_steepest(problem, side, j)[fits], slopes])
        if len(gains) > 1:
            ends = (gains[:-1, None], slopes[:-1], gains[1:, None], slopes[1:])
            least = np.minimum(least, _parabolas(base - rounding * base, *ends)[0].min(axis=0))
    found = np.full(problem.n_rows, np.inf)
    found[fits] = np.maximum(least, 0.0)  # no cost is below it
    return found


def _steepest(problem: Separable, side: Side, j: int) -> Float[np.ndarray, " rows"]:
    """A lower bound on s(0) of every row: each connection has the cell that makes most of it."""
    usable = side.sign * problem.chip.weights[j, : problem.chip.count[j]]
    ends = (usable.min(initial=0.0), usable.max(initial=0.0))  # with 0, which connections that are dropped make
    worth = problem.factor * np.maximum(problem.weight * ends[0], problem.weight * ends[1])
    sums = np.bincount(problem.row_of, worth, minlength=problem.n_rows)
    return np.asarray(-2.0 * (1.0 + problem.rounding) * sums)


@dataclass(frozen=True, eq=False)
class Costs:
    """What pairs cost at the best gain of an interval.

    Parameters
    ----------
    bound : a lower bound of each pair; inf where the row does not fit.
    exact : whether it is the least cost, but for some roundings.
    gain : a gain that attains the least cost that was seen.
    """

    bound: Float[np.ndarray, " pairs"]
    exact: Bool[np.ndarray, " pairs"]
    gain: Float[np.ndarray, " pairs"]


def interval_costs(
    problem: Separable,
    rows: Int[np.ndarray, " pairs"],
    neurons: Int[np.ndarray, " pairs"],
    enough: Float[np.ndarray, " pairs"] | float = math.inf,
    effort: Effort | None = None,
) -> Costs:
    """The least costs of rows[p] on neurons[p]; bounds need not be better than `enough`.

    Once the effort is spent nothing is split any more; the caller counts what is asked for here.
    """
    assert problem.interval is not None
    enough = np.broadcast_to(enough, rows.shape)
    bound, best, gain = (np.full(len(rows), value) for value in (np.inf, np.inf, 1.0))
    fits = np.flatnonzero(problem.drop | (problem.fan_in[rows] <= problem.chip.count[neurons]))
    for side in sides(problem.interval):
        search = _Search(problem, side, rows[fits], neurons[fits], enough[fits])
        search.run(effort or Effort())
        better = search.best < best[fits]
        gain[fits] = np.where(better, side.sign * search.gain, gain[fits])
        best[fits] = np.minimum(search.best, best[fits])
        bound[fits] = np.minimum(np.maximum(search.bound, 0.0), bound[fits])
    slack = _slack(problem, rows, np.where(np.isposinf(best), 0.0, best))
    return Costs(bound, np.isposinf(bound) | (bound >= best - slack), gain)


class _Search:
    """The splitting, for many pairs side by side; `bound`, `best` and `gain` are what has come out for each."""

    def __init__(
        self,
        problem: Separable,
        side: Side,
        rows: Int[np.ndarray, " pairs"],
        neurons: Int[np.ndarray, " pairs"],
        enough: Float[np.ndarray, " pairs"],
    ) -> None:
        self._problem, self._side, self._rows, self._neurons, self._enough = problem, side, rows, neurons, enough
        self._base, self._rounding = problem.dropped[rows], problem.rounding[rows]
        self.bound, self.best, self.gain = (np.full(len(rows), value) for value in (np.inf, np.inf, side.high))

    def run(self, effort: Effort) -> None:
        """Split until every bound is enough, or as good as the best cost."""
        side, pair = self._side, np.arange(len(self._rows))
        low, high = np.full(len(pair), side.low), np.full(len(pair), side.high)
        costs = self._costs(pair, high)
        self._note(pair, costs, high)
        self.bound = costs - self._rounding * (self._base + costs)
        if side.low == side.high or not len(pair):
            return
        left, right = self._start(), self._slopes_at(pair, costs, high)
        floor = self._base - self._rounding * self._base
        for _ in range(ROUNDS):
            least, at = _parabolas(floor[pair], low, left, high, right)
            wanted = np.minimum(self._enough, self.best - _slack(self._problem, self._rows, self.best))
            open_ = (least < wanted[pair]) & (low < at) & (at < high)
            np.minimum.at(self.bound, pair[~open_], least[~open_])
            pair, at, least = pair[open_], at[open_], least[open_]
            low, left, high, right = low[open_], left[open_], high[open_], right[open_]
            if not len(pair):
                return
            if effort.late_by_the_clock:
                break
            costs = self._costs(pair, at)
            self._note(pair, costs, at)
            middle = self._slopes_at(pair, costs, at)
            pair, least = np.tile(pair, 2), np.tile(least, 2)
            low, left = np.concatenate([low, at]), np.concatenate([left, middle])
            high, right = np.concatenate([at, high]), np.concatenate([middle, right])
        np.minimum.at(self.bound, pair, least)

    def _start(self) -> Float[np.ndarray, " pairs"]:
        """The slopes at the low end."""
        every = np.arange(len(self._rows))
        if self._side.low > 0.0:
            low = np.full(len(every), self._side.low)
            costs = self._costs(every, low)
            self._note(every, costs, low)
            return self._slopes_at(every, costs, low)
        self._note(every, self._base, np.zeros(len(every)))
        largest = [self._largest(i, j) for i, j in zip(self._rows.tolist(), self._neurons.tolist(), strict=True)]
        return np.array(largest) * -2.0

    def _largest(self, row: int, neuron: int) -> float:
        """The largest sum of q a h of a matching, rounded up."""
        from scipy.optimize import linear_sum_assignment

        problem = self._problem
        part = slice(int(problem.starts[row]), int(problem.starts[row + 1]))
        usable = self._side.sign * problem.chip.weights[neuron, : problem.chip.count[neuron]]
        worth = (problem.factor[part] * problem.weight[part])[:, None] * usable
        if problem.drop:
            worth = np.concatenate([worth, np.zeros((len(worth), len(worth)))], axis=1)
        chosen = worth[linear_sum_assignment(worth, maximize=True)]
        return float(chosen.sum() + 2.0 * HALF_ULP * (len(chosen) + 2) * np.abs(worth).max(initial=0.0) * len(chosen))

    def _costs(self, pair: Int[np.ndarray, " some"], gains: Float[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        cells = self._problem.chip.of_pairs(self._neurons[pair], self._side.sign * gains)
        return costs_at(self._problem, cells, self._rows[pair], np.arange(len(pair)))

    def _slopes_at(
        self, pair: Int[np.ndarray, " some"], costs: Float[np.ndarray, " some"], gains: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"]:
        return _slopes(self._base[pair], costs, self._rounding[pair], gains)

    def _note(
        self, pair: Int[np.ndarray, " some"], costs: Float[np.ndarray, " some"], gains: Float[np.ndarray, " some"]
    ) -> None:
        """Keep what is better than the best so far; of several costs of one pair the least is written last."""
        order = np.argsort(-costs, kind="stable")
        order = order[costs[order] < self.best[pair[order]]]
        self.best[pair[order]], self.gain[pair[order]] = costs[order], gains[order]


def _slack(
    problem: Separable, rows: Int[np.ndarray, " some"], costs: Float[np.ndarray, " some"]
) -> Float[np.ndarray, " some"]:
    return np.asarray(TOLERANCE * problem.rounding[rows] * (problem.dropped[rows] + costs))


def _slopes(
    base: Float[np.ndarray, "..."],
    costs: Float[np.ndarray, "..."],
    rounding: Float[np.ndarray, "..."],
    gains: Float[np.ndarray, "..."],
) -> Float[np.ndarray, "..."]:
    """Lower bounds on s(g), from the costs at g > 0."""
    return np.asarray((costs - base - rounding * (base + costs)) / gains)


def _parabolas(
    base: Float[np.ndarray, "..."],
    low: Float[np.ndarray, "..."],
    left: Float[np.ndarray, "..."],
    high: Float[np.ndarray, "..."],
    right: Float[np.ndarray, "..."],
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The least base + g * chord(g) for low <= g <= high, and where; the chord is `left` and `right` at the ends."""
    low, left, high, right = np.broadcast_arrays(low, left, high, right)
    rise = np.divide(right - left, high - low, out=np.zeros(low.shape), where=high > low)
    vertex = np.divide(rise * low - left, 2.0 * rise, out=np.array(low), where=rise > 0.0)
    gains = np.stack([np.clip(vertex, low, high), low, high])
    values = base + gains * (left + (gains - low) * rise)
    chosen = values.argmin(axis=0)[None]
    return np.take_along_axis(values, chosen, axis=0)[0], np.take_along_axis(gains, chosen, axis=0)[0]
