"""What the solvers of crossbars have in common: which layers they take, and the mappings they make of them."""

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Result, Status, Target, kernels

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"gain-interval", "output-error"}
)
MOST_COSTS = 2**28  # entries of the tables of costs: 1 GiB


def refusal(layer: LayerInstance) -> str | None:
    """Why the solvers of crossbars do not take this layer, or None."""
    hardware = layer.hardware
    buses, inputs = len(set(hardware.bus.tolist())), len(np.unique(layer.target.indices))
    costs = layer.n_rows * hardware.n_neurons + buses * inputs * max(hardware.n_cells, inputs)
    if costs > MOST_COSTS:
        return f"its tables would have {costs} entries, more than {MOST_COSTS}"
    return None


def scaled(layer: LayerInstance) -> Hardware:
    """The hardware at the one gain that is allowed; as it is where there is a choice."""
    gain, chip = (layer.rules.gains.values or (1.0,))[0], layer.hardware
    if gain == 1.0 or choice(layer):
        return chip
    return chip.scaled(gain)


def choice(layer: LayerInstance) -> bool:
    """Whether neurons have a choice of gains."""
    return layer.rules.gains.values is None or len(layer.rules.gains.values) > 1


def one_connection() -> tuple[Target, Hardware]:
    """The smallest layer, for compiling."""
    return Target.from_dense(np.ones((1, 1))), Hardware(np.ones((1, 1)))


def without_connections(layer: LayerInstance) -> Result:
    """The mapping of a layer in which there is nothing to wire."""
    none = np.zeros(layer.target.n_connections, np.int64) - 1
    mapping = LayerMapping.from_cells(
        layer.target, np.arange(layer.n_rows), none, np.full(layer.n_rows, layer.rules.gains.default)
    )
    return Result(mapping, Status.OPTIMAL, bound=layer.value(mapping))


def free_costs(layer: LayerInstance) -> np.ndarray:
    """What every row costs on every neuron, wired freely."""
    chip = scaled(layer)
    unshared = Hardware(chip.weights, chip.variance, chip.usable, bus=np.arange(chip.n_neurons))
    factor, gains = layer.objective.importance(layer.target), layer.rules.gains if choice(layer) else Gains()
    return kernels.pair_costs(layer.target, unshared, importance=factor, gains=gains, drop=layer.rules.drop)
