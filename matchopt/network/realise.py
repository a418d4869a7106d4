"""Networks as a chip realises them: full weight matrices in place of the trained ones."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidSolution
from matchopt.instances.network import NetworkInstance, NetworkMapping


@dataclass(frozen=True, eq=False)
class RealisedNetwork:
    """A fully connected ReLU network of given full weight matrices.

    Parameters
    ----------
    weights : weight of every connection, one matrix (units x inputs) per layer.
    biases : bias of every unit, one vector per layer.
    """

    weights: tuple[Float[np.ndarray, "_ _"], ...]
    biases: tuple[Float[np.ndarray, " _"], ...]

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples classes"]:
        """The values before the softmax, one row per sample, computed in the precision of the weights."""
        hidden = inputs.astype(self.weights[0].dtype)
        for number, (matrix, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if number:
                np.maximum(hidden, 0.0, out=hidden)
            hidden = hidden @ matrix.T + bias
        return hidden


def realise(instance: NetworkInstance, mapping: NetworkMapping) -> RealisedNetwork:
    """The network that `mapping` makes of the hardware of `instance`; read noise is left out.

    Raises
    ------
    InvalidSolution
        when the mapping has another number of layers. Feasibility is asked of `matchopt.check`.
    """
    if len(mapping.layers) != len(instance.layers):
        raise InvalidSolution(f"layers: the instance has {len(instance.layers)}, the mapping {len(mapping.layers)}")
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return _network(instance, [layer.realised(part) for layer, part in pairs])


def unmapped(instance: NetworkInstance) -> RealisedNetwork:
    """The network with its target weights, as if the hardware were perfect."""
    return _network(instance, [layer.target.dense() for layer in instance.layers])


def _network(instance: NetworkInstance, full: list[Float[np.ndarray, "_ _"]]) -> RealisedNetwork:
    if instance.biases is not None:
        return RealisedNetwork(tuple(full), instance.biases)
    return RealisedNetwork(tuple(w[:, :-1] for w in full), tuple(w[:, -1] for w in full))
