"""Running a fully connected network of given weight matrices; `passes` runs those of any architecture."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.passes import pass_of

Matrices = Sequence[Any]
Biases = Sequence[Float[np.ndarray, " rows"]] | None
SPARSE = 0.1  # share of non-zeros below which compressed rows beat a dense product
LARGE = 10_000  # entries; below, a dense product takes microseconds anyway
HUGE, ROOMY = 2**22, 0.25  # entries from which compressed rows are taken for room too, and the share up to which


def run(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Iterator[tuple[Float[np.ndarray, "samples received"], Float[np.ndarray, "samples rows"]]]:
    """What every layer receives, and its pre-activations; ReLU between layers.

    Parameters
    ----------
    weights : weight matrices, one per layer, full or of compressed rows.
    biases : digital biases of each layer; None where the last input of every layer is the constant 1, which is then
        appended to what the layer receives.
    inputs : inputs of the network, without the constant 1.
    dtype : precision to compute in, that of the weights.
    """
    whole = FullyConnected((inputs.shape[1], *(matrix.shape[0] for matrix in weights)))
    return pass_of(whole, {}).run([packed(matrix) for matrix in weights], biases, np.asarray(inputs, dtype))


def logits(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Float[np.ndarray, "samples rows"]:
    """The pre-activations of the last layer; see `run`."""
    signal = np.empty((len(inputs), 0), dtype)
    for _, signal in run(weights, biases, inputs, dtype):  # noqa: B007  # the last one is what is asked for
        pass
    return signal


def packed(matrix: Any) -> Any:
    """The matrix itself, or compressed rows of it where they are faster, or far smaller."""
    if not isinstance(matrix, np.ndarray) or not _few(int(np.count_nonzero(matrix)), matrix.size):
        return matrix
    from scipy.sparse import csr_array

    return csr_array(matrix)


def matrix_of(
    rows: Int[np.ndarray, " entries"], inputs: Int[np.ndarray, " entries"], weights: Float[np.ndarray, " entries"],
    shape: tuple[int, int],
) -> Any:  # fmt: skip
    """The matrix of these entries, no place twice, as `packed` gives it: where they are few no full one is made."""
    if not _few(int(np.count_nonzero(weights)), shape[0] * shape[1]):
        full = np.zeros(shape, weights.dtype)
        full[rows, inputs] = weights
        return full
    from scipy.sparse import csr_array

    found = csr_array((weights, (rows, inputs)), shape)
    found.eliminate_zeros()
    found.sort_indices()
    return found


def _few(count: int, size: int) -> bool:
    return size >= LARGE and count <= (ROOMY if size >= HUGE else SPARSE) * size
