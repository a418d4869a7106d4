"""Short training of a few values of a mapped network on the task loss, with early stopping."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from matchopt import Limit, Limits, NetworkInstance, NetworkMapping, Result, Status
from matchopt_corrections.backpropagation import Adam, SmallNetwork
from matchopt_corrections.beginning import restricted, split
from matchopt_corrections.run_network import RunNetwork


@dataclass(frozen=True)
class Plan:
    """How to train.

    Parameters
    ----------
    epochs : passes over the samples, >= 0.
    weight_rate, bias_rate : first step sizes; both fall linearly to 0.
    batch : samples per step, >= 1.
    """

    epochs: int
    weight_rate: float
    bias_rate: float
    batch: int


class Training:
    """A mapped network in training: its tunable connections, and its biases where those are adjustable.

    Parameters
    ----------
    instance : minimises a task loss.
    mapping : its tunable connections, at the values it gives them, are what is trained.
    rng : draws the samples set aside for judging, and the order of the others.
    """

    def __init__(self, instance: NetworkInstance, mapping: NetworkMapping, rng: np.random.Generator) -> None:
        task = instance.objective
        assert task is not None and task.classes is not None
        self._instance, self._mapping, self._rng = instance, mapping, rng
        self.network, used = small_network(instance, mapping)
        self.seen, self.held_out = split(task.counted, 0, rng)
        self._inputs = np.asarray(task.inputs[:, used], np.float32) * np.float32(task.scale)
        self._labels = task.classes

    def loss(self) -> float:
        """Mean cross-entropy on the samples set aside."""
        return self.network.loss(self._inputs[self.held_out], self._labels[self.held_out])

    def mapping(self) -> NetworkMapping:
        """The mapping with the values trained so far."""
        pairs = zip(self._mapping.layers, self.network.weights, self.network.entries, strict=True)
        layers = [
            replace(part, tuned=matrix[place].astype(np.float64)) if len(part.tunable) else part
            for part, matrix, place in pairs
        ]
        biases = self._mapping.biases
        if self.network.train_biases and self.network.biases is not None:
            biases = tuple(bias.astype(np.float64) for bias in self.network.biases)
        return NetworkMapping(tuple(layers), biases)

    def run(self, plan: Plan, limits: Limits) -> Iterator[float]:
        """Train, giving the loss on the samples set aside after every epoch; a limit ends the epoch it comes in."""
        values = self.network.parameters
        count = len(values) - self.network.n_trained_biases
        rates = np.array([plan.weight_rate, plan.bias_rate])
        adam = Adam(np.repeat(rates, [count, len(values) - count]))
        batches = max(1, len(self.seen) // plan.batch)
        for epoch in limits.steps(plan.epochs):
            for number, batch in enumerate(np.array_split(self._rng.permutation(self.seen), batches)):
                if limits.reached():
                    break
                left = 1.0 - (epoch * batches + number) / (plan.epochs * batches)
                gradient = self.network.gradient(self._inputs[batch], self._labels[batch])
                values += adam.step(gradient, left)
                self.network.set_parameters(values)
            yield self.loss()


def trained(
    instance: NetworkInstance,
    start: NetworkMapping,
    begin: NetworkMapping,
    plan: Plan,
    limits: Limits,
    rng: np.random.Generator,
) -> Result:
    """Train from `begin`, which may have tunable connections where the start has wires; the best by held-out loss.

    A loss that is not finite ends it with status ERROR, and the best mapping until then.
    """
    training, best, status, epochs = Training(instance, begin, rng), start, None, 0
    least = before = restricted(instance, training.held_out).value(start)
    with np.errstate(over="ignore", invalid="ignore"):
        for loss in training.run(plan, limits):
            epochs += 1
            if not np.isfinite(loss):
                status = Status.ERROR
                break
            if loss < least:
                best, least = training.mapping(), loss
                limits.report(best)
    message = ""
    if status is Status.ERROR:
        message = f"the loss became {loss} in epoch {epochs}; try smaller step sizes"
    elif best is start and epochs:
        message = "training did not lower the loss on the samples set aside; the mapping as it was is kept"
    stats = {"epochs": epochs, "held-out loss before": before, "held-out loss": least, **_counts(best, start)}
    stopped = limits.reached() or (Limit.ITERATION if status is None and epochs < plan.epochs else None)
    return Result(best, status, stopped, stats=stats, message=message)  # type: ignore[arg-type]  # None: by solution


def _counts(best: NetworkMapping, start: NetworkMapping) -> dict[str, int]:
    """How many values were trained: connections that a tunable weight serves, and biases."""
    biases = 0 if best is start or best.biases is None else sum(len(bias) for bias in best.biases)
    return {"tuned": sum(len(part.tunable) for part in best.layers), "biases": biases}


def small_network(instance: NetworkInstance, mapping: NetworkMapping) -> tuple[SmallNetwork, np.ndarray]:
    """The mapped network, its tunable connections as what is trained; and the inputs that anything listens to."""
    weights, entries = [], []
    for layer, part in zip(instance.layers, mapping.layers, strict=True):
        weights.append(layer.realised(part).astype(np.float32))
        entries.append((layer.target.row_of[part.tunable], layer.target.indices[part.tunable]))
    biases = instance.biases if mapping.biases is None else mapping.biases
    if not instance.runs.plain:
        own = None if biases is None else [bias.astype(np.float32) for bias in biases]
        return RunNetwork(weights, own, entries, instance.adjustable, instance.runs), np.arange(instance.n_inputs)
    listened: np.ndarray = np.any(weights[0], axis=0)
    listened[entries[0][1]] = True
    if biases is None:
        listened[-1] = True  # the constant 1
    kept = np.flatnonzero(listened)
    weights[0] = weights[0][:, kept]
    entries[0] = (entries[0][0], np.searchsorted(kept, entries[0][1]))
    copies = None if biases is None else [bias.astype(np.float32) for bias in biases]
    return SmallNetwork(weights, copies, entries, instance.adjustable), kept[kept < instance.n_inputs]
