"""Slots on convolutional and recurrent networks: its slopes are those of its own loss, and training pays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from solvers.shaped_networks import ARCHITECTURES, counting, shaped

from matchopt import Limits
from matchopt.checker import check

pytest.importorskip("torch")
slots: Any = pytest.importorskip("matchopt_slots")
FREE: dict[str, Any] = {"drop": True, "extra_inputs": True}
OBJECTIVES = ("task-loss", "functional-error", "score-error")


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("biases", ["adjustable", "hardware"])
@pytest.mark.slow
def test_training_pays_and_its_value_is_the_objective(name: str, objective: str, biases: str) -> None:
    """Better than what it begins with; the value it reports is the checker's up to single precision."""
    instance = shaped(name, objective, biases=biases, samples=120, variance=0.01, **FREE)
    limits = Limits()
    slots.Slots(epochs=0).solve(instance, limits, np.random.default_rng(0))
    begun = limits.best_value
    limits = Limits()
    result = slots.Slots(epochs=8, batch=20, rebind=1, held_out=0.0).solve(instance, limits, np.random.default_rng(0))
    report = check(instance, result.solution)
    assert report.feasible
    assert report.objective == pytest.approx(limits.best_value, rel=1e-4)
    assert report.objective < begun


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_slopes_are_those_of_the_loss(name: str, objective: str) -> None:
    """Of every bias; weights have the same slopes times what they receive."""
    from matchopt_slots.binding import bindings
    from matchopt_slots.goals import goal_of
    from matchopt_slots.samples import Samples
    from matchopt_slots.trainee import Trainee

    instance = shaped(name, objective, samples=20, **FREE)
    if name == "every" and objective == "task-loss":
        labels = instance.objective.classes.copy()  # type: ignore[union-attr]
        labels[3:7, 1] = -1
        instance = replace(instance, objective=replace(instance.objective, labels=labels))  # type: ignore[type-var]
    rng = np.random.default_rng(0)
    samples = Samples.of(instance, 0.0, rng)
    bound, biases = bindings(instance, Limits(), False, rng)
    rule: dict[str, float | bool] = {"threshold": 0.5, "exact": True}
    trainee = Trainee(instance, samples, goal_of(instance, samples, 20), bound, biases, 20, rule)
    trainee.step(np.arange(20), 0.0, 0.0, 1)
    for layer in trainee.layers:
        told, measured = layer.biases.gradient.copy(), []
        for i in range(len(told)):
            ends = []
            for step in (0.003, -0.003):
                layer.biases.values[i] += step
                ends.append(trainee.value(np.arange(20)))
                layer.biases.values[i] -= step
            measured.append((ends[0] - ends[1]) / 0.006)
        assert np.linalg.norm(told - measured) < 0.05 * np.linalg.norm(measured) + 1e-4


def test_samples_of_which_no_frame_counts_teach_and_judge_nothing() -> None:
    """Among those trained on and those held out are none but samples that count, however few these are."""
    instance, limits = counting(shaped("every", "task-loss", samples=40, **FREE), 2), Limits()
    result = slots.Slots(epochs=2, batch=1).solve(instance, limits, np.random.default_rng(0))
    report = check(instance, result.solution)
    assert report.feasible and report.objective == pytest.approx(limits.best_value, rel=1e-4)
