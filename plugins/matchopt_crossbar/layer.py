"""What the solvers of crossbars have in common: which layers they take, where they start, what they offer."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from matchopt import (
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    Result,
    Status,
    Target,
    is_feasible,
    kernels,
)

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"output-error"}
)
MOST_COSTS = 2**28  # entries of the tables of costs: 1 GiB
BETWEEN_OFFERS = 0.2  # seconds: each is checked by the caller


def refusal(layer: LayerInstance) -> str | None:
    """Why the solvers of crossbars do not take this layer, or None."""
    hardware, leaks = layer.hardware, bool(np.any(layer.hardware.off))
    buses, inputs = len(set(hardware.bus.tolist())), len(np.unique(layer.target.indices))
    costs = layer.n_rows * hardware.n_neurons + buses * inputs * max(hardware.n_cells, inputs)
    if len(layer.rules.gains.values or ()) != 1:
        return "neurons with a choice of gains are not searched; allow a single gain"
    if costs > MOST_COSTS:
        return f"its tables would have {costs} entries, more than {MOST_COSTS}"
    if leaks and not hardware.free_routing and buses > 1:
        return "cells that leak are counted on one bus only, not on several"
    if leaks and layer.rules.extra_inputs:
        return "extra inputs may help where cells leak, and are not searched"
    return None


class Search(kernels.Crossbar):
    """The search of `matchopt.kernels` on one layer, which offers what it finds."""

    def __init__(self, layer: LayerInstance, limits: Limits, rng: np.random.Generator) -> None:
        every = np.arange(layer.target.n_inputs)
        outside = layer.objective.diagonal(layer.target, np.full(len(every), layer.n_rows), every)
        super().__init__(
            layer.target, scaled(layer), rng, importance=layer.objective.importance(layer.target),
            drop=layer.rules.drop, driven=outside,
        )  # fmt: skip
        self._layer, self._limits, self._offered, self._last = layer, limits, np.inf, -np.inf
        if limits.start is not None and is_feasible(layer, limits.start):
            start = limits.start
            assert isinstance(start, LayerMapping)
            limits.offer(start, layer.value(start))
            self.start(start.neuron_of, _cells(layer, start))
        elif len(set(layer.hardware.bus.tolist())) > 1:  # where few neurons share lines, free routing is near
            self.start(_freely_routed(layer), np.full(layer.target.n_connections, -1))
        self.descend(1)  # so that there is something to offer however short the time

    def offer(self) -> None:
        """Offer the best mapping, if it is better than at the last offer, some time ago, and keeps the rules."""
        if not self.best_cost < self._offered or time.monotonic() < self._last + BETWEEN_OFFERS:
            return
        self._offered, self._last = self.best_cost, time.monotonic()
        mapping = self.mapping()
        if mapping is not None:
            self._limits.offer(mapping, self._layer.value(mapping))

    def mapping(self) -> LayerMapping | None:
        """The best mapping, None where it breaks a rule."""
        if not np.isfinite(self.value()):
            return None
        neuron_of, cell_of = self.best()
        return LayerMapping.from_cells(self._layer.target, neuron_of, cell_of, _gain(self._layer))

    def finish(self) -> None:
        """Polish the best mapping in double precision and offer it."""
        if not self._limits.reached():
            self.polish()
        self._offered, self._last = np.inf, -np.inf
        self.offer()

    def result(self, limit: Limit | None, bound: float, stats: dict[str, Any]) -> Result:
        """What the solver returns: the best mapping offered, which is optimal where it meets the bound."""
        best = self._limits.best
        if best is None:
            return Result(None, limit=limit, bound=bound, stats=stats, message="no mapping found that keeps the rules")
        met = limit is None and bound >= self._limits.best_value * (1.0 - 1e-9)
        status = Status.OPTIMAL if met else Status.FEASIBLE
        return Result(best, status, limit, min(bound, self._limits.best_value), stats)


def scaled(layer: LayerInstance) -> Hardware:
    """The hardware at the one gain that is allowed."""
    (gain,) = layer.rules.gains.values or (1.0,)
    chip = layer.hardware
    if gain == 1.0:
        return chip
    return replace(chip, weights=chip.weights * gain, variance=chip.variance * gain**2, off=chip.off * gain)


def compile_search() -> None:
    """Compile the loops of the search, on one connection."""
    target, hardware = one_connection()
    search = kernels.Crossbar(target, hardware, np.random.default_rng(0))
    search.anneal(1, 1.0)
    search.perturb(1, 1.0)
    search.descend(1)
    kernels.pair_costs(target, hardware, gains=Gains(), drop=False)


def one_connection() -> tuple[Target, Hardware]:
    """The smallest layer, for compiling."""
    return Target.from_dense(np.ones((1, 1))), Hardware(np.ones((1, 1)))


def with_cells(layer: LayerInstance, neuron_of: np.ndarray, cell_of: np.ndarray) -> LayerMapping:
    """The mapping with these lines, connections dropped where that costs less, or their cell cannot be used."""
    chip, target = scaled(layer), layer.target
    neurons, real = neuron_of[target.row_of], cell_of < chip.n_cells
    cells = np.where(real, cell_of, 0) if chip.n_cells else cell_of
    real = real & chip.usable[neurons, cells] if chip.n_cells else real
    if layer.rules.drop and chip.n_cells:
        wired = (target.weights - chip.weights[neurons, cells]) ** 2 + chip.variance[neurons, cells]
        real = real & (wired < target.weights**2)
    return LayerMapping.from_cells(target, neuron_of, np.where(real, cells, -1), _gain(layer))


def without_connections(layer: LayerInstance) -> Result:
    """The mapping of a layer in which there is nothing to wire."""
    none = np.zeros(layer.target.n_connections, np.int64) - 1
    mapping = LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), none, _gain(layer))
    return Result(mapping, Status.OPTIMAL, bound=layer.value(mapping))


def free_costs(layer: LayerInstance) -> np.ndarray:
    """What every row costs on every neuron, wired freely."""
    chip = scaled(layer)
    unshared = Hardware(chip.weights, chip.variance, chip.usable, bus=np.arange(chip.n_neurons))
    factor = layer.objective.importance(layer.target)
    return kernels.pair_costs(layer.target, unshared, importance=factor, gains=Gains(), drop=layer.rules.drop)


def _freely_routed(layer: LayerInstance) -> np.ndarray:
    """The neurons that rows would get if each were wired freely; any where some row fits nowhere."""
    chosen = kernels.assign(free_costs(layer))
    return np.arange(layer.n_rows) if chosen is None else chosen


def _gain(layer: LayerInstance) -> np.ndarray:
    return np.full(layer.n_rows, layer.rules.gains.default)


def _cells(layer: LayerInstance, mapping: LayerMapping) -> np.ndarray:
    """The cell of each connection, -1 for those without; wires outside the support are left out."""
    cell_of = np.full(layer.target.n_connections, -1)
    wide = layer.target.n_inputs
    keys = layer.target.row_of * wide + layer.target.indices
    wires = mapping.row_of * wide + mapping.input
    at = np.searchsorted(keys, wires)
    inside = np.append(keys, -1)[at] == wires
    cell_of[at[inside]] = mapping.cell[inside]
    return cell_of
