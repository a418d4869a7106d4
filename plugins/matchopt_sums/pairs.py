"""The pairs of rows and neurons of a layer: what they cost, and the wirings found for them."""

from dataclasses import dataclass, field

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits
from matchopt_sums.descent import all_costs, improve

TOGETHER = 2**16  # pairs of a connection and a neuron between two looks at the clock


@dataclass(eq=False)
class Pairs:
    """The costs of all pairs, and the wiring of those that have been improved.

    Parameters
    ----------
    layer : what is mapped.
    wired : of a pair its cost, and the connection that each cell serves, behind them the number of the gain.
    """

    layer: LayerInstance
    wired: dict[tuple[int, int], tuple[float, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        layer, chip, target = self.layer, self.layer.hardware, self.layer.target
        self.order = np.argsort(np.where(chip.usable, chip.weights, np.inf), axis=1, kind="stable")
        self.cells = np.take_along_axis(chip.weights, self.order, axis=1)
        self.noise = np.take_along_axis(np.array(chip.variance), self.order, axis=1)
        self.n_usable = np.array(chip.n_usable, np.int64)
        self.factor = np.array(layer.objective.importance(target), float)
        largest = np.lexsort((-np.abs(target.weights) * np.sqrt(self.factor), target.row_of))
        self.first = largest - np.repeat(target.indptr[:-1], target.fan_in)
        self.gains = np.array(layer.rules.gains.values)
        self.sizes = (0 if layer.rules.drop else 1, min(layer.rules.cells_per_weight, chip.n_cells))
        self.costs = np.full((layer.n_rows, chip.n_neurons), np.inf)

    def fill(self, limits: Limits) -> bool:
        """Find the costs of all pairs; False where time is up before."""
        target, m = self.layer.target, self.layer.n_rows
        step = max(1, TOGETHER * m // max(1, target.n_connections * self.costs.shape[1]))
        for i in range(0, m, step):
            if limits.reached():
                return False
            starts, part = target.indptr[i : i + step + 1].copy(), self.costs[i : i + step]
            chip = (self.cells, self.noise, self.n_usable, self.gains, *self.sizes)
            all_costs(starts, target.weights.copy(), self.factor, self.first, *chip, part)
        return True

    def improve(self, neurons: np.ndarray, kicks: int, rng: np.random.Generator, limits: Limits) -> bool:
        """Search for better wirings of every row on these neurons, into `wired`; whether any was found."""
        gained = False
        for i in range(len(neurons)):
            for j in dict.fromkeys(neurons[i].tolist()):
                known = (i, j) in self.wired
                if (known and (kicks == 0 or limits.reached())) or not np.isfinite(self.costs[i, j]):
                    continue
                for gain in self.gains.tolist():
                    gained |= self._search(i, j, gain, kicks, int(rng.integers(2**31)))
        return gained

    def _search(self, i: int, j: int, gain: float, kicks: int, seed: int) -> bool:
        part, owner = self.layer.target.row(i), np.full(self.cells.shape[1], -1)
        row = (self.layer.target.weights[part].copy(), self.factor[part], self.first[part])
        chip = (self.cells[j], self.noise[j], int(self.n_usable[j]), gain)
        found = improve(*row, *chip, *self.sizes, kicks, seed, owner)
        known = (i, j) in self.wired
        if known and found >= self.wired[i, j][0] * (1.0 - 1e-12):
            return False
        self.wired[i, j] = found, np.append(owner, [self.gains.tolist().index(gain)])
        self.costs[i, j] = found
        return known

    def mapping(self, neuron_of: np.ndarray) -> LayerMapping:
        """The mapping with these neurons and the wirings found for them."""
        target, cells, inputs, counts, gain = self.layer.target, [], [], [0], []
        for i, j in enumerate(neuron_of.tolist()):
            owner = self.wired[i, j][1]
            at = np.flatnonzero(owner[:-1] >= 0)
            cells.append(self.order[j, at])
            inputs.append(target.indices[target.row(i)][owner[at]])
            counts.append(len(at))
            gain.append(self.gains[owner[-1]])
        none = np.zeros(0, np.int64)
        wires = np.concatenate([none, *cells]), np.concatenate([none, *inputs])
        return LayerMapping(neuron_of, np.cumsum(counts), *wires, np.array(gain, float))
