"""Running a fully connected network of full weight matrices; `passes` runs those of any architecture."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.passes import pass_of

Matrices = Sequence[Float[np.ndarray, "rows inputs"]]
Biases = Sequence[Float[np.ndarray, " rows"]] | None
SPARSE = 0.1  # share of non-zeros below which compressed rows beat a dense product
LARGE = 10_000  # entries; below, a dense product takes microseconds anyway


def run(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Iterator[tuple[Float[np.ndarray, "samples received"], Float[np.ndarray, "samples rows"]]]:
    """What every layer receives, and its pre-activations; ReLU between layers.

    Parameters
    ----------
    weights : full weight matrices, one per layer.
    biases : digital biases of each layer; None where the last input of every layer is the constant 1, which is then
        appended to what the layer receives.
    inputs : inputs of the network, without the constant 1.
    dtype : precision to compute in, that of the weights.
    """
    whole = FullyConnected((inputs.shape[1], *(len(matrix) for matrix in weights)))
    return pass_of(whole, {}).run([packed(matrix) for matrix in weights], biases, np.asarray(inputs, dtype))


def logits(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Float[np.ndarray, "samples rows"]:
    """The pre-activations of the last layer; see `run`."""
    signal = np.empty((len(inputs), 0), dtype)
    for _, signal in run(weights, biases, inputs, dtype):  # noqa: B007  # the last one is what is asked for
        pass
    return signal


def packed(matrix: Float[np.ndarray, "rows inputs"]) -> Any:
    """The matrix itself, or compressed rows of it where they are faster."""
    if matrix.size < LARGE or np.count_nonzero(matrix) > SPARSE * matrix.size:
        return matrix
    from scipy.sparse import csr_array

    return csr_array(matrix)
