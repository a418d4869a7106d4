"""Running a network of full weight matrices."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

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
    return run_packed([packed(matrix) for matrix in weights], biases, inputs, dtype)


def logits(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Float[np.ndarray, "samples rows"]:
    """The pre-activations of the last layer; see `run`."""
    signal = np.empty((len(inputs), 0), dtype)
    for _, signal in run(weights, biases, inputs, dtype):  # noqa: B007  # the last one is what is asked for
        pass
    return signal


def run_packed(
    matrices: Sequence[Any], biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Iterator[tuple[Float[np.ndarray, "samples received"], Float[np.ndarray, "samples rows"]]]:
    """The same of matrices that are `packed` already."""
    received = np.asarray(inputs, dtype)
    for n, matrix in enumerate(matrices):
        if biases is None:
            received = np.column_stack([received, np.ones(len(received), dtype)])
        dense = isinstance(matrix, np.ndarray)
        signal = received @ matrix.T if dense else (matrix @ np.ascontiguousarray(received.T)).T
        if biases is not None:
            signal += biases[n]
        yield received, signal
        received = np.maximum(signal, 0.0)


def packed(matrix: Float[np.ndarray, "rows inputs"]) -> Any:
    """The matrix itself, or compressed rows of it where they are faster."""
    if matrix.size < LARGE or np.count_nonzero(matrix) > SPARSE * matrix.size:
        return matrix
    from scipy.sparse import csr_array

    return csr_array(matrix)
