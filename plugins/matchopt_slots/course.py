"""One run of the solver: what it begins with, in what arithmetic, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from matchopt import Limits, NetworkInstance
from matchopt_slots.binding import bindings
from matchopt_slots.goals import goal_of
from matchopt_slots.learning import Keeper, train
from matchopt_slots.pace import Pace
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee

if TYPE_CHECKING:
    from matchopt_slots.slots import Slots


def run(
    options: Slots, instance: NetworkInstance, limits: Limits, rng: np.random.Generator
) -> tuple[int, bool, Pace, Keeper | None]:
    """Begin, judge the beginning, and train; see `Slots`.

    Returns
    -------
    The number of epochs, whether every loss was a number, the pace, and the best mapping (None where none exists).
    """
    samples = Samples.of(instance, options.held_out, rng)
    lanes = min(options.batch, len(samples.training))
    epochs = options.epochs if limits.iterations is None else min(options.epochs, limits.iterations)
    pace = Pace(limits, epochs * (len(samples.training) // lanes), options.schedule)
    bound, biases = bindings(instance, limits, options.start == "scratch", rng)
    if bound is None:
        return 0, True, pace, None
    with steady_arithmetic(limits.threads):
        goal = goal_of(instance, samples, lanes)
        nearest: dict[str, float | bool] = {"threshold": 0.5, "exact": True}  # makes of a start what it was
        keeper = Keeper(Trainee(instance, samples, goal, bound, biases, lanes, nearest), samples, limits)
        if not keeper.judge():
            return 0, False, pace, keeper
        rule: dict[str, float | bool] = {"threshold": options.threshold, "exact": options.projection == "exact"}
        shaken = [part.shaken(layer, rng) for part, layer in zip(bound, instance.layers, strict=True)]
        keeper.trainee = Trainee(instance, samples, goal, shaken, biases, lanes, rule, options.ignore)
        rates = (options.rate, options.bias_rate)
        begun, well = train(keeper.trainee, keeper, pace, epochs, lanes, rates, options.rebind, rng)
    return begun, well, pace, keeper


@contextmanager
def steady_arithmetic(threads: int) -> Iterator[None]:
    """A fixed number of threads, and numbers too small for full precision become zero, as they are slow."""
    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
