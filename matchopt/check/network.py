"""Rules and objectives of whole networks, by the definition and in memory that the number of samples does not raise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from matchopt.check.layer import layer_violations
from matchopt.check.objective import layer_objective, realised_rows
from matchopt.check.report import Violation, total
from matchopt.instances import FunctionalError, NetworkInstance, NetworkMapping, TaskLoss

SAMPLES = 5_000  # run through the network at a time
ROUNDING = 1e-20  # a variance below this share of the mean square is that of a constant, computed in floats


def network_violations(instance: NetworkInstance, mapping: NetworkMapping) -> list[Violation]:
    """Every broken rule of a network's mapping."""
    if len(mapping.layers) != len(instance.layers):
        message = f"the mapping must have one part per layer, {len(instance.layers)}, found {len(mapping.layers)}"
        return [Violation("layer-count", message)]
    found: list[Violation] = []
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        for violation in layer_violations(layer, part):
            found.append(replace(violation, message=f"layer {n}, {violation.message}", layer=n))
    spent = sum(len(part.tunable) for part in mapping.layers)
    if instance.tunable is not None and spent > instance.tunable:
        message = (
            f"the network: at most {instance.tunable} tunable connections are allowed in all layers, found {spent}"
        )
        found.append(Violation("network-tunable-budget", message))
    return found + _biases(instance, mapping)


def _biases(instance: NetworkInstance, mapping: NetworkMapping) -> list[Violation]:
    if mapping.biases is None:
        return []
    if not instance.adjustable:
        message = "the network: its biases are not adjustable, but the mapping brings biases of its own"
        return [Violation("biases-not-adjustable", message)]
    if len(mapping.biases) != len(instance.layers):
        message = f"the network: biases for {len(instance.layers)} layers are needed, found {len(mapping.biases)}"
        return [Violation("biases-count", message)]
    found: list[Violation] = []
    for n, (layer, bias) in enumerate(zip(instance.layers, mapping.biases, strict=True)):
        if bias.shape != (layer.n_rows,):
            message = f"layer {n}: biases must have shape {(layer.n_rows,)}, found {bias.shape}"
            found.append(Violation("biases-shape", message, layer=n))
        elif not np.isfinite(bias).all():
            message = f"layer {n}: biases must be finite numbers, found {bias[~np.isfinite(bias)][0]}"
            found.append(Violation("biases-not-finite", message, layer=n))
    return found


def network_objective(instance: NetworkInstance, mapping: NetworkMapping) -> float:
    """The network's objective at a feasible mapping."""
    if isinstance(instance.objective, TaskLoss):
        return task_loss(instance, mapping, instance.objective)
    if isinstance(instance.objective, FunctionalError):
        return functional_error(instance, mapping, instance.objective)
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return total(layer_objective(layer, part) for layer, part in pairs)


