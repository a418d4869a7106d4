"""A search of chained arrays: places of the inputs, then of each array's rows, one permutation after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import LayerInstance, NetworkInstance, NetworkMapping, kernels
from matchopt_crossbar.chain_loops import add_costs
from matchopt_crossbar.layer import FREE, limited, one_connection, scaled

LEAST = 1e-12  # relative gain of a sweep that is none
BARRED = 1e4  # what a cell out of use costs, in units of all that could be lost
OFFSETS = 0x10000  # places in a table of random numbers where noise may begin


@dataclass(frozen=True, eq=False)
class Side:
    """Connections grouped by row or by input: `other` is the end on the other side."""

    starts: np.ndarray
    other: np.ndarray
    weight: np.ndarray
    count: np.ndarray
    spill: np.ndarray


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of an array as rows find them, (lines, neurons), or inputs, (neurons, lines)."""

    on: np.ndarray
    noise: np.ndarray
    bar: np.ndarray
    off: np.ndarray


class Array:
    """One array of the chain: what its rows cost on neurons, and its inputs on lines.

    Where there are fewer lines than inputs, further ones have no usable cell.
    """

    def __init__(self, layer: LayerInstance, spare_lines: int = 0) -> None:
        self.layer, target, chip = layer, layer.target, scaled(layer)
        self.used = np.unique(target.indices)
        order = np.argsort(target.indices, kind="stable")
        count = layer.objective.importance(target)
        every = np.arange(target.n_inputs)
        self.outside = layer.objective.diagonal(target, np.full(len(every), layer.n_rows), every) * np.isin(
            every, self.used
        )
        spill = self.outside[target.indices]
        # Copies, as the loop is compiled anew for arrays that must not be written to.
        self.rows = Side(*map(np.array, (target.indptr, target.indices, target.weights, count, spill)))
        by_input = np.searchsorted(target.indices[order], np.arange(target.n_inputs + 1))
        self.inputs = Side(by_input, target.row_of[order], target.weights[order], count[order], spill[order])
        pad = ((0, 0), (0, spare_lines))
        on, noise, off = (np.pad(part, pad) for part in (chip.weights, chip.variance, chip.off))
        self.drop, self.worth = layer.rules.drop, float((count * target.weights**2).sum())
        most = float((count * (np.abs(target.weights) + np.abs(on).max(initial=0.0)) ** 2).sum())
        bar = np.where(np.pad(chip.usable, pad), 0.0, BARRED * most + 1.0)
        self.by_line = Cells(*(np.ascontiguousarray(part.T) for part in (on, noise, bar, off)))
        self.by_neuron = Cells(on, noise, bar, off)
        self.leaks = bool(np.any(off))

    def of_rows(self, line_of: np.ndarray) -> np.ndarray:
        """What every row costs on every neuron, (rows, neurons)."""
        out = np.zeros((self.layer.n_rows, self.by_line.on.shape[1]))
        if self.leaks:
            out += self.outside @ self.by_line.off[line_of] ** 2
        return self._added(out, self.rows, line_of, self.by_line)

    def of_inputs(self, neuron_of: np.ndarray) -> np.ndarray:
        """What every input costs on every line, (inputs, lines)."""
        out = np.zeros((self.layer.target.n_inputs, self.by_neuron.on.shape[1]))
        if self.leaks:
            out += self.outside[:, None] * (self.by_neuron.off[neuron_of] ** 2).sum(axis=0)
        return self._added(out, self.inputs, neuron_of, self.by_neuron)

    def cost(self, neuron_of: np.ndarray, line_of: np.ndarray) -> float:
        """What the rows cost together."""
        s, cells = self.rows, self.by_neuron
        at = neuron_of[self.layer.target.row_of], line_of[s.other]
        wired = s.count * ((s.weight - cells.on[at]) ** 2 + cells.noise[at]) + cells.bar[at]
        idle = s.count * (s.weight - cells.off[at]) ** 2 if self.drop else np.inf
        leaks = (self.outside * cells.off[np.ix_(neuron_of, line_of)] ** 2).sum() if self.leaks else 0.0
        return float(np.minimum(wired, idle).sum() + leaks - (s.spill * cells.off[at] ** 2).sum())

    def _added(self, out: np.ndarray, side: Side, place_of: np.ndarray, cells: Cells) -> np.ndarray:
        sources = place_of[side.other]
        parts = side.weight, side.count, cells.on, cells.noise, cells.bar, cells.off, side.spill
        add_costs(out, side.starts, sources, *parts, self.drop)
        return out


