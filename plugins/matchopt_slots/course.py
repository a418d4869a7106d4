"""One run of the solver: what it begins with, epochs that end in time, and the judgement of what they made."""

import math
import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from matchopt import Limits, NetworkInstance
from matchopt.network import steady_arithmetic
from matchopt_slots.binding import bindings
from matchopt_slots.goals import goal_of
from matchopt_slots.options import Options
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee

JUDGEMENTS = 20  # times over a course that a state is judged, about: judging one takes as long as some hundred steps
REBOUND = 0.4  # share of the course in which rows change neurons; later there would be too little time to recover
MARGIN = 2e-6  # what an objective, summed in single precision, must fall to be better for sure
SHARE = 0.95  # of the time that is left when training begins is planned with
FIRST_LOOK = 200  # steps, or share EARLY of the time, after which the time that a step takes is judged
EARLY = 0.05
Schedule = Literal["linear", "cosine"]


class Pace:
    """Counts steps towards a planned number of them, or time towards the limit where that comes first.

    Where time is long enough for all steps nothing depends on the clock. Where it is not, progress is the share of the
    time that has passed, so that a slow moment early on costs its own time and no more.

    Parameters
    ----------
    limits : the time limit.
    steps : number of steps planned.
    schedule : how the learning rate falls to 0.
    """

    def __init__(self, limits: Limits, steps: int, schedule: Schedule) -> None:
        self._limits, self._planned, self._schedule = limits, steps, schedule
        self._began, self._room, self._judging = 0.0, math.inf, 0.0
        self.steps, self.done = 0, 0.0 if steps else 1.0

    def begin(self) -> None:
        """Start the clock of training."""
        self._began, self._room = time.monotonic(), SHARE * self._limits.remaining()

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self.done >= 1.0

    @property
    def complete(self) -> bool:
        """Whether all planned steps have been taken."""
        return self.steps >= self._planned

    @property
    def factor(self) -> float:
        """Share of the full learning rate for the next step."""
        return 1.0 - self.done if self._schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * self.done))

    def step(self) -> None:
        """Count one step."""
        self.steps += 1
        self.done = max(self.done, self.steps / self._planned)
        if math.isinf(self._room):
            return
        passed, room = time.monotonic() - self._began, max(self._room - self._judging, 1e-9)
        known = self.steps >= FIRST_LOOK or passed >= EARLY * room
        if known and passed / self.steps * self._planned > room:
            self.done = min(1.0, max(self.done, passed / room))

    def judged(self, seconds: float) -> None:
        """Take note of how long judging a state took; one more at the end must fit."""
        self._judging = max(self._judging, seconds)


@dataclass
class Course:
    """Trains a network, and offers what is better on the samples held out and by the objective on all samples.

    Parameters
    ----------
    plan, samples, limits, pace : the options, what is trained on, what receives the mappings, and how far it is.

    Attributes
    ----------
    begun : number of epochs begun.
    well : whether every loss was a number.
    held_out : value of the best mapping on the samples held out.
    """

    plan: Options
    samples: Samples
    limits: Limits
    pace: Pace
    begun: int = 0
    well: bool = True
    held_out: float = math.inf

    def judge(self, trainee: Trainee) -> bool:
        """Judge what the trainee is now; returns whether its value on the samples held out is a number at all."""
        held_out = trainee.value(self.samples.held_out)
        self.well = math.isfinite(held_out)
        if held_out < self.held_out:
            value = trainee.value(self.samples.all)
            if value < self.limits.best_value - MARGIN * max(1.0, abs(value)):
                self.held_out = held_out
                self.limits.offer(trainee.mapping, value)
        return self.well

    def train(self, trainee: Trainee, epochs: int, lanes: int, rng: np.random.Generator) -> None:
        """Train until the pace or the time is over, or a loss is no number.

        Parameters
        ----------
        trainee : the network in training.
        epochs : most epochs.
        lanes : samples of a step.
        rng : shuffles the samples.
        """
        pace, judged = self.pace, 0.0
        moments = [REBOUND * (k + 1) / self.plan.rebind for k in range(self.plan.rebind)]
        pace.begin()
        for _ in self.limits.steps(epochs):
            self.begun += 1
            for batch in self.samples.batches(lanes, rng):
                if pace.over or self.limits.reached():
                    break
                rates = self.plan.rate * pace.factor, self.plan.bias_rate * pace.factor
                self.well = math.isfinite(trainee.step(batch, *rates, pace.steps + 1))
                pace.step()
                if not self.well:
                    return
                if moments and pace.done >= moments[0] and not pace.over:
                    moments.pop(0)
                    trainee.rebind()
            ended = pace.over or self.limits.reached() is not None or self.begun == epochs
            if ended or pace.done - judged >= 1.0 / JUDGEMENTS:
                began, judged = time.monotonic(), pace.done
                if not self.judge(trainee):
                    return
                pace.judged(time.monotonic() - began)
            if ended:
                return


def run(plan: Options, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Course | None:
    """Begin, judge the beginning, and train; see `Slots`. None where no mapping is feasible."""
    samples = Samples.of(instance, plan.held_out, rng)
    lanes = min(plan.batch, len(samples.training))
    epochs = plan.epochs if limits.iterations is None else min(plan.epochs, limits.iterations)
    course = Course(plan, samples, limits, Pace(limits, epochs * (len(samples.training) // lanes), plan.schedule))
    bound, biases = bindings(instance, limits, plan.start == "scratch", rng)
    if bound is None:
        return None
    with steady_arithmetic(limits.threads):
        goal = goal_of(instance, samples, lanes)
        nearest: dict[str, float | bool] = {"threshold": 0.5, "exact": True}  # makes of a start what it was
        if course.judge(Trainee(instance, samples, goal, bound, biases, lanes, nearest)):
            rule: dict[str, float | bool] = {"threshold": plan.threshold, "exact": plan.projection == "exact"}
            shaken = [part.shaken(layer, rng) for part, layer in zip(bound, instance.layers, strict=True)]
            trainee = Trainee(instance, samples, goal, shaken, biases, lanes, rule, plan.ignore)
            course.train(trainee, epochs, lanes, rng)
    return course