@dataclass(frozen=True, eq=False)
class Plain:
    """A network of full matrices with the bias of every row; the constant input of hardware biases is spelled out.

    Parameters
    ----------
    weights : weight of every input of every row, without the constant input.
    biases : what every row adds.
    noise : read-noise variance summed over the rows, of every input.
    constant_noise : the same of the constant input.
    """

    weights: list[Float[np.ndarray, "_ _"]]
    biases: list[Float[np.ndarray, " _"]]
    noise: list[Float[np.ndarray, " _"]]
    constant_noise: list[float]

    def run(self, inputs: Float[np.ndarray, "samples inputs"]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each layer the activity it receives and the sums it forms."""
        activity = inputs
        for matrix, bias in zip(self.weights, self.biases, strict=True):
            sums = np.dot(activity, matrix.T) + bias
            yield activity, sums
            activity = sums * (sums > 0)


def realised_network(instance: NetworkInstance, mapping: NetworkMapping) -> Plain:
    """What the chip makes of a feasible mapping."""
    found = Plain([], [], [], [])
    chosen = instance.biases if mapping.biases is None else mapping.biases
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        matrix = np.zeros((layer.n_rows, layer.target.n_inputs))
        noise = np.zeros(layer.target.n_inputs)
        for i, row in enumerate(realised_rows(layer, part)):
            for x, weight in row.weight.items():
                matrix[i, x] = weight
            for x, variance in row.noise.items():
                noise[x] += variance
        _append(found, matrix, noise, None if chosen is None else chosen[n])
    return found


def target_network(instance: NetworkInstance) -> Plain:
    """The network as it was trained."""
    found = Plain([], [], [], [])
    for n, layer in enumerate(instance.layers):
        target = layer.target
        matrix = np.zeros((layer.n_rows, target.n_inputs))
        for i in range(layer.n_rows):
            matrix[i, target.indices[target.row(i)]] = target.weights[target.row(i)]
        _append(found, matrix, np.zeros(target.n_inputs), None if instance.biases is None else instance.biases[n])
    return found


def _append(network: Plain, matrix: np.ndarray, noise: np.ndarray, bias: np.ndarray | None) -> None:
    inputs = matrix.shape[1] - (bias is None)  # hardware biases are the weights of a last input that is always 1
    network.weights.append(matrix[:, :inputs])
    network.biases.append(matrix[:, -1] if bias is None else bias)
    network.noise.append(noise[:inputs])
    network.constant_noise.append(float(noise[-1]) if bias is None else 0.0)


def task_loss(instance: NetworkInstance, mapping: NetworkMapping, task: TaskLoss) -> float:
    """Mean cross-entropy of the realised network: each layer affine, ReLU between layers."""
    network = realised_network(instance, mapping)
    losses: list[float] = []
    for inputs, start in _batches(task):
        logits = inputs
        for _, sums in network.run(inputs):
            logits = sums
        largest = logits.max(axis=1)
        labels = task.labels[start : start + len(logits)]
        right = logits[np.arange(len(logits)), labels]
        losses += (largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1)) - right).tolist()
    return total(losses) / len(losses)


def functional_error(instance: NetworkInstance, mapping: NetworkMapping, samples: FunctionalError) -> float:
    """Squared error and read noise of every layer's sums, as shares of the variance of the target's sums."""
    target, realised = target_network(instance), realised_network(instance, mapping)
    count, layers = len(samples.inputs), len(instance.layers)
    errors: list[list[float]] = [[] for _ in range(layers)]
    spreads = [Spread(layer.n_rows) for layer in instance.layers]
    for inputs, _ in _batches(samples):
        both = zip(target.run(inputs), realised.run(inputs), strict=True)
        for n, ((_, wanted), (activity, found)) in enumerate(both):
            spreads[n].add(wanted)
            noise = np.dot(activity * activity, realised.noise[n]).sum() + len(inputs) * realised.constant_noise[n]
            errors[n] += [float(np.square(found - wanted).sum()), float(noise)]
    return total(total(errors[n]) / count / spreads[n].variance() for n in range(layers))


class Spread:
    """Mean and variance of each column over batches, combined as they come.

    T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37, 1983, doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self.mean = np.zeros(columns)
        self.squares = np.zeros(columns)  # summed squared distances from the mean

    def add(self, batch: Float[np.ndarray, "samples columns"]) -> None:
        """Take in the rows of `batch`."""
        mean, both = batch.mean(axis=0), self.count + len(batch)
        away = mean - self.mean
        self.squares = self.squares + ((batch - mean) ** 2).sum(axis=0) + away**2 * self.count * len(batch) / both
        self.mean = self.mean + away * len(batch) / both
        self.count = both

    def variance(self) -> float:
        """The sum of the columns' variances; 1 where nothing varies."""
        summed = float(self.squares.sum()) / self.count
        size = summed + float((self.mean**2).sum())
        return summed if summed > ROUNDING * size else 1.0


def _batches(samples: TaskLoss | FunctionalError) -> Iterator[tuple[Float[np.ndarray, "samples inputs"], int]]:
    """What the network receives, a few samples at a time, and the number of the first."""
    for start in range(0, len(samples.inputs), SAMPLES):
        yield samples.inputs[start : start + SAMPLES].astype(np.float64) * samples.scale, start
