"""Running a network of full weight matrices, and what the network-level objectives make of its signals."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from matchopt.instances.objective import SILENT, FunctionalError, TaskLoss
from matchopt.instances.samples import chunks

Matrices = Sequence[Float[np.ndarray, "rows inputs"]]
Biases = Sequence[Float[np.ndarray, " rows"]] | None


def run(
    weights: Matrices, biases: Biases, inputs: Float[np.ndarray, "samples inputs"]
) -> Iterator[tuple[Float[np.ndarray, "samples received"], Float[np.ndarray, "samples rows"]]]:
    """What every layer receives, and its pre-activations; ReLU between layers.

    Parameters
    ----------
    weights : full weight matrices, one per layer.
    biases : digital biases of each layer; None where the last input of every layer is the constant 1, which is then
        appended to what the layer receives.
    inputs : inputs of the network, without the constant 1.
    """
    received = np.asarray(inputs, dtype=np.float64)
    for n, matrix in enumerate(weights):
        if biases is None:
            received = np.column_stack([received, np.ones(len(received))])
        signal = received @ matrix.T
        if biases is not None:
            signal += biases[n]
        yield received, signal
        received = np.maximum(signal, 0.0)


def task_loss(weights: Matrices, biases: Biases, task: TaskLoss) -> float:
    """Mean cross-entropy of the network on the task's samples."""
    total = 0.0
    for part in chunks(len(task.inputs)):
        *_, (_, logits) = run(weights, biases, task.rows(part))
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), task.labels[part]]
        total += float((np.log(np.exp(logits).sum(axis=1)) - chosen).sum())
    return total / len(task.inputs)


def signal_variances(weights: Matrices, biases: Biases, samples: FunctionalError) -> tuple[float, ...]:
    """Sum over rows of the variance of each layer's pre-activations; 1 for a layer that is constant."""
    count = len(samples.inputs)
    sums = [np.zeros(len(matrix)) for matrix in weights]
    for part in chunks(count):
        for n, (_, signal) in enumerate(run(weights, biases, samples.rows(part))):
            sums[n] += signal.sum(axis=0)
    means = [total / count for total in sums]
    spread = [0.0] * len(weights)
    for part in chunks(count):  # a second pass: subtracting squares of sums would leave only rounding
        for n, (_, signal) in enumerate(run(weights, biases, samples.rows(part))):
            spread[n] += float(((signal - means[n]) ** 2).sum()) / count
    moments = [value + float((mean**2).sum()) for value, mean in zip(spread, means, strict=True)]
    return tuple(value if value > SILENT * moment else 1.0 for value, moment in zip(spread, moments, strict=True))


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
    for part in chunks(count):
        inputs = samples.rows(part)
        pairs = zip(run(*target, inputs), run(*realised, inputs), strict=True)
        for n, ((_, wanted), (received, signal)) in enumerate(pairs):
            squared = float(((signal - wanted) ** 2).sum())
            if by_input[n].any():
                squared += float(by_input[n] @ (received**2).sum(axis=0))
            total += squared / count / variances[n]
    return total
