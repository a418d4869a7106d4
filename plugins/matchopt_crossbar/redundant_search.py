"""One mapping with several lines of an input, and several neurons of a row, reassigned one by one."""

from itertools import product
from typing import Any

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, assign
from matchopt_crossbar.redundant_costs import Cells, least, patterns

BARRED = 1e9  # of what all connections count for: what is not there
SPARE = 1e-9  # of the same: an input that gains nothing from a further line leaves it to others
LEAST = 0.01  # of what a row counts for: the least change of the error that is taken for a typical one
GAIN = 1e-9  # relative improvement of a turn below which a descent ends
MOST_ENTRIES = 2**21  # of costs of pairs on places that are made at once


class Redundancy:
    """The neurons of every row, the lines of every input on every bus, and the costs of changing one of each.

    Pairs are connections; where cells leak on shared lines all rows with all inputs that have connections.

    Parameters
    ----------
    layer : the layer, with a finite set of gains.
    rng : source of randomness.
    """

    def __init__(self, layer: LayerInstance, rng: np.random.Generator) -> None:
        target, chip, rules = layer.target, layer.hardware, layer.rules
        self.layer, self._rng, self._gains = layer, rng, np.array(rules.gains.values)
        self.inputs, heard = np.unique(target.indices, return_inverse=True)
        self._bus = np.unique(chip.bus, return_inverse=True)[1]
        m, n = layer.n_rows, len(self.inputs)
        self.row, self.input, self.weight = target.row_of, heard, np.array(target.weights)
        self.inside = np.ones(len(heard), np.int64)
        if not chip.free_routing and np.any(chip.off):
            self.row, self.input = np.divmod(np.arange(m * n), n)
            at = target.row_of * n + heard
            self.weight, self.inside = np.zeros(m * n), np.zeros(m * n, np.int64)
            self.weight[at], self.inside[at] = target.weights, 1
        self.factor = layer.objective.diagonal(target, self.row, self.inputs[self.input])
        lines, self._whole = (
            min(rules.cells_per_weight, chip.n_cells),
            float((self.factor * self.weight**2).sum()) or 1.0,
        )
        self._ways, self._allowed = patterns(rules, lines)
        self.neuron, self.gain = np.full((m, rules.neurons), -1), np.full((m, rules.neurons), rules.gains.default)
        self.line = np.full((self._bus.max() + 1, n, lines), -1)
        self.best_value, self._best = np.inf, (self.neuron, self.gain, self.line)
        self.start()

    def start(self) -> None:
        """Begin anew with one random neuron for every row and one random line for every input, keeping the best."""
        (m, n), cells = (len(self.neuron), len(self.inputs)), self.layer.hardware.n_cells
        self.neuron[:], self.line[:] = -1, -1
        self.neuron[:, 0] = self._rng.permutation(self.layer.hardware.n_neurons)[:m]
        for line in self.line:
            line[: min(n, cells), :1] = self._rng.permutation(cells)[:n, None]
        self._keep()

    @property
    def unit(self) -> float:
        """A typical change of the error when one row moves, for temperatures."""
        table, _ = self._row_table(0, np.arange(self.layer.hardware.n_neurons))
        allowed = table < BARRED * self._whole
        means = np.where(allowed, table, 0.0).sum(axis=1) / np.maximum(allowed.sum(axis=1), 1)
        apart = np.abs(table - means[:, None])[allowed]
        return max(float(np.median(apart)) if len(apart) else 0.0, LEAST * self._whole / len(table))

    @property
    def total(self) -> float:
        """The error of the mapping, with all lines driven that inputs have."""
        return float(self._fixed_costs(np.ones(self.neuron.shape, bool)).sum())

    def perturb(self, rounds: int, heat: float, ratio: float) -> float:
        """Reassign everything in turn under Gumbel noise, so many times; returns the last temperature.

        Parameters
        ----------
        rounds : turns of all neurons and lines.
        heat : factor of the noise.
        ratio : what it is multiplied by after each round.
        """
        for _ in range(rounds):
            for c in range(self.neuron.shape[1]):
                self._assign_rows(c, heat)
            for b, slot in product(range(self.line.shape[0]), range(self.line.shape[2])):
                self._assign_inputs(b, slot, heat)
            self._keep()
            heat *= ratio
        return heat

    def descend(self, limits: Limits) -> None:
        """Reassign everything in turn, from the best mapping, until that improves nothing or the time is up."""
        self.neuron, self.gain, self.line = (part.copy() for part in self._best)
        before = np.inf
        while not limits.reached() and self.best_value < before - GAIN * self._whole:
            before = self.best_value
            self.perturb(1, 0.0, 1.0)

    def _keep(self) -> None:
        total = self.total
        if total < self.best_value:
            self.best_value, self._best = total, (self.neuron.copy(), self.gain.copy(), self.line.copy())

    def _share(self, count: Any) -> Any:
        """What a neuron's outputs are multiplied by where so many serve a row."""
        return 1.0 / np.maximum(count, 1) if self.layer.rules.copies > 1 else np.ones(np.shape(count))

    def _cells(self, e: Any, neuron: Any, line: Any, factor: Any) -> Cells:
        """What cells of pairs add where they are on, and off; arrays are broadcast."""
        chip, there = self.layer.hardware, (neuron >= 0) & (line >= 0)
        j, k = np.maximum(neuron, 0), np.maximum(line, 0)
        while e.ndim < there.ndim:
            e = e[..., None]
        heard = (self.inside[e] > 0) | self._listens()[self._bus[j], self.input[e]]
        off = factor * np.where(there & heard, chip.off[j, k], 0.0)
        on = np.where(there, factor * chip.weights[j, k] - off, 0.0)
        barred = BARRED * self._whole * ~(there & chip.usable[j, k])
        return Cells(on, self.factor[e] * factor**2 * np.where(there, chip.variance[j, k], 0.0) + barred, off)

    def _listens(self) -> Any:
        """Whether a connection of an input is on a bus, shape (buses, inputs)."""
        found = np.zeros(self.line.shape[:2], bool)
        rows, x = self.row[self.inside > 0], self.input[self.inside > 0]
        for neurons in self.neuron[rows].T:
            found[self._bus[neurons[neurons >= 0]], x[neurons >= 0]] = True
        return found

    def _fixed(self, e: Any, here: Any, more: int = 0) -> Cells:
        """The cells of pairs as they are, shape (pairs, neurons of a row, lines), those of the neurons `here`.

        Rows are to have so many `more` neurons.
        """
        neuron = np.where(here, self.neuron, -1)
        factor = self._share((neuron >= 0).sum(axis=1) + more)[:, None] * self.gain
        j = neuron[self.row[e]]
        line = self.line[self._bus[np.maximum(j, 0)], self.input[e, None]]
        return self._cells(e, j[:, :, None], line, factor[self.row[e]][:, :, None])

    def _penalty(self, e: Any, present: Any) -> Any:
        """What each way to serve pairs is charged beside its cells, where rows have the neurons that are present."""
        mask = (present * 2 ** np.arange(present.shape[1])).sum(axis=1)
        return BARRED * self._whole * ~self._allowed[self.inside[e], mask[self.row[e]]]

    def _fixed_costs(self, here: Any) -> Any:
        """The cost of every pair, with the neurons `here` of each row only."""
        every = np.arange(len(self.row))
        penalty = self._penalty(every, here & (self.neuron >= 0))
        cost, _ = least(self.weight, self.factor, penalty, self._fixed(every, here), None, self._ways)
        return cost[:, 0]

    def _row_table(self, c: int, free: Any) -> tuple[Any, Any]:
        """What every row costs with each of these neurons as its number `c`, and the best gain."""
        others = (np.arange(self.neuron.shape[1]) != c) & (self.neuron >= 0)
        present, factor = others.copy(), self._share(others.sum(axis=1) + 1)
        present[:, c] = True
        table = np.zeros((len(self.neuron), len(free)))
        chosen = np.full(table.shape, self._gains[0])
        varied, other = self._ways[:, c], self._ways & (np.arange(self._ways.shape[1])[:, None] != c)
        most, step = np.full(table.shape, np.inf), max(1, MOST_ENTRIES // max(1, len(free) * self.line.shape[2]))
        for gain in self._gains:
            table = np.zeros(table.shape)
            for e in np.split(np.arange(len(self.row)), range(step, len(self.row), step)):
                fixed = self._fixed(e, others, more=1)
                line = self.line[self._bus[free][None, :], self.input[e][:, None]]
                moved = self._cells(e, free[None, :, None], line, gain * factor[self.row[e]][:, None, None])
                cost, _ = least(self.weight[e], self.factor[e], self._penalty(e, present), fixed, moved, other, varied)
                table += _summed(cost, self.row[e], len(table))
            chosen, most = np.where(table < most, gain, chosen), np.minimum(table, most)
        return most, chosen

    def _assign_rows(self, c: int, heat: float) -> None:
        """Give every row the neuron that is best as its number `c`, or none, with all else as it is."""
        others = np.delete(self.neuron, c, axis=1)
        free = np.setdiff1d(np.arange(self.layer.hardware.n_neurons), others)
        if len(free) == 0:  # all neurons are other numbers of rows, and no row has one as this
            return
        table, gains = self._row_table(c, free)
        without = _summed(self._fixed_costs(np.arange(self.neuron.shape[1]) != np.full((len(others), 1), c))[:, None],
                          self.row, len(others))  # fmt: skip
        without[(others < 0).all(axis=1)] = np.inf
        found = self._assigned(table, without, heat)
        has = found < len(free)
        self.neuron[:, c] = np.where(has, free[np.minimum(found, len(free) - 1)], -1)
        self.gain[has, c] = gains[has, found[has]]

    def _assign_inputs(self, b: int, slot: int, heat: float) -> None:
        """Give every input the line that is best as its number `slot` on bus `b`, or none, with all else as it is."""
        taken = np.delete(self.line[b], slot, axis=1)
        free = np.append(np.setdiff1d(np.arange(self.layer.hardware.n_cells), taken), -1)
        here = (self.neuron >= 0) & (self._bus[np.maximum(self.neuron, 0)] == b)
        pairs = np.flatnonzero(here.any(axis=1)[self.row])
        table = np.zeros((len(self.inputs), len(free)))
        table[:, :-1] = SPARE * self._whole * (slot > 0)
        every, step = np.ones(self.neuron.shape, bool), max(1, MOST_ENTRIES // (len(free) * self.neuron.shape[1]))
        factor = self._share((self.neuron >= 0).sum(axis=1))[:, None] * self.gain
        varied, other = self._ways[:, :, slot], self._ways & (np.arange(self._ways.shape[2]) != slot)
        for e in np.split(pairs, range(step, len(pairs), step)):
            j, on = self.neuron[self.row[e]], here[self.row[e]]
            line = np.where(on, -1, self.line[self._bus[np.maximum(j, 0)], self.input[e][:, None], slot])
            line = np.where(on[:, None, :], free[None, :, None], line[:, None, :])
            moved = self._cells(e, j[:, None, :], line, factor[self.row[e]][:, None, :])
            fixed = self._fixed(e, every).without(np.arange(self._ways.shape[2]) == slot)
            cost, _ = least(
                self.weight[e], self.factor[e], self._penalty(e, self.neuron >= 0), fixed, moved, other, varied
            )
            table += _summed(cost, self.input[e], len(table))
        found = self._assigned(table[:, :-1], table[:, -1:], heat)
        self.line[b, :, slot] = free[np.minimum(found, len(free) - 1)]

    def _assigned(self, table: Any, without: Any, heat: float) -> Any:
        """The cheapest assignment under noise, numbers beyond the table's columns for nothing."""
        costs = np.concatenate([table, np.repeat(without, len(table), axis=1)], axis=1)
        if heat > 0.0:
            costs = costs - heat * self._rng.gumbel(size=costs.shape)
        found = assign(costs)
        assert found is not None  # all as it is would do
        return found

    def mapping(self) -> LayerMapping | None:
        """The best mapping, None where it breaks a rule."""
        if self.best_value >= 0.5 * BARRED * self._whole:
            return None
        self.neuron, self.gain, self.line = (part.copy() for part in self._best)
        every = np.arange(len(self.row))
        penalty = self._penalty(every, self.neuron >= 0)
        _, way = least(self.weight, self.factor, penalty, self._fixed(every, self.neuron > -2), None, self._ways)
        rows, numbers = np.nonzero(self.neuron >= 0)
        place = np.full(self.neuron.shape, -1)
        place[rows, numbers] = np.arange(len(rows))
        e, c, slot = np.nonzero(self._ways[way[:, 0]])
        on = place[self.row[e], c]
        cell = self.line[self._bus[self.neuron[self.row[e], c]], self.input[e], slot]
        order = np.lexsort((cell, on))
        starts = np.concatenate([[0], np.cumsum(np.bincount(on, minlength=len(rows)))])
        heard = self.inputs[self.input[e]]
        return LayerMapping(
            self.neuron[rows, numbers], starts, cell[order], heard[order], self.gain[rows, numbers], row=rows
        )


def _summed(costs: Any, item: Any, n_items: int) -> Any:
    """Sums of the pairs' costs over items, shape (items, places)."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(item)), (item, np.arange(len(item)))), shape=(n_items, len(item))) @ costs
