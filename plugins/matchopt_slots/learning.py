"""The course of training: epochs, the judgement at the end of each, and what is kept."""

import math
import time
from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkMapping
from matchopt_slots.pace import Pace
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee

JUDGEMENTS = 20  # times over a course that a state is judged, about: judging one takes as long as some hundred steps
REBOUND = 0.4  # share of the course in which rows change neurons; later there would be too little time to recover
MARGIN = 2e-6  # what an objective, summed in single precision, must fall to be better for sure


@dataclass
class Keeper:
    """Keeps the best mapping so far and reports it.

    A mapping is better if it is so on the samples held out and by the objective on all samples.

    Parameters
    ----------
    trainee : the network in training.
    samples : its samples.
    limits : receives the mappings.
    """

    trainee: Trainee
    samples: Samples
    limits: Limits
    best: NetworkMapping | None = None
    value: float = math.inf
    held_out: float = math.inf

    def judge(self) -> bool:
        """Judge what the trainee is now; returns whether its value on the samples held out is a number at all."""
        held_out = self.trainee.value(self.samples.held_out)
        if not math.isfinite(held_out):
            return False
        if held_out < self.held_out:
            value = self.trainee.value(self.samples.all)
            if value < self.value - MARGIN * max(1.0, abs(value)):
                self.best, self.value, self.held_out = self.trainee.mapping, value, held_out
                self.limits.report(self.best)
        return True


def train(
    trainee: Trainee,
    keeper: Keeper,
    pace: Pace,
    epochs: int,
    lanes: int,
    rates: tuple[float, float],
    rebind: int,
    rng: np.random.Generator,
) -> tuple[int, bool]:
    """Train until the pace or the time is over; returns the number of epochs begun and whether all went well.

    Parameters
    ----------
    trainee, keeper, pace : the network, what keeps its best state, and the plan.
    epochs : most epochs.
    lanes : samples of a step.
    rates : full learning rates of wishes and of biases.
    rebind : times that rows are given other hardware neurons.
    rng : shuffles the samples.
    """
    moments = [REBOUND * (k + 1) / rebind for k in range(rebind)]
    limits, begun, judged = keeper.limits, 0, 0.0
    pace.begin()
    for _ in limits.steps(epochs):
        begun += 1
        for batch in keeper.samples.batches(lanes, rng):
            if pace.over or limits.reached():
                break
            loss = trainee.step(batch, rates[0] * pace.factor, rates[1] * pace.factor, pace.steps + 1)
            pace.step()
            if not math.isfinite(loss):
                return begun, False
            if moments and pace.done >= moments[0] and not pace.over:
                moments.pop(0)
                trainee.rebind()
        ended = pace.over or limits.reached() is not None or begun == epochs
        if ended or pace.done - judged >= 1.0 / JUDGEMENTS:
            began, judged = time.monotonic(), pace.done
            if not keeper.judge():
                return begun, False
            pace.judged(time.monotonic() - began)
        if ended:
            break
    return begun, True
