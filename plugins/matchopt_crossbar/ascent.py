"""The level-1 relaxation of a crossbar by dual ascent: a lower bound that is valid at any time.

What a connection costs on a cell is split between a copy that belongs to its row and one that belongs to its input.
Whatever the split, the cheapest wiring of every row on its own by the first copy, plus that of every input on its own
by the second, costs no more than any mapping. Steps move what is left over on one side to the other.

References: W. Adams, T. Johnson, "Improved linear programming-based lower bounds for the quadratic assignment problem",
DIMACS Series 16 (1994); P. Hahn, T. Grant, "Lower bounds for the quadratic assignment problem based upon a dual
formulation", Operations Research 46 (1998), 10.1287/opre.46.6.912.
"""

import math
import time
from collections.abc import Iterator

import numpy as np

from matchopt import LayerInstance, Limits
from matchopt_crossbar.ascent_loops import Potentials, Shares, ascend
from matchopt_crossbar.layer import one_connection, scaled
from matchopt_crossbar.relaxation import free_bound, transposed

MOST_ENTRIES = 2**26  # of one copy, 256 MiB in single precision
CHUNK = 2**21  # entries of costs made at once
WORTHWHILE = 1e-5  # relative gain of a step below which the ascent ends
STEPS = 20  # without a time limit
ROUNDING = 2.0**-42  # of the largest cost times the connections


def best_bound(layer: LayerInstance, limits: Limits, share: float) -> float:
    """The better of the bounds with one side wired freely and, where it fits, of the ascent.

    Parameters
    ----------
    layer : the layer.
    limits : the time there is.
    share : of the time limit, which the ascent may take.
    """
    bound = free_bound(layer, limits)
    if share > 0.0 and fits(layer) and not limits.reached():
        ascent = Ascent(layer)
        ascent.run(limits, math.inf if limits.seconds is None else share * limits.seconds)
        if not limits.reached():
            bound = max(bound, ascent.bound())
    return bound


def compile_ascent() -> None:
    """Compile the loops of the ascent, on one connection."""
    ascent = Ascent(LayerInstance(*one_connection()))
    ascent.step()
    ascent.bound()


def fits(layer: LayerInstance) -> bool:
    """Whether the ascent takes this layer: one bus, enough lines, and not too many entries."""
    chip, inputs = layer.hardware, len(np.unique(layer.target.indices))
    entries = layer.target.n_connections * chip.n_neurons * chip.n_cells
    one = len(set(chip.bus.tolist())) == 1 and inputs <= chip.n_cells
    return one and 0 < entries <= MOST_ENTRIES


class Ascent:
    """The split of all costs, and the bound it gives.

    Parameters
    ----------
    layer : a layer that `fits`; leaks are left out where nothing may be dropped.
    kind : type of float in which the copies are kept.
    """

    def __init__(self, layer: LayerInstance, kind: type = np.float32) -> None:
        self._costs = ConnectionCosts(layer)
        shape = self._costs.shape
        turned, order = transposed(layer.target)
        rows, cols = np.empty(shape, kind), np.empty((shape[0], shape[2], shape[1]), kind)
        for part, cost in self._chunks():
            rows[part] = cost / 2
            cols[part] = (cost - rows[part]).transpose(0, 2, 1)
        barred, starts = self._costs.barred, np.array(layer.target.indptr, np.int64)
        self._sides = (
            Shares(rows, cols, starts, np.arange(shape[0]), barred, np.zeros((layer.n_rows, shape[1]))),
            Shares(cols, rows, np.array(turned.indptr, np.int64), order.astype(np.int64),
                   np.ascontiguousarray(barred.T), np.zeros((turned.n_rows, shape[2]))),
        )  # fmt: skip
        self._scratch = [_scratch(side) for side in self._sides]

    @property
    def split(self) -> np.ndarray:
        """The rows' copy of what each connection costs on each cell, shape (connections, neurons, cells)."""
        return np.asarray(self._sides[0].own)

    def step(self, theta: float = 1.0) -> float:
        """Move slack from rows to inputs, then back; returns the bound, up to rounding."""
        return float(sum(ascend(side, theta, *own) for side, own in zip(self._sides, self._scratch, strict=True)))

    def run(self, limits: Limits, seconds: float, most: int | None = None) -> int:
        """Steps until so many seconds are up, or they gain little; returns how many."""
        most = most or (STEPS if math.isinf(seconds) else 10**9)
        until, before, steps = time.monotonic() + seconds, -math.inf, 0
        while steps < most and time.monotonic() < until and not limits.reached():
            value = self.step()
            steps += 1
            if value - before < WORTHWHILE * abs(value):
                break
            before = value
        return steps

    def bound(self) -> float:
        """The bound of the rows' copies as they are, whatever led to them, rounded down; >= 0.

        The inputs' copies are made anew and rounded down, so that both together are no more than the costs.
        """
        rows, cols = self._sides[0].own, self._sides[1].own
        for part, cost in self._chunks():
            rest = (cost - rows[part]).transpose(0, 2, 1)
            cols[part] = rest
            cols[part] = np.where(cols[part] > rest, np.nextafter(cols[part], cols.dtype.type(-np.inf)), cols[part])
        value = self.step(0.0)
        return float(max(0.0, value - ROUNDING * (self._costs.worst * self._costs.shape[0] + abs(value))))

    def _chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        number, *cells = self._costs.shape
        size = max(1, CHUNK // (cells[0] * cells[1]))
        for first in range(0, number, size):
            part = slice(first, min(number, first + size))
            yield part, self._costs.of(part)


class ConnectionCosts:
    """What each connection costs at least on each cell.

    Cells out of use, where nothing may be dropped, cost more than all mappings; elsewhere none is out of use.
    """

    def __init__(self, layer: LayerInstance) -> None:
        self._chip, self._drop, target = scaled(layer), layer.rules.drop, layer.target
        self._weight, self._factor = target.weights, layer.objective.importance(target)
        chip = self._chip
        self.barred = np.zeros(chip.usable.shape, bool) if self._drop else ~chip.usable
        most = float(np.abs(self._weight).max()) + float(np.abs(chip.weights).max(initial=0.0))
        self.worst = float(self._factor.max()) * (most**2 + float(chip.variance.max(initial=0.0)))
        self.shape = (len(self._weight), *chip.weights.shape)

    def of(self, part: slice) -> np.ndarray:
        """The costs of these connections, shape (connections, neurons, cells)."""
        chip, weight = self._chip, self._weight[part][:, None, None]
        error = (weight - chip.weights) ** 2 + chip.variance
        if self._drop:
            dropped = np.minimum(weight**2, (weight - chip.off) ** 2) if np.any(chip.off) else weight**2
            error = np.where(chip.usable, np.minimum(error, dropped), dropped)
        cost: np.ndarray = self._factor[part][:, None, None] * error
        cost[:, self.barred] = 4.0 * self.worst * self.shape[0]
        return cost


def _scratch(side: Shares) -> tuple[object, ...]:
    n_items, n_places = side.least.shape
    most, n_partners = int(np.diff(side.start).max(initial=1)), side.own.shape[2]
    inner, outer = Potentials.of(max(most, n_partners)), Potentials.of(max(n_items, n_places))
    return inner, outer, np.zeros((most, n_partners)), np.zeros((n_places, most)), np.zeros((n_places, n_partners))
