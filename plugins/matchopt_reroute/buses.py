"""Hardware neurons that share lines: which line carries which input, at first and as rows listen.

`line_of` has the line of every column on every bus, -1 for none, buses in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from matchopt import LayerInstance, assign, kernels
from matchopt_reroute.wiring import NotFound, never

SINGLE = np.float32
HOT, COLD = 0.28, 0.048  # temperatures of the search of weights, as those of `crossbar-perturb`
LOOK = 5  # rounds of it between two looks at the clock
MOST_COSTS = 2**26  # entries of its table; beyond, each bus is assigned on its own


@dataclass(frozen=True, eq=False)
class Buses:
    """The buses of a layer.

    Parameters
    ----------
    layer : the layer.
    columns : which of its inputs are considered.

    Attributes
    ----------
    of_neuron : bus of every hardware neuron, numbered from 0.
    leaky : of every bus, whether some cell on it adds something while it is switched off.
    """

    layer: LayerInstance
    columns: np.ndarray
    of_neuron: np.ndarray = field(init=False)
    leaky: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        chip = self.layer.hardware
        object.__setattr__(self, "of_neuron", np.unique(chip.bus, return_inverse=True)[1])
        count = np.bincount(self.of_neuron, (chip.off != 0.0).any(axis=1))
        object.__setattr__(self, "leaky", count > 0)

    def first_lines(
        self, worth: np.ndarray, rounds: int, rng: np.random.Generator, stop: Callable[[], bool] = never
    ) -> np.ndarray:
        """Lines of about the least weight error, for inputs with connections.

        Parameters
        ----------
        worth : what a squared error of a weight counts for on every column, >= 0.
        rounds : assignments of rows and of inputs under noise that fades.
        rng : source of that.
        stop : asked now and then; once it is true the search ends.

        Raises
        ------
        NotFound
            when what is found does not keep the rules.
        """
        layer, target = self.layer, self.layer.target
        line_of = np.full((len(self.leaky), len(self.columns)), -1)
        if target.n_connections == 0:
            return line_of
        used = np.unique(target.indices)
        floor = 1e-6 * float(worth.max()) + 1e-30
        counts = worth[np.searchsorted(self.columns, target.indices)] + floor
        if len(self.leaky) * len(used) * max(len(used), layer.hardware.n_cells) > MOST_COSTS:
            neuron_of, found = self._each_alone(used, counts)
        else:
            outside = np.full(target.n_inputs, floor)
            outside[self.columns] += worth
            search = kernels.Crossbar(
                target, layer.hardware, rng, importance=counts, drop=layer.rules.drop, driven=outside,
                gains=layer.rules.gains, extra_inputs=layer.rules.extra_inputs,
            )  # fmt: skip
            heat = HOT * search.unit
            for _ in range(0, rounds, LOOK):
                if not stop():
                    heat = search.perturb(LOOK, heat, (COLD / HOT) ** (1.0 / rounds))
            search.resume()
            search.descend()
            neuron_of, found = search.best_lines()
        if kernels.wire_lines(layer, neuron_of, found) is None:
            raise NotFound("no choice of hardware neurons and lines was found that gives every row its connections")
        line_of[:, np.searchsorted(self.columns, used)] = found
        return line_of

    def said_lines(self, before: np.ndarray, driven: int) -> np.ndarray:
        """The lines of chained arrays, where rows before have these of `driven` neurons; then that of a constant."""
        line_of, rows = np.full((1, len(self.columns)), -1), len(before)
        line_of[0, :rows] = before
        if len(self.columns) > rows and self.layer.hardware.n_cells > driven:
            line_of[0, rows] = driven
        return line_of

    def random_lines(self, any_at_all: bool, rng: np.random.Generator) -> np.ndarray:
        """Columns on lines at random, as many as there are of both, or none."""
        line_of = np.full((len(self.leaky), len(self.columns)), -1)
        n, lines = len(self.columns), self.layer.hardware.n_cells
        for own in line_of if any_at_all else ():
            own[rng.permutation(n)[:lines]] = rng.permutation(lines)[:n]
        return line_of

    def _each_alone(self, used: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows on the neurons that suit them if routed freely, then the best lines of every bus for its rows."""
        target, chip, rules = self.layer.target, self.layer.hardware, self.layer.rules
        chosen = assign(kernels.pair_costs(target, chip, importance=counts, gains=rules.gains, drop=rules.drop))
        neuron_of = np.arange(target.n_rows) if chosen is None else chosen
        found, on = np.full((len(self.leaky), len(used)), -1), neuron_of[target.row_of]
        for b in np.unique(self.of_neuron[neuron_of]):
            e = np.flatnonzero(self.of_neuron[on] == b)
            here, place = np.unique(target.indices[e], return_inverse=True)
            off = counts[e] * target.weights[e] ** 2 if rules.drop else np.full(len(e), np.inf)
            wired = counts[e, None] * (target.weights[e, None] - chip.weights[on[e]]) ** 2
            best = np.minimum(np.where(chip.usable[on[e]], wired, np.inf), off[:, None])
            costs, aside = np.zeros((len(here), chip.n_cells)), np.full((len(here), len(here)), np.inf)
            np.add.at(costs, place, best)
            aside[np.diag_indices(len(here))] = np.bincount(place, off)  # without a line
            lines = assign(np.hstack([costs, aside]))
            if lines is not None:
                found[b, np.searchsorted(used, here)] = np.where(lines < chip.n_cells, lines, -1)
        return neuron_of, found

    def with_others(self, line_of: np.ndarray, worth: np.ndarray) -> np.ndarray:
        """The lines with all other columns, those of most worth first, on what lines are left, least leaking first."""
        filled = line_of.copy()
        for b, lines in enumerate(filled):
            leak = np.abs(self.layer.hardware.off[self.of_neuron == b]).sum(axis=0)
            left = np.setdiff1d(np.arange(self.layer.hardware.n_cells), lines)
            left = left[np.argsort(leak[left], kind="stable")]
            others = np.flatnonzero((lines < 0) & (worth > 0))
            others = others[np.argsort(-worth[others], kind="stable")][: len(left)]
            lines[others] = left[: len(others)]
        return filled

    def weight_errors(self, line_of: np.ndarray) -> np.ndarray:
        """The least squared weight error of every row on every neuron, on these lines; inf where it does not fit."""
        target, chip = self.layer.target, self.layer.hardware
        cost, every = np.zeros((target.n_rows, chip.n_neurons)), np.arange(chip.n_neurons)[:, None]
        for i in range(target.n_rows):
            part = target.row(i)
            weights, own = target.weights[part], np.searchsorted(self.columns, target.indices[part])
            line = line_of[self.of_neuron][:, own]
            has, at = line >= 0, (every, np.maximum(line, 0))
            wired = np.where(has & chip.usable[at], (weights - chip.weights[at]) ** 2, np.inf)
            idle = (weights - np.where(has, chip.off[at], 0.0)) ** 2 if self.layer.rules.drop else np.inf
            cost[i] = np.minimum(wired, idle).sum(axis=1)
        return cost

    def driven(self, neuron_of: np.ndarray, input_of: np.ndarray, line_of: np.ndarray) -> np.ndarray:
        """The lines, without those that nobody listens to on leaky buses: there they are not driven."""
        kept, bus_of = line_of.copy(), self.of_neuron[neuron_of]
        for b in np.flatnonzero(self.leaky):
            heard = (input_of[bus_of == b] >= 0).any(axis=0)
            kept[b, ~np.append(heard, False)[kept[b]]] = -1
        return kept

    def lines_of(self, neuron_of: np.ndarray, input_of: np.ndarray) -> np.ndarray:
        """The lines that a mapping drives; `input_of` as `wiring.cell_table`, in columns."""
        found = np.full((len(self.leaky), len(self.columns)), -1)
        rows, cells = np.nonzero(input_of >= 0)
        found[self.of_neuron[neuron_of[rows]], input_of[rows, cells]] = cells
        return found

    def leaks(self, neuron: int, input_of: np.ndarray, line_of: np.ndarray) -> np.ndarray:
        """What a neuron's cells that are switched off add on every column."""
        b, off = int(self.of_neuron[neuron]), np.zeros(len(self.columns), SINGLE)
        if self.leaky[b]:
            line = line_of[b]
            columns = np.flatnonzero(line >= 0)
            idle = columns[input_of[line[columns]] != columns]
            off[idle] = self.layer.hardware.off[neuron, line[idle]]
        return off

    def only_listens(self, neuron_of: np.ndarray, input_of: np.ndarray, i: int) -> np.ndarray:
        """The columns that row i alone listens to on a leaky bus, (1, columns): without it all leaks there change."""
        alone, bus_of = np.zeros((1, len(self.columns)), bool), self.of_neuron[neuron_of]
        if self.leaky[bus_of[i]]:
            listeners = (input_of[bus_of == bus_of[i]] >= 0).sum(axis=0)
            alone[0, input_of[i][(listeners == 1) & (input_of[i] >= 0)]] = True
        return alone
