"""The level-1 relaxation of a crossbar by dual ascent: a lower bound that is valid at any time.

What a connection costs on a cell is split between a copy that belongs to its row and one that belongs to its input.
Whatever the split, the cheapest wiring of every row on its own by the first copy, plus that of every input on its own
by the second, costs no more than any mapping. Steps move what is left over on one side to the other.

References: W. Adams, T. Johnson, "Improved linear programming-based lower bounds for the quadratic assignment problem",
DIMACS Series 16 (1994); P. Hahn, T. Grant, "Lower bounds for the quadratic assignment problem based upon a dual
formulation", Operations Research 46 (1998), 10.1287/opre.46.6.912.
"""

import math
from collections.abc import Callable

import numpy as np

from matchopt import LayerInstance, Limits, best_states, kernels
from matchopt_crossbar.ascent_loops import Potentials, Side, keep, share_out
from matchopt_crossbar.layer import FREE, one_connection, places, spent
from matchopt_crossbar.relaxation import free_bound, transposed
from matchopt_crossbar.smoothing import smooth

MOST_ENTRIES = 2**26  # of what both sides keep, 256 MiB in single precision
PARTS = (1.0, 0.3, 0.1, 0.03, 0.01)  # of prices, for the bound
WORTHWHILE = 1e-4  # relative gain of a step below which the ascent ends
FIRST, LAST, ENOUGH = 0.02, 0.1, 9.0  # parts of the time before and after smooth steps, and passes that they take
STEPS, SMOOTH_STEPS, WORK = 20, 120, 2**31  # at most, and costs made where there is no time limit
ROUNDING = 2.0**-42  # of the largest cost times the connections


def best_bound(layer: LayerInstance, limits: Limits, share: float, prices: tuple[float, float] = FREE) -> float:
    """The better of the bounds with one side wired freely and, where it fits, of the ascent.

    Parameters
    ----------
    layer : the layer.
    limits : the time there is.
    share : of the time limit, which the ascent may take.
    prices : of a write and of a tuned connection, where their number is limited; in the relaxation, whose errors are
        smaller, both are worth less, so shares of them are tried.
    """
    tried = [FREE] if prices == FREE else [(part * prices[0], part * prices[1]) for part in PARTS]
    bounds = [0.0 if limits.reached() and n else free_bound(layer, limits, each) for n, each in enumerate(tried)]
    bound, prices = max(zip(bounds, tried, strict=True))
    if share > 0.0 and math.isfinite(spent(layer, prices)) and fits(layer) and not limits.reached():
        seconds = math.inf if limits.seconds is None else share * limits.seconds
        bound = max(bound, Ascent(layer, prices).run(limits, seconds))
    return bound


def compile_ascent() -> None:
    """Compile the loops of the ascent, on one connection."""
    ascent = Ascent(LayerInstance(*one_connection()))
    ascent.step()
    ascent.smooth(1)


def fits(layer: LayerInstance) -> bool:
    """Whether the ascent takes this layer: one bus, enough lines, and not too many entries."""
    chip, inputs = layer.hardware, len(np.unique(layer.target.indices))
    entries = (layer.n_rows + inputs) * chip.n_neurons * chip.n_cells
    one = len(set(chip.bus.tolist())) == 1 and inputs <= chip.n_cells
    return one and 0 < entries <= MOST_ENTRIES


