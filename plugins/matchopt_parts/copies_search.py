"""One mapping with copies: the neurons of every row's copies, and what each realises, reassigned one by one."""

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, Target, kernels
from matchopt_parts.layer import GAIN, chosen, rows_of, some_rows


class Copies:
    """The neurons of every row's copies, and what each realises of each connection.

    Parameters
    ----------
    layer : a layer with free routing whose error separates over connections.
    """

    def __init__(self, layer: LayerInstance) -> None:
        self.layer, self.target, most = layer, layer.target, layer.rules.copies
        self.importance = layer.objective.importance(layer.target)
        self.slots = np.full((layer.n_rows, most), -1)
        self.gain = np.full((layer.n_rows, most), layer.rules.gains.default)
        self.cell = np.full((self.target.n_connections, most), -1)
        self.value, self.noise = np.zeros(self.cell.shape), np.zeros(self.cell.shape)

    @property
    def total(self) -> float:
        """The error of all rows."""
        return float(self._errors(np.zeros(self.layer.n_rows, int) - 1).sum())

    def _errors(self, without: np.ndarray, more: int = 0) -> np.ndarray:
        """Error of every row without its copy of this number, -1 for none; inf for a row without any."""
        here, e = (self.slots >= 0).astype(int), self.target.row_of
        kept = np.ones(self.slots.shape, bool)
        kept[np.arange(len(kept))[without >= 0], without[without >= 0]] = False
        count = (here * kept).sum(axis=1)
        n = np.maximum(count, 1)[e]
        mean = (self.value * kept[e]).sum(axis=1) / n
        error = self.importance * ((self.target.weights - mean) ** 2 + (self.noise * kept[e]).sum(axis=1) / n**2)
        return np.where(count > 0, np.bincount(e, error, minlength=self.layer.n_rows), np.inf)

    def descend(self, limits: Limits) -> bool:
        """Reassign one copy of all rows after the other until none improves; whether there is a mapping."""
        before = np.inf
        while True:
            for c in range(self.slots.shape[1]):
                if not self._reassign(c):
                    return False
                if limits.reached():
                    return True
            total = self.total
            if total >= before * (1.0 - GAIN) or self.slots.shape[1] == 1:
                return True
            before = total

    def _reassign(self, c: int) -> bool:
        """Copy `c` of every row, given all others; whether every row has a neuron then."""
        layer, e, m = self.layer, self.target.row_of, self.layer.n_rows
        others = np.delete(np.arange(self.slots.shape[1]), c)
        taken = self.slots[:, others]
        free = np.setdiff1d(np.arange(layer.hardware.n_neurons), taken)
        n = 1 + (taken >= 0).sum(axis=1)
        residual = n[e] * self.target.weights - self.value[:, others].sum(axis=1)
        rest = np.bincount(e, self.importance * self.noise[:, others].sum(axis=1), minlength=m)
        rows, rules = rows_of(self.target, residual, self.importance), layer.rules
        chip = chosen(layer.hardware, free)
        costs = kernels.pair_costs(rows, chip, gains=rules.gains, drop=rules.drop)
        costs = (costs + rest[:, None]) / n[:, None] ** 2
        without = self._errors(np.full(m, c))
        table = np.concatenate([costs, np.where(without < np.inf, without, np.inf)[:, None].repeat(m, axis=1)], axis=1)
        found = kernels.assign(table)
        if found is None:
            return False
        self.slots[:, c] = np.where(found < len(free), np.append(free, -1)[np.minimum(found, len(free))], -1)
        self._wire(c, rows)
        return True

    def _wire(self, c: int, rows: Target) -> None:
        """Match copy `c` of every row that has one with its neuron, by the weights of `rows`."""
        chip, rules, neurons = self.layer.hardware, self.layer.rules, self.slots[:, c]
        on = np.maximum(neurons, 0)
        used = neurons[self.target.row_of] >= 0
        keep = np.flatnonzero(neurons >= 0)
        self.cell[:, c], self.value[:, c], self.noise[:, c] = -1, 0.0, 0.0
        if not len(keep):
            return
        part = some_rows(rows, keep)
        found = kernels.match_rows(part, chip, on[keep], gains=rules.gains, drop=rules.drop)
        self.gain[keep, c] = found.gain
        cells, gain = found.cell_of, found.gain[part.row_of]
        at, wired = neurons[keep][part.row_of], cells >= 0
        self.cell[used, c] = cells
        self.value[used, c] = np.where(wired, gain * chip.weights[at, np.maximum(cells, 0)], 0.0)
        self.noise[used, c] = np.where(wired, gain**2 * chip.variance[at, np.maximum(cells, 0)], 0.0)

    def settle(self, slots: np.ndarray) -> bool:
        """Go on from these neurons, each copy wired for the target itself, if the rows fit."""
        width = np.where(slots >= 0, self.layer.hardware.n_usable[slots], np.iinfo(int).max)
        if not self.layer.rules.drop and (width < self.target.fan_in[:, None]).any():
            return False
        self.slots[:] = slots
        rows = rows_of(self.target, self.target.weights, self.importance)
        for c in range(slots.shape[1]):
            self._wire(c, rows)
        return True

    def mapping(self) -> LayerMapping:
        """The mapping as it stands."""
        rows, copies = np.nonzero(self.slots >= 0)
        spans = [self.target.row(i) for i in rows.tolist()]
        cells = [self.cell[span, c] for span, c in zip(spans, copies.tolist(), strict=True)]
        inputs = [self.target.indices[span][k >= 0] for span, k in zip(spans, cells, strict=True)]
        starts = np.cumsum([0, *(len(part) for part in inputs)])
        flat = np.concatenate([np.zeros(0, int), *(k[k >= 0] for k in cells)])
        heard = np.concatenate([np.zeros(0, int), *inputs])
        return LayerMapping(self.slots[rows, copies], starts, flat, heard, self.gain[rows, copies], row=rows)
