"""What the solvers of crossbars have in common: which layers they take, and the mappings they make of them."""

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Result, Status, Target, kernels

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"output-error"}
)
MOST_COSTS = 2**28  # entries of the tables of costs: 1 GiB


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


def scaled(layer: LayerInstance) -> Hardware:
    """The hardware at the one gain that is allowed."""
    (gain,) = layer.rules.gains.values or (1.0,)
    chip = layer.hardware
    if gain == 1.0:
        return chip
    return chip.scaled(gain)


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
    return LayerMapping.from_cells(target, neuron_of, np.where(real, cells, -1), gain_of(layer))


def without_connections(layer: LayerInstance) -> Result:
    """The mapping of a layer in which there is nothing to wire."""
    none = np.zeros(layer.target.n_connections, np.int64) - 1
    mapping = LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), none, gain_of(layer))
    return Result(mapping, Status.OPTIMAL, bound=layer.value(mapping))


def free_costs(layer: LayerInstance) -> np.ndarray:
    """What every row costs on every neuron, wired freely."""
    chip = scaled(layer)
    unshared = Hardware(chip.weights, chip.variance, chip.usable, bus=np.arange(chip.n_neurons))
    factor = layer.objective.importance(layer.target)
    return kernels.pair_costs(layer.target, unshared, importance=factor, gains=Gains(), drop=layer.rules.drop)


def gain_of(layer: LayerInstance) -> np.ndarray:
    """The one gain that is allowed, for every row."""
    return np.full(layer.n_rows, layer.rules.gains.default)
