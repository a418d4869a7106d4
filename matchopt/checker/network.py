"""Rules and objectives of whole networks, by the definition and in memory that the number of samples does not raise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.checker.layer import layer_violations
from matchopt.checker.objective import layer_objective, realised_rows
from matchopt.checker.report import Violation, total
from matchopt.errors import Refused
from matchopt.instances import (
    FunctionalError,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    SampleObjective,
    ScoreError,
    TaskLoss,
)

SAMPLES = 2_000  # run through the network at a time: what a layer of some hundred rows does stays in the cache
FULL = 0.1  # share of the inputs above which rows are multiplied together as a matrix
ROUNDING = 1e-20  # a variance below this share of the mean square is that of a constant, computed in floats


def network_violations(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    """Every broken rule of a network's mapping."""
    if len(mapping.layers) != len(instance.layers):
        message = f"the mapping must have one part per layer, {len(instance.layers)}, found {len(mapping.layers)}"
        yield Violation("layer-count", message)
        return
    for n, part in enumerate(mapping.layers):
        if not isinstance(part, LayerMapping):
            message = f"layer {n}: its part of the mapping must be of kind layer, found {type(part).__name__}"
            yield Violation("wrong-kind", message, layer=n)
            return
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        for violation in layer_violations(layer, part):
            yield replace(violation, message=f"layer {n}, {violation.message}", layer=n)
    spent = sum(len(part.tunable) for part in mapping.layers)
    if instance.tunable is not None and spent > instance.tunable:
        allowed = f"at most {instance.tunable} tunable connections are allowed in all layers, found {spent}"
        yield Violation("network-tunable-budget", f"the network: {allowed}")
    if instance.one_chip:
        yield from _shared_twice(instance, mapping)
    yield from _biases(instance, mapping)


