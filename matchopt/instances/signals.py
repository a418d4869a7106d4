"""Running a network of full weight matrices, and what the network-level objectives make of its signals."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.instances.objective import SILENT, FunctionalError, ScoreError, TaskLoss
from matchopt.instances.samples import chunks

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
    return _run([_packed(matrix) for matrix in weights], biases, inputs, dtype)


def logits(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Float[np.ndarray, "samples rows"]:
    """The pre-activations of the last layer; see `run`."""
    signal = np.empty((len(inputs), 0), dtype)
    for _, signal in run(weights, biases, inputs, dtype):  # noqa: B007  # the last one is what is asked for
        pass
    return signal


def _run(
    packed: Sequence[Any], biases: Biases, inputs: Float[np.ndarray, "samples inputs"], dtype: Any = np.float64
) -> Iterator[tuple[Float[np.ndarray, "samples received"], Float[np.ndarray, "samples rows"]]]:
    received = np.asarray(inputs, dtype)
    for n, matrix in enumerate(packed):
        if biases is None:
            received = np.column_stack([received, np.ones(len(received), dtype)])
        dense = isinstance(matrix, np.ndarray)
        signal = received @ matrix.T if dense else (matrix @ np.ascontiguousarray(received.T)).T
        if biases is not None:
            signal += biases[n]
        yield received, signal
        received = np.maximum(signal, 0.0)


def _packed(matrix: Float[np.ndarray, "rows inputs"]) -> Any:
    """The matrix itself, or compressed rows of it where they are faster."""
    if matrix.size < LARGE or np.count_nonzero(matrix) > SPARSE * matrix.size:
        return matrix
    from scipy.sparse import csr_array

    return csr_array(matrix)


def task_loss(weights: Matrices, biases: Biases, task: TaskLoss) -> float:
    """Mean cross-entropy of the network on the task's samples."""
    total, packed = 0.0, [_packed(matrix) for matrix in weights]
    for part in chunks(len(task.inputs)):
        *_, (_, logits) = _run(packed, biases, task.rows(part))
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), task.labels[part]]
        total += float((np.log(np.exp(logits).sum(axis=1)) - chosen).sum())
    return total / len(task.inputs)


def signal_variances(weights: Matrices, biases: Biases, samples: FunctionalError) -> tuple[float, ...]:
    """Sum over rows of the variance of each layer's pre-activations; 1 for a layer that is constant."""
    count, packed = len(samples.inputs), [_packed(matrix) for matrix in weights]
    near: list[np.ndarray] = []  # a value near each mean: squares of distances from it keep their digits
    first = [np.zeros(len(matrix)) for matrix in weights]
    second = [0.0] * len(weights)
    for part in chunks(count):
        for n, (_, signal) in enumerate(_run(packed, biases, samples.rows(part))):
            if len(near) == n:
                near.append(signal.mean(axis=0))
            away = signal - near[n]
            first[n] += away.sum(axis=0)
            second[n] += float(np.vdot(away, away))
    found = []
    for start, total, squares in zip(near, first, second, strict=True):
        offset = total / count
        spread = squares / count - float(offset @ offset)
        found.append(spread if spread > SILENT * float(((start + offset) ** 2).sum()) else 1.0)
    return tuple(found)


def functional_error(
    target: tuple[Matrices, Biases],
    realised: tuple[Matrices, Biases],
    noises: Matrices,
    variances: Sequence[float],
    samples: FunctionalError,
) -> float:
    """The functional error of a network, see `FunctionalError`.

    Parameters
    ----------
    target, realised : weights and biases of the two networks.
    noises : read-noise variance of every realised weight, see `LayerInstance.noise`.
    variances : what `signal_variances` gives for the target.
    samples : the sample inputs.
    """
    count, total = len(samples.inputs), 0.0
    by_input = [noise.sum(axis=0) for noise in noises]
    wanted, found = ([_packed(matrix) for matrix in weights] for weights, _ in (target, realised))
    for part in chunks(count):
        inputs = samples.rows(part)
        pairs = zip(_run(wanted, target[1], inputs), _run(found, realised[1], inputs), strict=True)
        for n, ((_, ideal), (received, signal)) in enumerate(pairs):
            error = signal - ideal
            squared = float(np.vdot(error, error))
            if by_input[n].any():
                squared += float(by_input[n] @ np.einsum("sx,sx->x", received, received))
            total += squared / count / variances[n]
    return total


def score_error(
    target: tuple[Matrices, Biases],
    realised: tuple[Matrices, Biases],
    noise: Float[np.ndarray, "outputs inputs"],
    samples: ScoreError,
) -> float:
    """The score error of a network, see `ScoreError`.

    Parameters
    ----------
    target, realised : weights and biases of the two networks.
    noise : read-noise variance of every realised weight of the last layer, see `LayerInstance.noise`.
    samples : the sample inputs.
    """
    by_input, outputs = noise.sum(axis=0), len(noise)
    # What scores differ by, instead of the realised scores: small errors keep their digits.
    wished = away = across = added = 0.0
    wanted, found = ([_packed(matrix) for matrix in weights] for weights, _ in (target, realised))
    for part in chunks(len(samples.inputs)):
        inputs = samples.rows(part)
        *_, (_, ideal) = _run(wanted, target[1], inputs)
        *_, (received, outcome) = _run(found, realised[1], inputs)
        if outputs > 1:
            ideal, outcome = (signal - signal.mean(axis=1, keepdims=True) for signal in (ideal, outcome))
        apart = outcome - ideal
        wished += float(np.vdot(ideal, ideal))
        across += float(np.vdot(ideal, apart))
        away += float(np.vdot(apart, apart))
        if by_input.any():
            added += float(by_input @ np.einsum("sx,sx->x", received, received))
    added *= 1.0 - 1.0 / outputs if outputs > 1 else 1.0
    size = wished * (wished + 2.0 * across + away + added)
    if wished + across <= 0.0 or size <= 0.0:
        return 1.0
    return min(1.0, max(0.0, wished * (away + added) - across**2) / size)
