"""What the solvers of crossbars have in common: which layers they take, and the mappings they make of them."""

import math
from dataclasses import replace

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Result, Status, Target, kernels

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"gain-interval", "output-error", "programmable-cells", "write-budget", "tunable"}
)
LIMITED = frozenset({"write-budget", "tunable"})  # connections of the whole layer depend on each other
FREE = (0.0, math.inf)  # prices of a write and of a tuned connection where neither is limited
MOST_COSTS = 2**28  # entries of the tables of costs: 1 GiB


def refusal(layer: LayerInstance) -> str | None:
    """Why the solvers of crossbars do not take this layer, or None."""
    hardware = layer.hardware
    buses, inputs = len(set(hardware.bus.tolist())), len(np.unique(layer.target.indices))
    costs = layer.n_rows * hardware.n_neurons + buses * inputs * max(hardware.n_cells, inputs)
    if costs > MOST_COSTS:
        return f"its tables would have {costs} entries, more than {MOST_COSTS}"
    if hardware.programmable and layer.rules.gains.is_interval:
        return "cells that can be written are not searched under gains of an interval; allow a finite set"
    return None


def limited(layer: LayerInstance) -> bool:
    """Whether writes, or tunable connections, are limited to a number."""
    return layer.rules.tunable > 0 or (layer.hardware.programmable and layer.rules.writes is not None)


def spent(layer: LayerInstance, prices: tuple[float, float]) -> float:
    """What all writes and tuned connections that are allowed cost at these prices."""
    rules = layer.rules
    writes = prices[0] * (rules.writes or 0) if prices[0] > 0.0 else 0.0
    return writes + (prices[1] * rules.tunable if rules.tunable else 0.0)


def scaled(layer: LayerInstance) -> Hardware:
    """The hardware at the one gain that is allowed; as it is where there is a choice."""
    gain, chip = (layer.rules.gains.values or (1.0,))[0], layer.hardware
    if gain == 1.0 or choice(layer):
        return chip
    return chip.scaled(gain)


def choice(layer: LayerInstance) -> bool:
    """Whether neurons have a choice of gains."""
    return layer.rules.gains.values is None or len(layer.rules.gains.values) > 1


def places(chip: Hardware) -> tuple[np.ndarray, np.ndarray]:
    """Neuron and cell of every cell, to be broadcast."""
    return np.arange(chip.n_neurons)[:, None], np.arange(chip.n_cells)[None, :]


def one_connection() -> tuple[Target, Hardware]:
    """The smallest layer, for compiling."""
    return Target.from_dense(np.ones((1, 1))), Hardware(np.ones((1, 1)))


def without_connections(layer: LayerInstance) -> Result:
    """The mapping of a layer in which there is nothing to wire."""
    mapping = nothing_wired(layer)
    return Result(mapping, Status.OPTIMAL, bound=layer.value(mapping))


def nothing_wired(layer: LayerInstance) -> LayerMapping:
    """The mapping in which every row has a neuron, and none listens to anything."""
    none = np.zeros(layer.target.n_connections, np.int64) - 1
    gains = np.full(layer.n_rows, layer.rules.gains.default)
    return LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), none, gains)


def free_costs(layer: LayerInstance, prices: tuple[float, float] = FREE) -> np.ndarray:
    """What every row costs on every neuron, wired freely at these prices of a write and of a tuned connection."""
    unshared = replace(scaled(layer), off=None, bus=None)  # type: ignore[arg-type]  # None means default
    tuned = prices[1] if math.isfinite(prices[1]) else None
    factor, gains = layer.objective.importance(layer.target), layer.rules.gains if choice(layer) else Gains()
    return kernels.pair_costs(layer.target, unshared, importance=factor, gains=gains, drop=layer.rules.drop,
                              price=tuned, write_price=prices[0])  # fmt: skip
