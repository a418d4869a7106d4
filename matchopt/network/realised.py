"""Networks as a chip realises them: weight matrices in place of the trained ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidSolution
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network import NetworkInstance, NetworkMapping
from matchopt.network.running import Runnable

Pairs = Int[np.ndarray, " pairs"]
UNDERSTOOD = AT_0_1["network"] | {"several-neurons", "copies", "one-chip", "chained"}
UNDERSTOOD |= {"programmable-cells", "write-budget", "hard-wired"}


@dataclass(frozen=True, eq=False)
class RealisedNetwork(Runnable):
    """A network of given weight matrices: fully connected with ReLU, or as its architecture.

    Parameters
    ----------
    given : weight of every connection, one matrix (units x inputs) per layer, full or of compressed rows.
    biases : bias of every unit, one vector per layer.
    architecture : how a sample runs through the layers.
    buffers : running statistics of batch normalisation, by name.
    """

    given: tuple[Any, ...]
    biases: tuple[Float[np.ndarray, " _"], ...]
    architecture: Architecture
    buffers: Mapping[str, Float[np.ndarray, " _"]] = field(default_factory=dict)

    @property
    def weights(self) -> tuple[Float[np.ndarray, "_ _"], ...]:
        """The weights of every layer as full matrices."""
        return tuple(each if isinstance(each, np.ndarray) else each.toarray() for each in self.given)

    @property
    def matrices(self) -> tuple[Any, ...]:
        """See `Runnable`."""
        return self.given


@understanding("the realised network", UNDERSTOOD)
def realise(
    instance: NetworkInstance, mapping: NetworkMapping, noise: np.random.Generator | None = None
) -> RealisedNetwork:
    """The network that `mapping` makes of the hardware of `instance`, with its biases and tuned values.

    Parameters
    ----------
    instance, mapping : an instance and a feasible mapping of it.
    noise : draws the read noise of one read, normal and independent for every cell in use; None for the mean.

    Raises
    ------
    InvalidSolution
        when the mapping has another number of layers, or digital biases where those of the instance are hardware.
        Feasibility is asked of `matchopt.check`.
    Refused
        when the instance has a demand that is not known here.
    """
    biases = biases_of(instance, mapping)
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return _network(instance, [one_read(layer, part, noise) for layer, part in pairs], biases)


def biases_of(instance: NetworkInstance, mapping: NetworkMapping) -> tuple[Float[np.ndarray, " _"], ...] | None:
    """The digital biases of the realised network, or None; raises InvalidSolution, see `realise`."""
    if len(mapping.layers) != len(instance.layers):
        raise InvalidSolution(f"layers: the instance has {len(instance.layers)}, the mapping {len(mapping.layers)}")
    if mapping.biases is not None and instance.biases is None:
        raise InvalidSolution("biases: the mapping has digital biases, those of the instance are hardware weights")
    return instance.biases if mapping.biases is None else mapping.biases


def one_read(
    layer: LayerInstance, mapping: LayerMapping, noise: np.random.Generator | None
) -> tuple[Pairs, Pairs, Float[np.ndarray, " pairs"]]:
    """Rows, inputs and realised weights as one read finds them, or as they are in the mean; see `realised_pairs`."""
    rows, inputs, weights = layer.realised_pairs(mapping)
    if noise is None:
        return rows, inputs, weights
    deviation = np.sign(mapping.gain)[mapping.place_of] * np.sqrt(layer.wire_noise(mapping))
    keys, wired = layer.target.keys(rows, inputs), layer.target.keys(mapping.row_of, mapping.input)
    order = np.argsort(keys)
    at = order[np.searchsorted(keys, wired, sorter=order)]  # every wire is one of the pairs
    added = np.bincount(at, deviation * noise.standard_normal(len(deviation)), len(rows)).astype(np.float64)
    added[mapping.tunable] = 0.0  # exact weights take the place of cells
    return rows, inputs, weights + added


@understanding("the realised network", UNDERSTOOD)
def unmapped(instance: NetworkInstance) -> RealisedNetwork:
    """The network with its target weights, as if the hardware were perfect."""
    targets = [layer.target for layer in instance.layers]
    return _network(instance, [(each.row_of, each.indices, each.weights) for each in targets], instance.biases)


def _network(
    instance: NetworkInstance,
    entries: list[tuple[Pairs, Pairs, Float[np.ndarray, " pairs"]]],
    biases: tuple[Float[np.ndarray, " _"], ...] | None,
) -> RealisedNetwork:
    sizes = [(layer.n_rows, layer.target.n_inputs) for layer in instance.layers]
    found = [apart(*each, size, biases is None) for each, size in zip(entries, sizes, strict=True)]
    own = tuple(bias for _, bias in found) if biases is None else biases
    return RealisedNetwork(tuple(matrix for matrix, _ in found), own, instance.architecture, instance.buffers)


def apart(
    rows: Pairs, inputs: Pairs, weights: Float[np.ndarray, " pairs"], size: tuple[int, int], constant: bool
) -> tuple[Any, Float[np.ndarray, " _"]]:
    """The matrix of these entries, and what the last input adds, which is no part of it where it is `constant`."""
    bias, last = np.zeros(size[0]), inputs == size[1] - constant
    bias[rows[last]] = weights[last]
    return signals.matrix_of(rows[~last], inputs[~last], weights[~last], (size[0], size[1] - constant)), bias
