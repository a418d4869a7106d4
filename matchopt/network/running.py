"""Running a network: fully connected ones by numpy, all others by torch where it is installed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import MissingExtra
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture, FullyConnected

Matrices = Sequence[Float[np.ndarray, "_ _"]]
Vectors = Sequence[Float[np.ndarray, " _"]]


def logits(
    architecture: Architecture,
    weights: Matrices,
    biases: Vectors,
    inputs: Float[np.ndarray, "samples inputs"],
    buffers: Mapping[str, np.ndarray],
) -> Float[np.ndarray, "samples *frames classes"]:
    """The values before the softmax, in the precision of the weights.

    Parameters
    ----------
    architecture : which network the others are of.
    weights, biases : one matrix (units x inputs) and one vector per layer.
    inputs : samples, flattened.
    buffers : running statistics of batch normalisation, by name.

    Raises
    ------
    MissingExtra
        when the layers are not fully connected and torch is not installed.
    """
    if isinstance(architecture, FullyConnected):
        return signals.logits(weights, biases, inputs, weights[0].dtype)
    found: np.ndarray = _forward().predict(architecture, weights, biases, inputs, buffers)
    return found


def layer_inputs(
    architecture: Architecture,
    weights: Matrices,
    biases: Vectors,
    inputs: Float[np.ndarray, "samples inputs"],
    buffers: Mapping[str, np.ndarray],
    most: int,
) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """What every layer receives, in double precision: one row per sample, or per sample and position.

    Parameters
    ----------
    architecture, weights, biases, inputs, buffers : as for `logits`.
    most : rows of patches or frames per layer; where there are more, so many are drawn, always the same.

    Raises
    ------
    MissingExtra
        see `logits`.
    """
    if isinstance(architecture, FullyConnected):
        exact = [matrix.astype(np.float64) for matrix in weights]
        return tuple(received for received, _ in signals.run(exact, biases, inputs))
    forward = _forward()
    matrices, vectors, statistics = forward.as_tensors(weights, biases, buffers)
    rows = forward.as_tensors([np.asarray(inputs, np.float32)], [])[0][0]
    received = forward.layer_inputs(architecture, matrices, vectors, rows, most, buffers=statistics)
    return tuple(part.numpy().astype(np.float64) for part in received)


def _forward() -> Any:
    try:
        from matchopt.network import forward
    except ModuleNotFoundError as cause:
        if cause.name != "torch":
            raise
        raise MissingExtra("running a convolutional or recurrent network", "torch", "torch") from None
    return forward
