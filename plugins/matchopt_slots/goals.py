"""What is minimised: the mean cross-entropy, or how far signals or scores are from the target network's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from matchopt import FunctionalError, NetworkInstance, ScoreError, TaskLoss
from matchopt_slots.layers import Activity
from matchopt_slots.samples import Samples
from matchopt_slots.scores import Scores
from matchopt_slots.teacher import Teacher


class Goal(Protocol):
    """An objective of samples."""

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """Mean loss of the samples `which` after a forward pass, and its derivative by the signals of every layer."""
        ...

    def sums(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]
    ) -> np.ndarray:
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

    def sums(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See `Goal.sums`."""
        logits = activity.signals[-1].astype(np.float64)
        logits -= logits.max(axis=0)
        chosen = logits[self.labels[which], np.arange(len(which))]
        return np.array([(np.log(np.exp(logits).sum(axis=0)) - chosen).sum()])


class Functional(Goal):
    """Squared distance of every layer's signals from the target network's, over the variance of those; no labels."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._teacher = Teacher(instance, samples, lanes)
        self._scales = [1.0 / variance for variance in instance.signal_variances]

    def _distances(self, activity: Activity, inputs: np.ndarray) -> list[np.ndarray]:
        wanted = self._teacher.signals(inputs, activity.lanes)
        return [found - wished for found, wished in zip(activity.signals, wanted, strict=True)]

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """See `Goal.derivative`."""
        loss, direct = 0.0, list[np.ndarray | None]()
        for away, scale in zip(self._distances(activity, inputs), self._scales, strict=True):
            loss += scale * float(np.vdot(away, away)) / len(which)
            direct.append(np.float32(2.0 * scale / len(which)) * away)
        return loss, direct

    def sums(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See `Goal.sums`."""
        found = 0.0
        for n, (away, scale) in enumerate(zip(self._distances(activity, inputs), self._scales, strict=True)):
            found += scale * float(np.square(away, dtype=np.float64).sum())
            if noises[n].any():
                found += scale * float(noises[n] @ np.square(activity.received[n], dtype=np.float64).sum(axis=1))
        return np.array([found])


def goal_of(instance: NetworkInstance, samples: Samples, lanes: int) -> Goal:
    """The goal that the instance's objective sets."""
    if isinstance(instance.objective, FunctionalError):
        return Functional(instance, samples, lanes)
    if isinstance(instance.objective, ScoreError):
        return Scores(instance, samples, lanes)
    assert isinstance(instance.objective, TaskLoss)
    return CrossEntropy(instance.objective.labels, len(instance.layers))
