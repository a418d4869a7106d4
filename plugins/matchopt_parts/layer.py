"""What the solvers of this package have in common: which layers they take, neurons chosen of a chip, and the search."""

import numpy as np

from matchopt import Hardware, LayerInstance, LayerMapping, Target

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "gain-interval"}
    | {"output-error"}
)
MOST_PAIRS = 2**26  # of rows and neurons: half a gigabyte
GAIN = 1e-9  # relative; less is rounding


def refusal(layer: LayerInstance) -> str | None:
    """Why the solvers of this package do not take this layer, or None."""
    pairs = layer.n_rows * layer.rules.neurons * layer.hardware.n_neurons
    return f"it has {pairs} pairs of parts and neurons, more than {MOST_PAIRS}" if pairs > MOST_PAIRS else None


def nothing_wired(layer: LayerInstance) -> LayerMapping:
    """The mapping in which every row has one neuron, and none listens to anything."""
    none = np.zeros(layer.target.n_connections, np.int64) - 1
    gains = np.full(layer.n_rows, layer.rules.gains.default)
    return LayerMapping.from_cells(layer.target, np.arange(layer.n_rows), none, gains)


def chosen(chip: Hardware, neurons: np.ndarray) -> Hardware:
    """These neurons alone, in this order."""
    return Hardware(chip.weights[neurons], chip.variance[neurons], chip.usable[neurons])


def rows_of(target: Target, weights: np.ndarray, importance: np.ndarray) -> Target:
    """The same support with other weights and importances."""
    return Target(target.indptr, target.indices, weights, target.n_inputs, importance)


def some_rows(target: Target, rows: np.ndarray) -> Target:
    """These rows alone, in this order."""
    fan_in = target.fan_in[rows]
    starts = np.concatenate([[0], np.cumsum(fan_in)])
    e = np.repeat(target.indptr[rows] - starts[:-1], fan_in) + np.arange(starts[-1])
    return Target(starts, target.indices[e], target.weights[e], target.n_inputs, target.importance[e])


def kicked(slots: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A share of the neurons, two at least, in random order; what is empty, -1, stays so."""
    used = np.argwhere(slots >= 0)
    some = used[rng.permutation(len(used))[: max(2, round(share * len(used)))]]
    found = slots.copy()
    found[tuple(some.T)] = rng.permutation(found[tuple(some.T)])
    return found
