"""Cells that are hard-wired: which of them a row keeps, by the error of its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from matchopt import Hardware, LayerInstance, NetworkInstance, assign, kernels
from matchopt_reroute.switching import SINGLE, Cells, Switching
from matchopt_reroute.wiring import Unplaceable

SWITCHED = frozenset({"hard-wired", "several-cells"})  # as far as `not_switched` has nothing against it


def not_switched(instance: NetworkInstance) -> str | None:
    """Why hard-wired cells, or several for a weight, are not what switches alone can give, or None."""
    for n, layer in enumerate(instance.layers):
        chip, rules = layer.hardware, layer.rules
        if rules.cells_per_weight > 1 and not chip.hard_wired:
            return f"layer {n}: several cells per weight are switched only where they are hard-wired"
        if chip.hard_wired and ((chip.input < 0) & chip.usable).any():
            return f"layer {n}: some cells can listen to any input while others are hard-wired"
        if chip.hard_wired and chip.most_on_input > rules.cells_per_weight:
            return (
                f"layer {n}: {chip.most_on_input} cells are hard-wired to one input, and only "
                f"{rules.cells_per_weight} of them may be kept; allow as many cells per weight"
            )
        if chip.hard_wired and not rules.drop:
            return f"layer {n}: hard-wired cells are switched only where connections may be dropped"
        if chip.hard_wired and rules.gains.is_interval:
            return f"layer {n}: hard-wired cells are switched at gains of a finite set, found an interval"
    return None


@dataclass(frozen=True, eq=False)
class WiredPlacement(Switching):
    """The search on hard-wired cells.

    Parameters
    ----------
    layer : the layer.
    columns : which of its inputs are considered.
    factor : multiplies all weights, such as a fixed gain.
    threads : most threads.
    """

    layer: LayerInstance
    columns: np.ndarray
    factor: float = 1.0
    threads: int = 1

    @property
    def chip(self) -> Hardware:
        return self.layer.hardware

    def cells(self, neurons: np.ndarray) -> Cells:
        chip, number = self.chip, np.full(self.layer.target.n_inputs + 1, -1)
        number[self.columns] = np.arange(len(self.columns))
        column = number[chip.input[neurons]]
        on, off = ((self.factor * values[neurons]).astype(SINGLE) for values in (chip.weights, chip.off))
        noise = (self.factor**2 * chip.variance[neurons]).astype(SINGLE)
        place = np.broadcast_to(np.arange(chip.n_cells), column.shape)
        return Cells(place, column, on, off, noise, chip.usable[neurons] & (column >= 0))

    def leaks(self, neuron: int, input_of: np.ndarray) -> np.ndarray:
        """What a neuron's cells that are switched off add on every column: hard-wired lines are always driven."""
        cells = self.cells(np.array([neuron]))
        idle, found = (input_of < 0) & (cells.column[0] >= 0), np.zeros(len(self.columns), SINGLE)
        np.add.at(found, cells.column[0][idle], cells.off[0][idle])
        return found


class NearestSums(NamedTuple):
    """A mapping of least weight error: neurons, what their cells listen to, by column, gains; costs of all pairs."""

    neuron_of: np.ndarray
    input_of: np.ndarray
    gain: np.ndarray
    costs: np.ndarray


def nearest_sums(layer: LayerInstance, columns: np.ndarray) -> NearestSums:
    """The mapping of least weight error.

    Raises
    ------
    Unplaceable
        when there is none.
    """
    sums = kernels.HardWired(layer.target, layer.hardware, layer.rules)
    costs = sums.costs()
    neuron_of = assign(costs)
    if neuron_of is None:
        raise Unplaceable("no choice of hardware neurons gives every row cells for its connections")
    found = sums.wire(neuron_of)
    number = np.full(layer.target.n_inputs, -1)
    number[columns] = np.arange(len(columns))
    table = np.full((layer.n_rows, layer.hardware.n_cells), -1)
    table[found.row, found.cell] = number[found.input]
    return NearestSums(neuron_of, table, found.gain, costs)
