"""What is minimised: the mean cross-entropy, or how far signals or scores are from the target network's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch

from matchopt import FunctionalError, NetworkInstance, ScoreError, kernels
from matchopt_slots.layers import Activity
from matchopt_slots.run_activity import RunActivity
from matchopt_slots.samples import Samples

Slopes = tuple[float, list[np.ndarray | None]]  # a loss, and its derivative by the signals of every layer
UNCOUNTED = -1  # label of a frame that does not count
Noises = Sequence[np.ndarray]  # read-noise variance on every input of every layer


class Goal(Protocol):
    """An objective of samples."""

    def derivative(self, which: np.ndarray, activity: Activity, inputs: np.ndarray) -> Slopes:
        """Mean loss of the samples `which` after a forward pass, and its derivative by the signals of every layer."""
        ...

    def sums(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Noises) -> np.ndarray:
        """What adds up over samples; `noises` is the read-noise variance on every input of every layer."""
        ...

    def value(self, sums: np.ndarray, count: int) -> float:
        """The objective, from the sums over `count` samples; a mean unless told."""
        return float(sums[0]) / count


@dataclass(frozen=True, eq=False)
class CrossEntropy(Goal):
    """Mean cross-entropy; the read noise does not count."""

    labels: np.ndarray
    n_layers: int

    def derivative(self, which: np.ndarray, activity: Activity, inputs: np.ndarray) -> Slopes:
        labels, lanes, counted = self._answers(which)
        logits = torch.from_numpy(activity.answers)
        logs = torch.log_softmax(logits, dim=0).numpy()
        loss = -float(logs[labels, lanes].mean())
        delta = np.exp(logs)
        delta[labels, lanes] -= 1.0
        delta /= len(labels)
        if counted is not None:
            delta[:, ~counted] = 0.0
        return loss, [*([None] * (self.n_layers - 1)), activity.by_signals(delta)]

    def sums(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Noises) -> np.ndarray:
        labels, lanes, _ = self._answers(which)
        logits = activity.answers.astype(np.float64)
        logits -= logits.max(axis=0)
        chosen = logits[labels, lanes]
        return np.array([(np.log(np.exp(logits).sum(axis=0))[lanes] - chosen).sum(), len(labels)])

    def value(self, sums: np.ndarray, count: int) -> float:
        return float(sums[0]) / float(sums[1])

    def _answers(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Labels of the answers that count, their columns, and a mask of these where some do not count."""
        labels = self.labels[which]
        if labels.ndim == 1:
            return labels, np.arange(len(which)), None
        counted = labels.ravel() != UNCOUNTED
        return labels.ravel()[counted], np.flatnonzero(counted), counted