class Ascent:
    """What each side keeps of all costs, and the bound it gives.

    Each side keeps potentials of one place, and of a place and a partner; the other side has the rest of the costs,
    which are made anew when they are needed. So memory is small.

    Parameters
    ----------
    layer : a layer that `fits`; leaks are left out where nothing may be dropped.
    prices : of a write and of a tuned connection; bounds take off what the limits allow at these prices.
    """

    def __init__(self, layer: LayerInstance, prices: tuple[float, float] = FREE) -> None:
        self._costs, self._less = ConnectionCosts(layer), spent(layer, prices)
        # What is kept is in single precision, whose range costs may leave; a power of two changes no digit.
        self._unit = 2.0 ** math.floor(math.log2(self._costs.worst)) if self._costs.worst else 1.0
        barred = 4.0 * (self._costs.worst / self._unit) * self._costs.shape[0]
        self._layer, self._sides = layer, _sides(layer, self._unit, barred, prices)
        self._values, self._turn, self._slowest = [0.0, 0.0], 0, 0.0

    @property
    def split(self) -> np.ndarray:
        """The rows' share of what connections cost on each cell, shape (connections, neurons, cells); no prices."""
        cols = self._sides[1]
        kept = cols.price[:, None, :] + cols.fare.astype(np.float64)[self._sides[0].met]
        return np.asarray(self._costs.of(slice(None)) - self._unit * kept)

    @property
    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        """What inputs keep, for a proof: by connection and line, and (<= 0) by input, neuron and line."""
        return self._unit * self._sides[1].price, self._unit * self._sides[1].fare.astype(np.float64)

    def step(self) -> float:
        """Let rows keep what they need, and inputs what is left; returns the bound, up to rounding."""
        for _ in (0, 1):
            self._pass(lambda: False)
        return self._value

    def smooth(self, steps: int, progress: Callable[[], float] = float) -> None:
        """Begin anew with what inputs keep after so many steps of the smoothed relaxation; see `smoothing.smooth`."""
        value = sum(self._values)
        smooth(self._sides, (value if value > 0.0 else 1.0) / self._costs.shape[0], progress, steps)
        self._values, self._turn = [0.0, float(share_out(self._sides[1], _scratch(self._sides[1])[1]))], 0

    def run(self, limits: Limits, seconds: float) -> float:
        """Steps, smooth ones if enough of them fit, and steps again, for so many seconds or until they gain little.

        Returns the best bound, rounded down; >= 0.
        """
        left, timed = limits.remaining(), math.isfinite(seconds)
        many = max(1, WORK // math.prod(self._costs.shape))

        def up() -> float:
            if limits.reached():
                return 1.0
            return min(1.0, (left - limits.remaining()) / seconds) if timed else 0.0

        steps = (10**9, SMOOTH_STEPS) if timed else (min(STEPS, many), min(SMOOTH_STEPS // 2, 4 * many))
        best = self._climb(up, FIRST, min(STEPS, steps[0]))
        end = 1.0 - max(LAST, 4.0 * self._slowest)  # what a smooth step and two sides take
        if sum(self._values) > 0.0 and up() + ENOUGH * self._slowest < end:
            self.smooth(steps[1], lambda: up() / end)
        return self._rounded(max(best, self._climb(up, 1.0, steps[0])))

    def bound(self) -> float:
        """The bound as things are, rounded down; >= 0."""
        return self._rounded(self._value)

    @property
    def _value(self) -> float:
        return self._unit * math.fsum(self._values) - self._less

    def _climb(self, up: Callable[[], float], until: float, most: int) -> float:
        """Steps until that part of the time is up, one side at least if there is time, or they gain little.

        A side is given up in the middle only where all time is up, as what it keeps is then worth nothing.
        """
        best = -math.inf
        for _ in range(most):
            before = best
            for _ in (0, 1):
                began = up()
                if (began >= until and best > -math.inf) or not self._pass(lambda: up() >= 1.0):
                    return best
                best, self._slowest = max(best, self._value), max(self._slowest, up() - began)
            if best - before <= WORTHWHILE * abs(best):  # nothing more, at 0 too
                break
        return best

    def _pass(self, late: Callable[[], bool]) -> bool:
        side, other = self._sides[self._turn], self._sides[1 - self._turn]
        inner, outer, block = _scratch(side)
        for a in range(len(side.least)):
            keep(side, other, a, block, inner)
            if late():
                return False
        self._values[self._turn] = float(share_out(side, outer))
        self._turn = 1 - self._turn
        return True

    def _rounded(self, value: float) -> float:
        return float(max(0.0, value - ROUNDING * (self._costs.worst * self._costs.shape[0] + abs(value) + self._less)))


def _sides(layer: LayerInstance, unit: float, barred: float, prices: tuple[float, float]) -> tuple[Side, Side]:
    """Rows and inputs, which keep nothing yet; costs count in `unit`, as `barred` does."""
    turned, order = transposed(layer.target)
    chip, gains = layer.hardware, layer.rules.gains
    ends = np.array(gains.values if gains.values is not None else (gains.low, gains.high), float)
    weight, factor = layer.target.weights, layer.objective.importance(layer.target) / unit
    order = order.astype(np.int64)
    input_of = np.empty(len(weight), np.int64)
    input_of[order] = turned.row_of
    ranges, plain, made = kernels.written_ranges(chip), bool(chip.usable.all()) and not np.any(chip.off), []
    usual = plain and not gains.is_interval and len(ends) == 1 and not len(ranges[0])
    for starts, listed, met, turn in ((layer.target.indptr, np.arange(len(weight)), input_of, False),
                                      (turned.indptr, order, layer.target.row_of, True)):  # fmt: skip
        given = (chip.weights, chip.variance, chip.off, chip.usable, *ranges)
        parts = [np.array(np.swapaxes(part, -2, -1) if turn else part, order="C") for part in given]
        items, (places, partners) = len(starts) - 1, parts[0].shape
        made.append(Side._make([
            np.array(starts, np.int64), listed, np.array(weight), np.array(factor), np.array(met, np.int64), *parts,
            ends, gains.is_interval, layer.rules.drop, plain, usual, barred, *(price / unit for price in prices),
            np.zeros((len(weight), places)),
            np.zeros((items, partners, places), np.float32), np.zeros((items, places)),
        ]))  # fmt: skip
    return made[0], made[1]


class ConnectionCosts:
    """What each connection costs at least on each cell, whatever gain its row has.

    Cells out of use, where nothing may be dropped, cost more than all mappings; elsewhere none is out of use.
    """

    def __init__(self, layer: LayerInstance) -> None:
        self._chip, self._rules, target = layer.hardware, layer.rules, layer.target
        self._weight, self._factor = target.weights, layer.objective.importance(target)
        chip, gains = self._chip, layer.rules.gains
        self.barred = np.zeros(chip.usable.shape, bool) if layer.rules.drop else ~chip.usable
        ends = gains.values if gains.values is not None else (gains.low, gains.high)
        largest = float(np.abs(np.array(ends, float)).max())
        values, spreads = (chip.weights, chip.low, chip.high, chip.levels), (chip.variance, chip.write_variance)
        most = float(np.abs(self._weight).max()) + largest * max(_largest(part) for part in values)
        spread = max(_largest(part) for part in (*spreads, chip.level_variance))
        self.worst = float(self._factor.max()) * (most**2 + largest**2 * spread)
        self.shape = (len(self._weight), *chip.weights.shape)

    def of(self, part: slice) -> np.ndarray:
        """The costs of these connections, shape (connections, neurons, cells)."""
        chip, gains, weight = self._chip, self._rules.gains, self._weight[part][:, None, None]
        if gains.values is None:  # every cell has a gain that suits it best
            on, off = self._fitted(weight, chip.weights, chip.variance), self._fitted(weight, chip.off, 0.0)
            return self._priced(part, on, off)
        return np.asarray(np.minimum.reduce([self._priced(part, gain, gain) for gain in gains.values]))

    def at(self, part: slice, gain: float) -> np.ndarray:
        """The same at one gain, on lines that are driven."""
        return self._priced(part, gain, gain, silent=False)

    def wired(self, part: slice, gain: float | np.ndarray) -> np.ndarray:
        """The costs of connections that are not dropped, importance apart; inf where a cell is out of use."""
        neurons, cells = places(self._chip)
        return best_states(self._chip, neurons, cells, self._weight[part][:, None, None], gain=gain)[0]

    def _priced(self, part: slice, on: float | np.ndarray, off: float | np.ndarray, silent: bool = True) -> np.ndarray:
        weight, chip = self._weight[part][:, None, None], self._chip
        error = self.wired(part, on)
        if self._rules.drop:
            error = np.minimum(error, weight**2) if silent or not np.any(chip.off) else error
            error = np.minimum(error, (weight - off * chip.off) ** 2) if np.any(chip.off) else error
        cost: np.ndarray = self._factor[part][:, None, None] * np.where(np.isinf(error), 0.0, error)
        cost[:, self.barred] = 4.0 * self.worst * self.shape[0]
        return cost

    def _fitted(self, weight: np.ndarray, cell: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
        power, gains = cell**2 + noise, self._rules.gains
        best = np.divide(weight * cell, power, out=np.zeros(np.broadcast(weight, cell).shape), where=power > 0.0)
        return np.asarray(np.clip(best, gains.low, gains.high))


def _largest(part: np.ndarray) -> float:
    return float(np.nanmax(np.abs(part), initial=0.0))


def _scratch(side: Side) -> tuple[Potentials, Potentials, np.ndarray]:
    (n_items, n_places), n_partners = side.least.shape, side.cells.shape[1]
    most = int(np.diff(side.start).max(initial=1))
    inner, outer = Potentials.of(max(most, n_partners)), Potentials.of(max(n_items, n_places))
    return inner, outer, np.zeros((most, n_partners))