def _shared_twice(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    """Neurons and lines of the one chip that serve two layers; within a layer the layer's own rules say the same."""
    neuron_of: dict[int, tuple[int, int]] = {}  # number on the chip: layer and row
    line_of: dict[tuple[int, int], tuple[int, int]] = {}  # (bus, line): layer and row
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        for a, (i, j) in enumerate(zip(part.row.tolist(), part.neuron_of.tolist(), strict=True)):
            if not 0 <= j < layer.hardware.n_neurons:
                continue
            number, bus = int(layer.hardware.neuron[j]), int(layer.hardware.bus[j])
            other, row = neuron_of.setdefault(number, (n, i))
            if other != n:
                taken = f"neuron {number} of the chip is taken by layer {other}, row {row} already"
                yield Violation("neuron-two-layers", f"layer {n}, row {i}: {taken}", row=i, layer=n)
            for k, _ in part.wires(a):
                other, row = line_of.setdefault((bus, k), (n, i))
                if other != n:
                    taken = f"line {k} of bus {bus} carries an input of layer {other} (row {row}) already"
                    yield Violation("line-two-layers", f"layer {n}, row {i}: {taken}", row=i, layer=n)


def _biases(instance: NetworkInstance, mapping: NetworkMapping) -> Iterator[Violation]:
    if mapping.biases is None:
        return
    if not instance.adjustable:
        message = "the network: its biases are not adjustable, but the mapping brings biases of its own"
        yield Violation("biases-not-adjustable", message)
        return
    if len(mapping.biases) != len(instance.layers):
        message = f"the network: biases for {len(instance.layers)} layers are needed, found {len(mapping.biases)}"
        yield Violation("biases-count", message)
        return
    for n, (layer, bias) in enumerate(zip(instance.layers, mapping.biases, strict=True)):
        if bias.shape != (layer.n_rows,):
            message = f"layer {n}: biases must have shape {(layer.n_rows,)}, found {bias.shape}"
            yield Violation("biases-shape", message, layer=n)
        elif not np.isfinite(bias).all():
            message = f"layer {n}: biases must be finite numbers, found {bias[~np.isfinite(bias)][0]}"
            yield Violation("biases-not-finite", message, layer=n)


def network_objective(instance: NetworkInstance, mapping: NetworkMapping) -> float:
    """The network's objective at a feasible mapping."""
    if isinstance(instance.objective, TaskLoss):
        return task_loss(instance, mapping, instance.objective)
    if isinstance(instance.objective, FunctionalError):
        return functional_error(instance, mapping, instance.objective)
    if isinstance(instance.objective, ScoreError):
        return score_error(instance, mapping, instance.objective)
    if instance.objective is not None:
        raise Refused(f"the checker does not know the objective {instance.objective.name}")
    pairs = zip(instance.layers, mapping.layers, strict=True)
    return total(layer_objective(layer, part) for layer, part in pairs)


@dataclass(frozen=True, eq=False)
class PlainLayer:
    """One layer of a network, row by row; the constant input of hardware biases is turned into biases.

    Parameters
    ----------
    rows : weight by input, of every row.
    n_inputs : number of inputs, without the constant one.
    biases : what every row adds.
    noise : read-noise variance summed over the rows, of every input.
    constant_noise : the same of the constant input.
    """

    rows: list[dict[int, float]]
    n_inputs: int
    biases: Float[np.ndarray, " rows"]
    noise: Float[np.ndarray, " inputs"]
    constant_noise: float = 0.0

    def sums(self, activity: Float[np.ndarray, "inputs samples"]) -> Float[np.ndarray, "rows samples"]:
        """What the rows make of this activity; samples are columns, so that a row of few weights costs little."""
        found = np.zeros((len(self.rows), activity.shape[1]))
        full = [i for i, row in enumerate(self.rows) if len(row) > FULL * self.n_inputs]
        if full:
            matrix = np.zeros((len(full), self.n_inputs))
            for at, i in enumerate(full):
                matrix[at, list(self.rows[i])] = list(self.rows[i].values())
            found[full] = matrix @ activity
        for i in set(range(len(self.rows))) - set(full):
            row = self.rows[i]
            found[i] = np.array(list(row.values())) @ activity[list(row)] if row else 0.0
        found += self.biases[:, None]
        return found


def run(network: list[PlainLayer], inputs: Float[np.ndarray, "inputs samples"]) -> Iterator[tuple[Any, Any]]:
    """For each layer the activity it receives and the sums it forms, both with samples as columns."""
    activity = inputs
    for layer in network:
        sums = layer.sums(activity)
        yield activity, sums
        activity = sums * (sums > 0)


def realised_network(instance: NetworkInstance, mapping: NetworkMapping) -> list[PlainLayer]:
    """What the chip makes of a feasible mapping."""
    chosen = instance.biases if mapping.biases is None else mapping.biases
    found = []
    for n, (layer, part) in enumerate(zip(instance.layers, mapping.layers, strict=True)):
        rows = realised_rows(layer, part)
        noise = np.zeros(layer.target.n_inputs)
        for row in rows:
            for x, variance in row.noise.items():
                noise[x] += variance
        found.append(_plain([row.weight for row in rows], noise, None if chosen is None else chosen[n]))
    return found


def target_network(instance: NetworkInstance) -> list[PlainLayer]:
    """The network as it was trained."""
    found = []
    for n, layer in enumerate(instance.layers):
        inputs, weights = layer.target.indices.tolist(), layer.target.weights.tolist()
        parts = [layer.target.row(i) for i in range(layer.n_rows)]
        rows = [dict(zip(inputs[part], weights[part], strict=True)) for part in parts]
        biases = None if instance.biases is None else instance.biases[n]
        found.append(_plain(rows, np.zeros(layer.target.n_inputs), biases))
    return found


def _plain(rows: list[dict[int, float]], noise: np.ndarray, biases: np.ndarray | None) -> PlainLayer:
    if biases is not None:
        return PlainLayer(rows, len(noise), biases, noise)
    last = len(noise) - 1  # hardware biases are the weights of a last input that is always 1
    constants = np.array([row.get(last, 0.0) for row in rows])
    others = [{x: weight for x, weight in row.items() if x != last} for row in rows]
    return PlainLayer(others, last, constants, noise[:last], float(noise[last]))


def task_loss(instance: NetworkInstance, mapping: NetworkMapping, task: TaskLoss) -> float:
    """Mean cross-entropy of the realised network: each layer affine, ReLU between layers."""
    network, losses = realised_network(instance, mapping), []
    for inputs, labels in _batches(task):
        *_, (_, logits) = run(network, inputs)
        largest = logits.max(axis=0)
        right = logits[task.labels[labels], np.arange(logits.shape[1])]
        losses.append(float((largest + np.log(np.exp(logits - largest).sum(axis=0)) - right).sum()))
    return total(losses) / len(task.inputs)


def functional_error(instance: NetworkInstance, mapping: NetworkMapping, samples: FunctionalError) -> float:
    """Squared error and read noise of every layer's sums, as shares of the variance of the target's sums."""
    target, realised = target_network(instance), realised_network(instance, mapping)
    count, layers = len(samples.inputs), len(instance.layers)
    errors: list[list[float]] = [[] for _ in range(layers)]
    spreads = [Spread(layer.n_rows) for layer in instance.layers]
    for inputs, _ in _batches(samples):
        both = zip(run(target, inputs), run(realised, inputs), strict=True)
        for n, ((_, wanted), (activity, found)) in enumerate(both):
            spreads[n].add(wanted)
            errors[n].append(float(np.square(found - wanted).sum()))
            layer = realised[n]
            if layer.noise.any():
                errors[n].append(float(layer.noise @ np.square(activity).sum(axis=1)))
            errors[n].append(layer.constant_noise * inputs.shape[1])
    return total(total(errors[n]) / count / spreads[n].variance() for n in range(layers))


def score_error(instance: NetworkInstance, mapping: NetworkMapping, samples: ScoreError) -> float:
    """What the best multiple of the realised scores leaves of the target's, read noise of the last layer included.

    In two passes: the multiple, then what it leaves.
    """
    target, realised = target_network(instance), realised_network(instance, mapping)

    def scores() -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        for inputs, _ in _batches(samples):
            *_, (_, wanted) = run(target, inputs)
            *_, (activity, found) = run(realised, inputs)
            last, count = realised[-1], len(found)
            noise = float(last.noise @ np.square(activity).sum(axis=1)) + last.constant_noise * inputs.shape[1]
            if count > 1:
                wanted, found = wanted - wanted.mean(axis=0), found - found.mean(axis=0)
                noise -= noise / count
            yield wanted, found, noise

    sums = [(float((w * w).sum()), float((w * f).sum()), float((f * f).sum()) + n) for w, f, n in scores()]
    wished, common, size = (total(column) for column in zip(*sums, strict=True))
    if common <= 0.0 or wished <= 0.0 or size <= 0.0:
        return 1.0
    factor = common / size
    left = total(float(np.square(w - factor * f).sum()) + factor**2 * n for w, f, n in scores())
    return min(1.0, left / wished)


class Spread:
    """Mean and variance of each row over batches of samples, combined as they come.

    T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37, 1983, doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, rows: int) -> None:
        self.count = 0
        self.mean = np.zeros(rows)
        self.squares = np.zeros(rows)  # summed squared distances from the mean

    def add(self, batch: Float[np.ndarray, "rows samples"]) -> None:
        """Take in the columns of `batch`."""
        size = batch.shape[1]
        mean, both = batch.mean(axis=1), self.count + size
        away = mean - self.mean
        own = np.square(batch - mean[:, None]).sum(axis=1)
        self.squares = self.squares + own + away**2 * self.count * size / both
        self.mean = self.mean + away * size / both
        self.count = both

    def variance(self) -> float:
        """The sum of the rows' variances; 1 where nothing varies."""
        summed = float(self.squares.sum()) / self.count
        size = summed + float((self.mean**2).sum())
        return summed if summed > ROUNDING * size else 1.0


def _batches(samples: SampleObjective) -> Iterator[tuple[Float[np.ndarray, "inputs samples"], slice]]:
    """What the network receives, a few samples at a time as columns, and which samples they are."""
    for start in range(0, len(samples.inputs), SAMPLES):
        part = slice(start, start + SAMPLES)
        yield np.ascontiguousarray(samples.inputs[part].T, dtype=np.float64) * samples.scale, part