class Functional(Goal):
    """Squared distance of every layer's signals from the target network's, over the variance of those; no labels."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._teacher = Teacher(instance, samples, lanes)
        pairs = zip(instance.signal_variances, instance.runs.places, strict=True)
        self._scales = [1.0 / variance / places for variance, places in pairs]

    def _distances(self, activity: Activity, inputs: np.ndarray) -> list[np.ndarray]:
        wanted = self._teacher.after(inputs, activity.lanes).signals
        return [found - wished for found, wished in zip(activity.signals, wanted, strict=True)]

    def derivative(self, which: np.ndarray, activity: Activity, inputs: np.ndarray) -> Slopes:
        loss, direct = 0.0, list[np.ndarray | None]()
        for away, scale in zip(self._distances(activity, inputs), self._scales, strict=True):
            loss += scale * float(np.vdot(away, away)) / len(which)
            direct.append(np.float32(2.0 * scale / len(which)) * away)
        return loss, direct

    def sums(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Noises) -> np.ndarray:
        found = 0.0
        for n, (away, scale) in enumerate(zip(self._distances(activity, inputs), self._scales, strict=True)):
            found += scale * float(np.square(away, dtype=np.float64).sum())
            if noises[n].any():
                found += scale * float(noises[n] @ np.square(activity.received[n], dtype=np.float64).sum(axis=1))
        return np.array([found])


class Scores(Goal):
    """The score error: the angle between all scores of a batch and the target network's; no labels."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._teacher = Teacher(instance, samples, lanes)

    def _scores(self, activity: Activity, inputs: np.ndarray) -> list[np.ndarray]:
        """Wanted and found."""
        both = (self._teacher.after(inputs, activity.lanes).answers, activity.answers)
        exact = (outputs.astype(np.float64) for outputs in both)
        return [outputs - outputs.mean(axis=0) if len(outputs) > 1 else outputs for outputs in exact]

    def derivative(self, which: np.ndarray, activity: Activity, inputs: np.ndarray) -> Slopes:
        """See `Goal.derivative`; where scores point away from the target's the loss goes on, 1 to 2."""
        wanted, found = self._scores(activity, inputs)
        sizes = math.sqrt(float(np.vdot(wanted, wanted))), math.sqrt(float(np.vdot(found, found)))
        if min(sizes) == 0.0:
            return 1.0, [*([None] * (len(activity.signals) - 1)), activity.by_signals(np.zeros_like(activity.answers))]
        cosine = float(np.vdot(wanted, found)) / (sizes[0] * sizes[1])
        turn = wanted / (sizes[0] * sizes[1]) - found * (cosine / sizes[1] ** 2)
        delta = (-2.0 * abs(cosine) * turn).astype(np.float32)
        return 1.0 - cosine * abs(cosine), [*([None] * (len(activity.signals) - 1)), activity.by_signals(delta)]

    def sums(self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Noises) -> np.ndarray:
        wanted, found = self._scores(activity, inputs)
        noise = float(noises[-1] @ np.square(activity.received[-1], dtype=np.float64).sum(axis=1))
        noise *= 1.0 - 1.0 / len(found) if len(found) > 1 else 1.0
        noise /= activity.reads**2
        return np.array([np.vdot(wanted, wanted), np.vdot(wanted, found), np.vdot(found, found) + noise])

    def value(self, sums: np.ndarray, count: int) -> float:
        wanted, common, found = sums.tolist()
        if math.isnan(common + found):
            return math.nan
        return 1.0 - common**2 / (wanted * found) if common > 0.0 else 1.0


def goal_of(instance: NetworkInstance, samples: Samples, lanes: int) -> Goal:
    """The goal that the instance's objective sets."""
    objective = instance.objective
    assert objective is not None
    if objective.classes is not None:
        return CrossEntropy(objective.classes, len(instance.layers))
    made = {FunctionalError.name: Functional, ScoreError.name: Scores}[objective.name]
    return made(instance, samples, lanes)


class Teacher:
    """Gives the signals of the target network, which runs beside the one in training."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._wires = [target_wires(instance, n, samples.live) for n in range(len(instance.layers))]
        given = instance.biases or tuple(np.zeros(layer.n_rows) for layer in instance.layers)
        self._biases = [bias.astype(np.float32) for bias in given]
        self._made = partial(activity_of, instance, samples)
        self._activity = self._made(lanes)

    def after(self, inputs: np.ndarray, lanes: int) -> Activity:
        """The activity on these inputs; valid until the next call."""
        if self._activity.lanes != lanes:
            self._activity = self._made(lanes)
        self._activity.forward(self._wires, self._biases, inputs)
        return self._activity


def activity_of(instance: NetworkInstance, samples: Samples, lanes: int) -> Activity:
    """Room for the signals of so many samples."""
    if not instance.runs.plain:
        return RunActivity(instance.runs, samples.constant, lanes)
    return Activity([layer.n_rows for layer in instance.layers], len(samples.live), samples.constant, lanes)


def target_wires(instance: NetworkInstance, n: int, live: np.ndarray) -> kernels.Wires:
    """The target weights of layer `n` as wires; of the first layer those on live inputs."""
    target = instance.layers[n].target
    place = np.full(target.n_inputs, -1)
    chosen = live if n == 0 else np.arange(target.n_inputs)
    place[chosen] = np.arange(len(chosen))
    kept = place[target.indices] >= 0
    rows = target.row_of[kept]
    count = np.bincount(rows, minlength=target.n_rows)
    made = kernels.Wires.room(target.n_rows, int(count.max(initial=0)))
    made.count[:] = count
    at = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    made.inputs[rows, at] = place[target.indices[kept]]
    made.weights[rows, at] = target.weights[kept]
    return made