class Chain:
    """Places of all permutations: t = 0 those of the network's inputs, then those of each array's rows.

    A constant input of a later array is the last item of its permutation, on a line that no neuron drives.
    """

    def __init__(self, network: NetworkInstance, rng: np.random.Generator) -> None:
        self.network, self.rng = network, rng
        first, *others = network.layers
        few = max(0, first.target.n_inputs - first.hardware.n_cells)
        constant = network.biases is None
        self.arrays = [Array(first, few)]
        for before, layer in zip(network.layers, others, strict=False):
            none = constant and layer.hardware.n_cells == before.hardware.n_neurons
            self.arrays.append(Array(layer, int(none)))
        self.places, self.best, self.least = list[np.ndarray](), list[np.ndarray](), np.inf
        self.size = sum(self._barred(t).size for t in range(len(self.arrays) + 1))
        self.noise, self.units = -rng.gumbel(size=self.size + OFFSETS), dict[int, float]()
        self.start()

    def start(self) -> None:
        """Begin anew, at random."""
        tables = [self._barred(t) for t in range(len(self.arrays) + 1)]
        self.places = [_assigned(table + self.rng.random(table.shape)) for table in tables]
        if not self.best:
            self.least, self.best = self.cost(), list(self.places)

    def begin_with(self, mapping: NetworkMapping) -> None:
        """The neurons of a mapping, and the lines of the inputs that it drives."""
        lines = np.full(len(self.places[0]), -1)
        lines[mapping.layers[0].input] = mapping.layers[0].cell
        free = np.setdiff1d(np.arange(self.arrays[0].by_line.on.shape[0]), lines)
        lines[lines < 0] = free[: (lines < 0).sum()]
        self.places[0] = lines
        for t, part in enumerate(mapping.layers, 1):
            self.places[t] = np.concatenate([part.neuron_of, self.places[t][part.n_rows :]])
        self.least, self.best = self.cost(), list(self.places)

    def cost(self) -> float:
        """Of all arrays, penalties for cells out of use included."""
        return sum(
            array.cost(self.places[n + 1][: array.layer.n_rows], self.places[n]) for n, array in enumerate(self.arrays)
        )

    def sweep(self, heat: float) -> None:
        """Assign every permutation in turn, all others fixed, under noise of `heat` times a typical change."""
        for t in range(len(self.places)):
            table = self._barred(t)
            if t:
                array = self.arrays[t - 1]
                rows = array.of_rows(self.places[t - 1])
                table[: len(rows), : rows.shape[1]] += rows
            if t < len(self.arrays):
                table += self.arrays[t].of_inputs(self.places[t + 1][: self.arrays[t].layer.n_rows])
            if heat > 0.0:
                at, unit = int(self.rng.integers(OFFSETS)), self.units.setdefault(t, _typical(table))
                table += heat * unit * self.noise[at : at + table.size].reshape(table.shape)
            self.places[t] = _assigned(table)
        cost = self.cost()
        if cost < self.least:
            self.least, self.best = cost, list(self.places)

    def descend(self, stop: Callable[[], object]) -> None:
        """Sweeps without noise until none helps."""
        before = np.inf
        while (now := self.cost()) < before * (1.0 - LEAST) and not stop():
            before = now
            self.sweep(0.0)

    def mapping(self) -> NetworkMapping | None:
        """The mapping of the best places so far; None where some connection finds no cell."""
        parts = [kernels.wire_lines(array.layer, *self._lines(n)) for n, array in enumerate(self.arrays)]
        found = tuple(part for part in parts if part is not None)
        return NetworkMapping(found) if len(found) == len(parts) else None

    def prices(self, n: int) -> tuple[float, float]:
        """What one more write, and one more tunable connection, of array n would gain at the best places so far."""
        layer = self.arrays[n].layer
        return kernels.line_prices(layer, *self._lines(n)) if limited(layer) else FREE

    def _lines(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Neurons of the rows of array n, and lines of the inputs in use, at the best places so far."""
        array = self.arrays[n]
        lines = self.best[n][array.used]
        return self.best[n + 1][: array.layer.n_rows], np.where(lines < array.layer.hardware.n_cells, lines, -1)[None]

    def _barred(self, t: int) -> np.ndarray:
        """Zeros, and infinite where a row would be on no neuron's line, or a constant on one."""
        last = t == len(self.arrays)
        items = self.arrays[-1].layer.n_rows if last else self.arrays[t].layer.target.n_inputs
        lines: Any = self.arrays[-1].layer.hardware.n_neurons if last else self.arrays[t].by_line.on.shape[0]
        table = np.zeros((items, lines))
        if 0 < t < len(self.arrays):
            before = self.arrays[t - 1].layer
            table[: before.n_rows, before.hardware.n_neurons :] = np.inf
            table[before.n_rows :, : before.hardware.n_neurons] = np.inf
        return table


def _assigned(table: np.ndarray) -> np.ndarray:
    found = kernels.assign(table)
    assert found is not None  # every row has a neuron, and every input a line, usable or not
    return found


def _typical(table: np.ndarray) -> float:
    """The median change of the cost when an item moves."""
    kept = np.where(np.isfinite(table), table, np.nan)
    apart = np.abs(kept - np.nanmedian(kept, axis=1)[:, None])
    return float(np.nanmedian(apart)) or 1e-12


def compile_chain() -> None:
    """Compile the loop, on one connection."""
    target, hardware = one_connection()
    network = NetworkInstance((LayerInstance(target, hardware),), (np.zeros(1),), chained=True)
    Chain(network, np.random.default_rng(0)).sweep(0.0)
