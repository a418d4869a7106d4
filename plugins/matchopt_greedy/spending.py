"""Where to write, with the hardware neuron of every row given: writes are priced until their number is allowed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import Hardware, LayerInstance, LayerMapping, best_states, kernels

MOST_PRICES = 60  # a guard; some ten are enough, as each new one is a corner of a concave function


@dataclass(frozen=True, eq=False)
class Wiring:
    """A cell for each connection of a layer, -1 for none, what is written into it, gains, and what each row costs."""

    neuron_of: np.ndarray
    cell_of: np.ndarray
    written: np.ndarray
    gain: np.ndarray
    costs: np.ndarray  # without prices
    writes: np.ndarray  # of each row

    @classmethod
    def at_price(cls, layer: LayerInstance, neuron_of: np.ndarray, price: float) -> "Wiring":
        """The best of these neurons, a write costing `price`."""
        target = layer.target
        found = matched(layer, layer.hardware, neuron_of, price)
        written = np.full(target.n_connections, np.nan) if found.written is None else found.written
        writes = np.bincount(target.row_of[~np.isnan(written)], minlength=target.n_rows)
        return cls(neuron_of, found.cell_of, written, found.gain, found.cost - price * writes, writes)

    @property
    def cost(self) -> float:
        """Of all rows."""
        return float(self.costs.sum())

    @property
    def n_writes(self) -> int:
        """In all rows."""
        return int(self.writes.sum())

    def mapping(self, layer: LayerInstance) -> LayerMapping:
        """The mapping of this wiring."""
        return LayerMapping.from_cells(layer.target, self.neuron_of, self.cell_of, self.gain, written=self.written)


def matched(layer: LayerInstance, hardware: Hardware, neuron_of: np.ndarray, price: float) -> Any:
    """The best wiring of a layer's rows on these neurons of a hardware."""
    rules, factor = layer.rules, layer.objective.importance(layer.target)
    return kernels.match_rows(
        layer.target, hardware, neuron_of, gains=rules.gains, drop=rules.drop, importance=factor, write_price=price
    )


def corner(more: Wiring, less: Wiring) -> float:
    """The price at which two wirings, the first with more writes, cost the same."""
    return (less.cost - more.cost) / (more.n_writes - less.n_writes)


def spend(layer: LayerInstance, neuron_of: np.ndarray, budget: int) -> Wiring:
    """Wire rows on their neurons with at most so many writes.

    The price is moved to where the best wirings with too many and with few enough writes cost the same: there rows may
    take either. As many take the one with more as the budget allows, and what is left is spent cell by cell.
    """
    more = Wiring.at_price(layer, neuron_of, 0.0)
    if more.n_writes <= budget:
        return more
    found = matched(layer, layer.hardware.fixed(), neuron_of, 0.0)
    nothing = np.full(layer.target.n_connections, np.nan)
    less = Wiring(neuron_of, found.cell_of, nothing, found.gain, found.cost, np.zeros(layer.n_rows, np.int64))
    for _ in range(MOST_PRICES):
        price = corner(more, less)
        between = Wiring.at_price(layer, neuron_of, price)
        if not less.n_writes < between.n_writes < more.n_writes or between.cost + price * between.n_writes >= (
            less.cost + price * less.n_writes
        ) * (1.0 - 1e-12):
            break
        more, less = (between, less) if between.n_writes > budget else (more, between)
    return _fill(layer, _mixed(layer, more, less, budget), budget)


def _mixed(layer: LayerInstance, more: Wiring, less: Wiring, budget: int) -> Wiring:
    """Rows of `more` as far as the budget goes, those with the most writes first, the others of `less`."""
    step, left = more.writes - less.writes, budget - less.n_writes
    taken = np.zeros(layer.n_rows, bool)
    for i in np.argsort(-step, kind="stable").tolist():
        if step[i] <= left and more.costs[i] < less.costs[i]:
            taken[i], left = True, left - int(step[i])
    own = taken[layer.target.row_of]
    pairs = ((own, more.cell_of, less.cell_of), (own, more.written, less.written), (taken, more.gain, less.gain))
    cell_of, written, gain = (np.where(which, a, b) for which, a, b in pairs)
    costs, writes = np.where(taken, more.costs, less.costs), np.where(taken, more.writes, less.writes)
    return Wiring(more.neuron_of, cell_of, written, gain, costs, writes)


def _fill(layer: LayerInstance, wiring: Wiring, budget: int) -> Wiring:
    """Write the cells that gain most by it where they are, until the budget is spent."""
    target, chip, left = layer.target, layer.hardware, budget - wiring.n_writes
    e = np.flatnonzero((wiring.cell_of >= 0) & np.isnan(wiring.written))
    row = target.row_of[e]
    places = (wiring.neuron_of[row], wiring.cell_of[e])
    how = {"factor": layer.objective.importance(target)[e], "gain": wiring.gain[row]}
    now, _ = best_states(chip.fixed(), *places, target.weights[e], **how)
    then, values = best_states(chip, *places, target.weights[e], **how)
    best = np.argsort(then - now, kind="stable")[:left]
    best = best[~np.isnan(values[best])]
    written, costs, writes = wiring.written.copy(), wiring.costs.copy(), wiring.writes.copy()
    written[e[best]] = values[best]
    np.add.at(costs, row[best], (then - now)[best])
    np.add.at(writes, row[best], 1)
    return Wiring(wiring.neuron_of, wiring.cell_of, written, wiring.gain, costs, writes)
