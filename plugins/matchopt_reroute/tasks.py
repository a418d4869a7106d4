"""What is wanted of each layer: its target signals on the samples, and what a row's weights may be."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import LayerInstance, NetworkInstance, SampleObjective
from matchopt.kernels import CellPlacement, RowErrors, Scales
from matchopt_reroute.choices import gain_choices, likely_inputs, listed

SINGLE = np.float32


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of what a layer receives: (inputs, inputs) covariances or raw moments, means, powers E[x^2]."""

    matrix: np.ndarray
    mean: np.ndarray
    power: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerTask:
    """One layer's part of the problem; it does not change while the network is mapped.

    Parameters
    ----------
    layer : the layer's instance.
    columns : the inputs that are considered: those that vary, or that the target uses.
    support, weights : the target's connections and weights on `columns`.
    signals : the target network's pre-activations, (rows, samples).
    given : digital biases that stay as they are; None where they adjust or are hardware.
    centred : whether biases adjust, so that only variances count.
    placers : for each gain of a finite set (1 under an interval) the search on cells of that gain.
    scales : the gains of an interval, else the scale 1.
    """

    layer: LayerInstance
    columns: np.ndarray
    support: np.ndarray
    weights: np.ndarray
    signals: np.ndarray
    given: np.ndarray | None
    centred: bool
    placers: dict[float, CellPlacement]
    scales: Scales

    @property
    def realisable(self) -> np.ndarray:
        """What the wires shall give: the signals without biases that stay as they are."""
        return self.signals if self.given is None else self.signals - self.given[:, None]

    def moments(self, activity: np.ndarray, ridge: float) -> Moments:
        """Moments of `activity`, (inputs, samples), with `ridge` times their mean added to the diagonal."""
        count = SINGLE(activity.shape[1])
        matrix = activity @ activity.T / count
        power, mean = matrix.diagonal().copy(), activity.mean(axis=1)
        if self.centred:
            matrix -= np.outer(mean, mean)
        matrix[np.diag_indices(len(matrix))] += SINGLE(ridge) * matrix.diagonal().mean()
        return Moments(matrix, mean, power)

    def errors(self, moments: Moments, activity: np.ndarray, wanted: np.ndarray, rows: Any) -> RowErrors:
        """The error of `rows` as a function of their weights, when they shall give the signals `wanted`."""
        count = SINGLE(wanted.shape[1])
        linear, constant = wanted @ activity.T / count, np.einsum("is,is->i", wanted, wanted) / count
        if self.centred:
            mean = wanted.mean(axis=1)
            linear -= np.outer(mean, moments.mean)
            constant -= mean * mean
        constant = np.maximum(constant, SINGLE(1e-6) * constant.mean())
        fixed = not self.layer.rules.drop
        required, weights = (self.support[rows], self.weights[rows]) if fixed else (None, None)
        return RowErrors(moments.matrix, linear, constant, moments.power, required, weights)

    def heard(self, rows: Any = slice(None)) -> np.ndarray | None:
        """The inputs that each row may use, -1 filling up; None for all."""
        if self.layer.rules.extra_inputs:
            return None
        return listed(self.support[rows])

    def likely(self, errors: RowErrors, most: int) -> np.ndarray | None:
        """The `most` inputs of each row that alone explain most of its signal, and its support; None for all."""
        if not self.layer.rules.extra_inputs:
            return self.heard()
        return likely_inputs(errors, self.support, most)


def sample_rows(instance: NetworkInstance, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` samples as the network receives them, (samples, inputs)."""
    given = instance.objective
    if isinstance(given, SampleObjective):
        count = len(given.inputs)
        return given.rows(np.sort(rng.permutation(count)[:most]) if count > most else slice(None))
    assert instance.samples is not None
    count = len(instance.samples)
    return instance.samples[np.sort(rng.permutation(count)[:most])] if count > most else instance.samples


def layer_tasks(instance: NetworkInstance, inputs: np.ndarray, threads: int) -> list[LayerTask]:
    """The tasks of all layers, for these samples."""
    tasks = []
    for n, (layer, signals) in enumerate(zip(instance.layers, instance.target_signals(inputs), strict=True)):
        target, biases = layer.target, instance.biases
        weights, support = target.dense(), np.zeros((target.n_rows, target.n_inputs), bool)
        support[target.row_of, target.indices] = True
        columns = np.arange(target.n_inputs)
        if n == 0:
            varies = np.ptp(inputs, axis=0) > 0 if instance.adjustable else (inputs != 0).any(axis=0)
            if biases is None:
                varies = np.append(varies, True)
            columns = np.flatnonzero(varies | support.any(axis=0))
        placers, scales = gain_choices(layer, threads, single=True)
        given = None if biases is None or instance.adjustable else biases[n].astype(SINGLE)
        wanted = np.ascontiguousarray(signals.T, SINGLE)
        listening = (columns, support[:, columns], weights[:, columns])
        tasks.append(LayerTask(layer, *listening, wanted, given, instance.adjustable, placers, scales))
    return tasks
