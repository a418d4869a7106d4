"""Networks as a chip realises them: full weight matrices in place of the trained ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidSolution
from matchopt.instances.architecture import Architecture
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network import NetworkInstance, NetworkMapping
from matchopt.network.running import Runnable

UNDERSTOOD = AT_0_1["network"] | {"several-neurons", "copies", "one-chip", "chained"}
UNDERSTOOD |= {"programmable-cells", "write-budget", "hard-wired"}


@dataclass(frozen=True, eq=False)
class RealisedNetwork(Runnable):
    """A network of given full weight matrices: fully connected with ReLU, or as its architecture.

    Parameters
    ----------
    weights : weight of every connection, one matrix (units x inputs) per layer.
    biases : bias of every unit, one vector per layer.
    architecture : how a sample runs through the layers.
    buffers : running statistics of batch normalisation, by name.
    """

    weights: tuple[Float[np.ndarray, "_ _"], ...]
    biases: tuple[Float[np.ndarray, " _"], ...]
    architecture: Architecture
    buffers: Mapping[str, Float[np.ndarray, " _"]] = field(default_factory=dict)


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
    full = [layer.realised(part) if noise is None else one_read(layer, part, noise) for layer, part in pairs]
    return _network(instance, full, biases)


def biases_of(instance: NetworkInstance, mapping: NetworkMapping) -> tuple[Float[np.ndarray, " _"], ...] | None:
    """The digital biases of the realised network, or None; raises InvalidSolution, see `realise`."""
    if len(mapping.layers) != len(instance.layers):
        raise InvalidSolution(f"layers: the instance has {len(instance.layers)}, the mapping {len(mapping.layers)}")
    if mapping.biases is not None and instance.biases is None:
        raise InvalidSolution("biases: the mapping has digital biases, those of the instance are hardware weights")
    return instance.biases if mapping.biases is None else mapping.biases


def one_read(
    layer: LayerInstance, mapping: LayerMapping, noise: np.random.Generator
) -> Float[np.ndarray, "rows inputs"]:
    """The realised weights as one read finds them."""
    full = layer.realised(mapping)
    deviation = np.sign(mapping.gain)[mapping.place_of] * np.sqrt(layer.wire_noise(mapping))
    added = np.zeros_like(full)
    np.add.at(added, (mapping.row_of, mapping.input), deviation * noise.standard_normal(len(deviation)))
    e = mapping.tunable  # exact weights take the place of cells
    added[layer.target.row_of[e], layer.target.indices[e]] = 0.0
    full += added
    return full


@understanding("the realised network", UNDERSTOOD)
def unmapped(instance: NetworkInstance) -> RealisedNetwork:
    """The network with its target weights, as if the hardware were perfect."""
    return _network(instance, [layer.target.dense() for layer in instance.layers], instance.biases)


def _network(
    instance: NetworkInstance, full: list[Float[np.ndarray, "_ _"]], biases: tuple[Float[np.ndarray, " _"], ...] | None
) -> RealisedNetwork:
    run = (instance.architecture, instance.buffers)
    if biases is not None:
        return RealisedNetwork(tuple(full), biases, *run)
    return RealisedNetwork(tuple(w[:, :-1] for w in full), tuple(w[:, -1] for w in full), *run)
