"""The score error as a goal of training."""

import math
from collections.abc import Sequence

import numpy as np

from matchopt import NetworkInstance
from matchopt_slots.layers import Activity
from matchopt_slots.samples import Samples
from matchopt_slots.teacher import Teacher


class Scores:
    """The score error: the angle between all scores of a batch and the target network's; no labels."""

    def __init__(self, instance: NetworkInstance, samples: Samples, lanes: int) -> None:
        self._teacher = Teacher(instance, samples, lanes)

    def _scores(self, activity: Activity, inputs: np.ndarray) -> list[np.ndarray]:
        """Wanted and found."""
        both = (self._teacher.signals(inputs, activity.lanes)[-1], activity.signals[-1])
        exact = (outputs.astype(np.float64) for outputs in both)
        return [outputs - outputs.mean(axis=0) if len(outputs) > 1 else outputs for outputs in exact]

    def derivative(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray
    ) -> tuple[float, list[np.ndarray | None]]:
        """See `matchopt_slots.goals.Goal`; where scores point away from the target's the loss goes on, 1 to 2."""
        wanted, found = self._scores(activity, inputs)
        sizes = math.sqrt(float(np.vdot(wanted, wanted))), math.sqrt(float(np.vdot(found, found)))
        if min(sizes) == 0.0:
            return 1.0, [*([None] * (len(activity.signals) - 1)), np.zeros_like(activity.signals[-1])]
        cosine = float(np.vdot(wanted, found)) / (sizes[0] * sizes[1])
        turn = wanted / (sizes[0] * sizes[1]) - found * (cosine / sizes[1] ** 2)
        delta = (-2.0 * abs(cosine) * turn).astype(np.float32)
        return 1.0 - cosine * abs(cosine), [*([None] * (len(activity.signals) - 1)), delta]

    def sums(
        self, which: np.ndarray, activity: Activity, inputs: np.ndarray, noises: Sequence[np.ndarray]
    ) -> np.ndarray:
        """See `matchopt_slots.goals.Goal`."""
        wanted, found = self._scores(activity, inputs)
        noise = float(noises[-1] @ np.square(activity.received[-1], dtype=np.float64).sum(axis=1))
        noise *= 1.0 - 1.0 / len(found) if len(found) > 1 else 1.0
        return np.array([np.vdot(wanted, wanted), np.vdot(wanted, found), np.vdot(found, found) + noise])

    def value(self, sums: np.ndarray, count: int) -> float:
        """See `matchopt_slots.goals.Goal`."""
        wanted, common, found = sums.tolist()
        if math.isnan(common + found):
            return math.nan
        return 1.0 - common**2 / (wanted * found) if common > 0.0 else 1.0
