"""One run of the solver: what it begins with, in what arithmetic, and in which order."""

from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkInstance
from matchopt.network import steady_arithmetic
from matchopt_slots.binding import bindings
from matchopt_slots.goals import goal_of
from matchopt_slots.learning import Keeper, train
from matchopt_slots.pace import Pace, Schedule
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee


@dataclass(frozen=True)
class Plan:
    """The options of `Slots`, which explains them."""

    epochs: int
    rate: float
    bias_rate: float
    batch: int
    start: str
    threshold: float
    projection: str
    schedule: Schedule
    rebind: int
    ignore: float
    held_out: float


def run(
    plan: Plan, instance: NetworkInstance, limits: Limits, rng: np.random.Generator
) -> tuple[int, bool, Pace, Keeper | None]:
    """Begin, judge the beginning, and train; see `Slots`.

    Returns
    -------
    The number of epochs, whether every loss was a number, the pace, and the best mapping (None where none exists).
    """
    samples = Samples.of(instance, plan.held_out, rng)
    lanes = min(plan.batch, len(samples.training))
    epochs = plan.epochs if limits.iterations is None else min(plan.epochs, limits.iterations)
    pace = Pace(limits, epochs * (len(samples.training) // lanes), plan.schedule)
    bound, biases = bindings(instance, limits, plan.start == "scratch", rng)
    if bound is None:
        return 0, True, pace, None
    with steady_arithmetic(limits.threads):
        goal = goal_of(instance, samples, lanes)
        nearest: dict[str, float | bool] = {"threshold": 0.5, "exact": True}  # makes of a start what it was
        keeper = Keeper(Trainee(instance, samples, goal, bound, biases, lanes, nearest), samples, limits)
        if not keeper.judge():
            return 0, False, pace, keeper
        rule: dict[str, float | bool] = {"threshold": plan.threshold, "exact": plan.projection == "exact"}
        shaken = [part.shaken(layer, rng) for part, layer in zip(bound, instance.layers, strict=True)]
        keeper.trainee = Trainee(instance, samples, goal, shaken, biases, lanes, rule, plan.ignore)
        rates = (plan.rate, plan.bias_rate)
        begun, well = train(keeper.trainee, keeper, pace, epochs, lanes, rates, plan.rebind, rng)
    return begun, well, pace, keeper
