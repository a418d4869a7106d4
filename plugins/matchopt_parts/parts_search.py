"""One mapping with split rows: the neurons of every row's parts, and the part and cell of every connection."""

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Limits, Target, kernels
from matchopt_parts.layer import GAIN, some_rows

MOST_CELLS = 2**24  # of the wide neurons that one reassignment tries


def dealt(layer: LayerInstance, rng: np.random.Generator) -> np.ndarray | None:
    """Neurons for every row, the widest first, with cells enough, then one more each in turn; None where that fails."""
    target, widths = layer.target, layer.hardware.n_usable
    order = np.lexsort((rng.random(len(widths)), -widths)).tolist()
    rows = np.argsort(-target.fan_in, kind="stable").tolist()
    slots = np.full((layer.n_rows, layer.rules.neurons), -1)
    left, spare = [0 if layer.rules.drop else int(n) for n in target.fan_in], len(order)
    for p in range(slots.shape[1]):
        for place, i in enumerate(rows):
            waiting = sum(p == 0 or left[r] > 0 for r in rows[place:])
            if spare > 0 and (p == 0 or left[i] > 0 or spare > waiting):
                j = order.pop(0)
                spare -= 1
                slots[i, p] = j
                left[i] -= int(widths[j])
    return slots if max(left, default=0) <= 0 and (slots[:, 0] >= 0).all() else None


class RowParts:
    """Neurons and gains of every row's parts, and the part and cell of every connection.

    Parameters
    ----------
    layer : a layer with free routing whose error separates over connections.
    slots : neurons of every row, -1 for none, shape (rows, neurons_per_row), with cells enough.
    """

    def __init__(self, layer: LayerInstance, slots: np.ndarray) -> None:
        self.layer, self.slots = layer, slots
        target = layer.target
        self.target = Target(
            target.indptr, target.indices, target.weights, target.n_inputs, layer.objective.importance(target)
        )
        self.gain = np.full(slots.shape, layer.rules.gains.default)
        self.part = self.cell = np.zeros(0, int)
        self.total = np.inf
        self._match()

    def _wide(self, slots: np.ndarray, gain: np.ndarray) -> Hardware:
        """For each line of `slots` a neuron with the cells of all of them, scaled by their gains."""
        chip, shape = self.layer.hardware, (len(slots), slots.shape[1] * self.layer.hardware.n_cells)
        at, g = np.maximum(slots, 0), gain[:, :, None]
        usable = chip.usable[at] & (slots >= 0)[:, :, None]
        return Hardware(
            (g * chip.weights[at]).reshape(shape), (g**2 * chip.variance[at]).reshape(shape), usable.reshape(shape)
        )

    def _match(self) -> bool:
        """Deal the connections of every row to the cells of all its neurons; whether they all fit."""
        wide = self._wide(self.slots, self.gain)
        if not self.layer.rules.drop and (wide.n_usable < self.target.fan_in).any():
            return False
        every = np.arange(self.layer.n_rows)
        found = kernels.match_rows(self.target, wide, every, gains=Gains(), drop=self.layer.rules.drop)
        k = self.layer.hardware.n_cells
        self.cell = np.where(found.cell_of < 0, -1, found.cell_of % max(1, k))
        self.part = np.where(found.cell_of < 0, -1, found.cell_of // max(1, k))
        self.total = float(found.cost.sum())
        return True

    def settle(self, slots: np.ndarray) -> bool:
        """Go on from these neurons, if the rows fit."""
        before = self.slots.copy()
        self.slots[:] = slots
        fits = self._match()
        if not fits:
            self.slots[:] = before
        return fits

    def descend(self, limits: Limits) -> None:
        """Both halves by turns until neither improves."""
        while not limits.reached():
            before = self.total
            self._assign()
            for p in range(self.slots.shape[1]):
                if not limits.reached():
                    self._exchange(p)
            if self.total >= before * (1.0 - GAIN):
                return

    def _assign(self) -> None:
        """All parts to neurons, with the connections of each part fixed, then connections dealt anew."""
        rules, used = self.layer.rules, self.slots >= 0
        number = np.cumsum(used.ravel()).reshape(used.shape) - 1
        home = number[self.target.row_of, np.maximum(self.part, 0)]  # what is dropped may come back to the first part
        order = np.lexsort((self.target.indices, home))
        starts = np.concatenate([[0], np.cumsum(np.bincount(home, minlength=int(used.sum())))])
        rows = Target(starts, self.target.indices[order], self.target.weights[order], self.target.n_inputs,
                      self.target.importance[order])  # fmt: skip
        chip = self.layer.hardware
        costs = kernels.pair_costs(rows, chip, gains=rules.gains, drop=rules.drop)
        found = kernels.assign(costs)
        if found is None:
            return
        wired = kernels.match_rows(rows, chip, found, gains=rules.gains, drop=rules.drop)
        kept = self.slots.copy(), self.gain.copy(), self.total
        self.slots[used], self.gain[used] = found, wired.gain
        if not self._match() or self.total > kept[2]:
            self.slots, self.gain, _ = kept
            self._match()

    def _exchange(self, p: int) -> None:
        """Neuron `p` of every row anew, each with the connections dealt to it and the row's other neurons.

        Of a finite set every gain is tried, of an interval the present one.
        """
        free = np.setdiff1d(np.arange(self.layer.hardware.n_neurons), np.delete(self.slots, p, axis=1))
        rows, gains = np.flatnonzero(self.slots[:, p] >= 0), self.layer.rules.gains.values
        cells, fan_in, count = self.slots.shape[1] * self.layer.hardware.n_cells, self.target.fan_in, len(gains or "1")
        if not len(rows) or len(rows) * len(free) * count * (cells + int(fan_in.max(initial=0))) > MOST_CELLS:
            return
        costs, which = np.full((len(rows), len(free)), np.inf), np.zeros((len(rows), len(free)))
        for a, i in enumerate(rows.tolist()):
            tried, gain = (np.repeat(part[i : i + 1], len(free) * count, axis=0) for part in (self.slots, self.gain))
            tried[:, p] = np.repeat(free, count)
            gain[:, p] = np.tile(gains or self.gain[i, p], len(free))
            own = some_rows(self.target, np.array([i]))
            found = kernels.pair_costs(
                own, self._wide(tried, gain), gains=Gains(), drop=self.layer.rules.drop, threads=1
            )
            found = found.reshape(len(free), count)
            costs[a], which[a] = (
                found.min(axis=1),
                gain[:, p].reshape(found.shape)[np.arange(len(free)), found.argmin(axis=1)],
            )
        assigned = kernels.assign(costs)
        if assigned is not None:
            self.slots[rows, p], self.gain[rows, p] = free[assigned], which[np.arange(len(rows)), assigned]
            self._match()

    def mapping(self) -> LayerMapping:
        """The mapping as it stands."""
        rows, parts = np.nonzero(self.slots >= 0)
        number = np.cumsum((self.slots >= 0).ravel()).reshape(self.slots.shape) - 1
        place_of = number[self.target.row_of, np.maximum(self.part, 0)]
        return LayerMapping.from_cells(
            self.layer.target, self.slots[rows, parts], self.cell, self.gain[rows, parts], row=rows, place_of=place_of
        )
