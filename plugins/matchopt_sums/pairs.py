"""The pairs of rows and neurons of a layer: what they cost, and the wirings found for them."""

from dataclasses import dataclass, field
from math import comb

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, assign
from matchopt_sums.descent import all_costs, improve
from matchopt_sums.sets import MOST_BITS, best_sums, relaxed

MOST_LOOKS = 2**32  # at sums for weights, some four seconds
MOST_SUMS = 2**23  # of a neuron, all held at once: 256 MiB
MOST_TRIED = 2**34  # sets of cells with sums, of all pairs that are made exact
ROUNDING = 1e-12  # share of a bound
TOGETHER = 2**16  # pairs of a connection and a neuron between two looks at the clock


@dataclass(eq=False)
class Pairs:
    """The costs of all pairs, what they cost at least, and the wiring of those that have been improved.

    Parameters
    ----------
    layer : what is mapped.
    wired : of a pair its cost, and the connection that each cell serves, behind them the number of the gain.
    exact : pairs whose least cost is known.
    """

    layer: LayerInstance
    wired: dict[tuple[int, int], tuple[float, np.ndarray]] = field(default_factory=dict)
    exact: set[tuple[int, int]] = field(default_factory=set)

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
        self.bounds = np.zeros_like(self.costs)
        self.n_sums = [sum(comb(count, n) for n in range(1, self.sizes[1] + 1)) for count in self.n_usable.tolist()]

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

    def assigned(self) -> np.ndarray:
        """The cheapest neurons, each once."""
        neuron_of = assign(self.costs)
        assert neuron_of is not None
        return neuron_of

    def offer(self, limits: Limits) -> bool:
        """Offer the mapping with these; whether it is the best so far."""
        neuron_of = self.assigned()
        self.improve(neuron_of[:, None], 0, np.random.default_rng(0), Limits())
        return limits.offer(mapping := self.mapping(neuron_of), self.layer.value(mapping))

    def improve(self, neurons: np.ndarray, kicks: int, rng: np.random.Generator, limits: Limits) -> None:
        """Search for better wirings of every row on these neurons, into `wired`."""
        for i in range(len(neurons)):
            for j in dict.fromkeys(neurons[i].tolist()):
                known = (i, j) in self.exact or ((i, j) in self.wired and kicks == 0)
                if known or limits.reached() or not np.isfinite(self.costs[i, j]):
                    continue
                for gain in self.gains.tolist():
                    self._search(i, j, gain, kicks, int(rng.integers(2**31)))

    def _search(self, i: int, j: int, gain: float, kicks: int, seed: int) -> None:
        part, owner = self.layer.target.row(i), np.full(self.cells.shape[1], -1)
        row = (self.layer.target.weights[part].copy(), self.factor[part], self.first[part])
        chip = (self.cells[j], self.noise[j], int(self.n_usable[j]), gain)
        found = improve(*row, *chip, *self.sizes, kicks, seed, owner)
        if (i, j) not in self.wired or found < self.wired[i, j][0] * (1.0 - ROUNDING):
            self.wired[i, j] = found, np.append(owner, [self.gains.tolist().index(gain)])
            self.costs[i, j] = found

    def relax(self, limits: Limits) -> None:
        """Bound the costs of all pairs from below, those of neurons with too many sums by 0."""
        target = self.layer.target
        for j, n_sums in enumerate(self.n_sums):
            looks = n_sums * len(self.gains) * target.n_connections * len(self.n_sums)
            if n_sums <= MOST_SUMS and looks <= MOST_LOOKS and not limits.reached():
                least = np.full(self.layer.n_rows, np.inf)
                for gain in self.gains.tolist():
                    row = (target.indptr.copy(), target.weights.copy(), self.factor)
                    chip = (self.cells[j], self.noise[j], int(self.n_usable[j]), gain)
                    relaxed(*row, *chip, *self.sizes, n_sums, least)
                self.bounds[:, j] = least

    def bound(self) -> float:
        """No mapping costs less."""
        neuron_of = assign(self.bounds)
        if neuron_of is None:
            return -np.inf
        return float(self.bounds[np.arange(len(neuron_of)), neuron_of].sum()) * (1.0 - ROUNDING)

    def prove(self, limits: Limits) -> bool:
        """Whether the best neurons are found: pairs that an assignment of bounds takes are made exact by turns."""
        left = MOST_TRIED
        while (neuron_of := assign(self.bounds)) is not None:
            some = [pair for pair in enumerate(neuron_of.tolist()) if pair not in self.exact]
            for i, j in some:
                left -= int(self.layer.target.fan_in[i]) * self.n_sums[j] << int(self.n_usable[j])
                if limits.reached() or self.n_usable[j] > MOST_BITS or left < 0:
                    return False
                self._settle(i, j)
            if not some:
                return True
        return False

    def _settle(self, i: int, j: int) -> None:
        part, owner = self.layer.target.row(i), np.full(self.cells.shape[1], -1)
        row = (self.layer.target.weights[part].copy(), self.factor[part])
        for number, gain in enumerate(self.gains.tolist()):
            below = self.wired[i, j][0] if (i, j) in self.wired else np.inf
            chip = (self.cells[j], self.noise[j], int(self.n_usable[j]), gain)
            found = best_sums(*row, *chip, *self.sizes, self.n_sums[j], below, owner)
            if found < below:
                self.wired[i, j] = found, np.append(owner, [number])
        self.exact.add((i, j))
        self.costs[i, j] = self.bounds[i, j] = self.wired[i, j][0]

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
