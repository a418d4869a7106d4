"""What is minimised: the mean cross-entropy, or the distance of all signals from the target network's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from matchopt import FunctionalError, NetworkInstance, TaskLoss, Wires
from matchopt_slots.layers import Activity
from matchopt_slots.samples import Samples


class Goal(Protocol):
    """An objective of samples."""

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """Mean loss of the samples `which` after a forward pass, and its derivative by the signals of every layer."""
        ...

    def total(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]) -> float:
        """Sum of the samples' losses; `noises` is the read-noise variance on every input of every layer."""
        ...


@dataclass(frozen=True, eq=False)
class CrossEntropy(Goal):
    """Mean cross-entropy; the read noise does not count."""

    labels: np.ndarray
    n_layers: int

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """See `Goal.derivative`."""
        logits = torch.from_numpy(activity.signals[-1])
        logs = torch.log_softmax(logits, dim=0).numpy()
        labels, lanes = self.labels[which], np.arange(len(which))
        loss = -float(logs[labels, lanes].mean())
        delta = np.exp(logs)
        delta[labels, lanes] -= 1.0
        delta /= len(which)
        return loss, [*([None] * (self.n_layers - 1)), delta]

    def total(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]) -> float:
        """See `Goal.total`."""
        logits = activity.signals[-1].astype(np.float64)
        logits -= logits.max(axis=0)
        chosen = logits[self.labels[which], np.arange(len(which))]
        return float((np.log(np.exp(logits).sum(axis=0)) - chosen).sum())


class Functional(Goal):
    """Squared distance of every layer's signals from the target network's, over the variance of those; no labels."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._wires = [target_wires(instance, n, samples.live) for n in range(len(instance.layers))]
        rows = [layer.n_rows for layer in instance.layers]
        given = instance.biases or tuple(np.zeros(m) for m in rows)
        self._biases = [bias.astype(np.float32) for bias in given]
        self._scales = [1.0 / variance for variance in instance.signal_variances]
        self._shape = (rows, len(samples.live), samples.constant)
        self._teacher = Activity(*self._shape, lanes)

    def _distances(self, activity: Activity, inputs: np.ndarray) -> list[np.ndarray]:
        if self._teacher.lanes != activity.lanes:
            self._teacher = Activity(*self._shape, activity.lanes)
        self._teacher.forward(self._wires, self._biases, inputs)
        return [found - wanted for found, wanted in zip(activity.signals, self._teacher.signals, strict=True)]

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """See `Goal.derivative`."""
        loss, direct = 0.0, list[np.ndarray | None]()
        for away, scale in zip(self._distances(activity, inputs), self._scales, strict=True):
            loss += scale * float(np.vdot(away, away)) / len(which)
            direct.append(np.float32(2.0 * scale / len(which)) * away)
        return loss, direct

    def total(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]) -> float:
        """See `Goal.total`."""
        found = 0.0
        for n, (away, scale) in enumerate(zip(self._distances(activity, inputs), self._scales, strict=True)):
            found += scale * float(np.square(away, dtype=np.float64).sum())
            if noises[n].any():
                found += scale * float(noises[n] @ np.square(activity.received[n], dtype=np.float64).sum(axis=1))
        return found


def goal_of(instance: NetworkInstance, samples: Samples, lanes: int) -> Goal:
    """The goal that the instance's objective sets."""
    if isinstance(instance.objective, FunctionalError):
        return Functional(instance, samples, lanes)
    assert isinstance(instance.objective, TaskLoss)
    return CrossEntropy(instance.objective.labels, len(instance.layers))


def target_wires(instance: NetworkInstance, n: int, live: np.ndarray) -> Wires:
    """The target weights of layer `n` as wires; of the first layer those on live inputs."""
    target = instance.layers[n].target
    place = np.full(target.n_inputs, -1)
    chosen = live if n == 0 else np.arange(target.n_inputs)
    place[chosen] = np.arange(len(chosen))
    kept = place[target.indices] >= 0
    rows = target.row_of[kept]
    count = np.bincount(rows, minlength=target.n_rows)
    made = Wires.room(target.n_rows, int(count.max(initial=0)))
    made.count[:] = count
    at = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    made.inputs[rows, at] = place[target.indices[kept]]
    made.weights[rows, at] = target.weights[kept]
    return made
