"""Rows on neurons that share lines: which of their cells are switched on, and which inputs change their lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import Hardware, kernels
from matchopt_reroute.buses import Buses
from matchopt_reroute.switching import LEAST, SINGLE, Cells, Switching, as_mask, ranges_of

MOST_VISITS = 20  # times that each input is tried on each line
PARTS = 20  # of the exchanges on a bus, between two looks at the clock
TOUCHED, PASSED = 3000.0, 10.0  # nanoseconds of an exchange for a row that feels it, and for one that does not


@dataclass(frozen=True, eq=False)
class LinePlacement(Switching):
    """The search on columns that are on lines already.

    Parameters
    ----------
    buses : the layer's buses.
    line_of : the line of every column on every bus, -1 for none.
    factor : multiplies all weights, such as a fixed gain.
    threads : most threads.
    """

    buses: Buses
    line_of: np.ndarray
    factor: float = 1.0
    threads: int = 1

    @property
    def chip(self) -> Hardware:
        return self.buses.layer.hardware

    def cells(self, neurons: np.ndarray) -> Cells:
        chip, line = self.chip, self.line_of[self.buses.of_neuron[neurons]]
        has, at = line >= 0, (neurons[:, None], np.maximum(line, 0))

        def taken(values: np.ndarray, factor: float) -> np.ndarray:
            return np.where(has, factor * values[at], 0.0).astype(SINGLE)

        values = taken(chip.weights, self.factor), taken(chip.off, self.factor), taken(chip.variance, self.factor**2)
        return Cells(line, np.broadcast_to(np.arange(line.shape[1]), line.shape), *values, has & chip.usable[at])


def exchanged(
    placement: LinePlacement,
    errors: kernels.RowErrors,
    neuron_of: np.ndarray,
    factor: np.ndarray,
    scales: kernels.Scales,
    input_of: np.ndarray,
    *,
    inputs: np.ndarray | None,
    work: float,
    seed: int,
    stop: Callable[[], bool],
) -> tuple[np.ndarray, np.ndarray]:
    """Lines after random exchanges by which all rows of a bus together gain, and what the cells then listen to.

    Parameters
    ----------
    placement : the lines to begin with; its own factor plays no part.
    errors, neuron_of, scales, inputs, stop : as for `LinePlacement.improve`.
    factor : multiplies the weights of each row's neuron.
    input_of : what the cells listen to, (rows, cells); on leaky buses somebody to every input that has a line.
    work : about how many nanoseconds to spend.
    seed : of the random inputs and lines.
    """
    buses, line_of = placement.buses, placement.line_of.copy()
    chip, n, packed = buses.layer.hardware, errors.linear.shape[1], errors.compiled
    states = as_mask(input_of, n).astype(SINGLE)  # 1 where a row listens to a column
    bus_of, (ranges, _) = buses.of_neuron[neuron_of], ranges_of(errors, scales)
    must = np.zeros((len(neuron_of), n), bool) if errors.required is None else errors.required
    may = np.ones_like(must) if inputs is None else as_mask(inputs, n)
    present = np.unique(bus_of)
    for b in present:
        rows = np.flatnonzero(bus_of == b)
        on, by = neuron_of[rows], factor[rows, None]
        values = [by * chip.weights[on], by * chip.off[on], by**2 * chip.variance[on]]
        bus = _loops().Bus(
            packed.moments, packed.power, packed.linear[rows], *(value.astype(SINGLE) for value in values),
            np.array(chip.usable[on]), may[rows], must[rows], ranges[rows],
            bool(buses.leaky[b]),
        )  # fmt: skip
        moving = np.arange(n) if buses.leaky[b] else np.flatnonzero(may[rows].any(axis=0))
        if len(moving) == 0:
            continue
        touched = len(rows) if buses.leaky[b] else min(len(rows), 2.0 * may[rows].sum() / len(moving))
        tries = int(work / len(present) / (TOUCHED * touched + PASSED * len(rows)))
        tries = min(tries, MOST_VISITS * len(moving) * (chip.n_cells + 1))
        held, state = np.full(chip.n_cells, -1), states[rows]
        held[line_of[b][line_of[b] >= 0]] = np.flatnonzero(line_of[b] >= 0)
        sums = np.zeros((len(rows), n), SINGLE), np.zeros(len(rows), SINGLE), np.zeros(len(rows), SINGLE)
        _loops().products(bus, line_of[b], state, *sums)
        least = LEAST * SINGLE(packed.constant[rows].sum())
        for part in range(PARTS):
            if not stop():
                chance = (seed + 1009 * int(b) + part) % 2**31
                _loops().exchange_lines(bus, moving, tries // PARTS, chance, least, line_of[b], held, state, *sums)
        states[rows] = state
    return line_of, LinePlacement(buses, line_of).cells(neuron_of).table(states, chip.n_cells)


def _loops() -> Any:
    """The compiled loops, loaded on first use."""
    from matchopt_reroute import line_loops

    return line_loops
