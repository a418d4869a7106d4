"""The engine of slots: gradients against torch, values against the instance, one use of every cell after every step."""

from typing import Any

import numpy as np
import pytest
import torch
from matchopt_slots.binding import bindings
from matchopt_slots.course import Pace
from matchopt_slots.goals import goal_of
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee
from solvers.small_networks import network

from matchopt import FunctionalError, Gains, Limits, NetworkInstance, ScoreError

FREE = {"drop": True, "extra_inputs": True}
NOISE = {"variance": lambda rng, shape: 0.1 * rng.random(shape)}


def trainee(instance: NetworkInstance, lanes: int = 50, **rule: Any) -> tuple[Trainee, Samples]:
    """A network in training from the assignment of least weight error."""
    samples = Samples.of(instance, 0.1, np.random.default_rng(0))
    bound, biases = bindings(instance, Limits(), False, np.random.default_rng(1))
    assert bound is not None
    rule = {"threshold": 0.5, "exact": True} | rule
    return Trainee(instance, samples, goal_of(instance, samples, lanes), bound, biases, lanes, rule), samples


@pytest.mark.parametrize("goal", ["labels", "functional", "scores"])
@pytest.mark.parametrize("rules", [
    {}, FREE, FREE | {"adjustable": True}, FREE | {"hardware_biases": True}, FREE | {"chip": NOISE, "cells": 2},
    FREE | {"gains": Gains.interval(0.5, 2.0), "chip": NOISE},
])  # fmt: skip
def test_value_is_the_objective(rules: dict[str, Any], goal: str) -> None:
    """The value in training equals the instance's objective of the mapping, read noise included."""
    instance = network(1, goal == "labels", scores=goal == "scores", samples=1203, **rules)
    one, samples = trainee(instance)
    for step in range(1, 4):
        assert one.value(samples.all) == pytest.approx(instance.value(one.mapping), rel=1e-5)
        one.step(samples.training[:50], 0.1, 0.1, step)


@pytest.mark.parametrize("goal", ["labels", "functional", "scores"])
@pytest.mark.parametrize("constant", [True, False], ids=["hardware biases", "digital biases"])
def test_gradients_are_those_of_torch(constant: bool, goal: str) -> None:
    """The derivative by every weight, used or not, and by every bias agrees with automatic differentiation."""
    kind = {"labels": goal == "labels", "scores": goal == "scores"}
    instance = network(2, **kind, hardware_biases=constant, adjustable=not constant, **FREE)
    one, samples = trainee(instance)
    mapping, batch = one.mapping, samples.training[:50]
    one.step(batch, 0.0, 0.0, 1)
    objective = instance.objective
    weights = [torch.tensor(layer.realised(part), requires_grad=True) for layer, part in
               zip(instance.layers, mapping.layers, strict=True)]  # fmt: skip
    biases = [torch.zeros(len(w), dtype=torch.float64) if constant else torch.tensor(b, requires_grad=True)
              for w, b in zip(weights, instance.biases or weights, strict=True)]  # fmt: skip
    hidden, loss = torch.tensor(objective.rows(batch)), torch.zeros(())
    wanted = instance.target_signals(objective.rows(batch))
    for n, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        hidden = torch.relu(hidden) if n else hidden
        if constant:
            hidden = torch.column_stack([hidden, torch.ones(50, dtype=torch.float64)])
        hidden = hidden @ weight.T + bias
        if isinstance(objective, FunctionalError):
            loss = loss + ((hidden - torch.tensor(wanted[n])) ** 2).sum() / 50 / instance.signal_variances[n]
        elif n == len(weights) - 1 and isinstance(objective, ScoreError):
            found, ideal = (outputs - outputs.mean(1, keepdim=True) for outputs in (hidden, torch.tensor(wanted[n])))
            loss = 1 - (found * ideal).sum() ** 2 / (found**2).sum() / (ideal**2).sum()
        elif n == len(weights) - 1:
            loss = torch.nn.functional.cross_entropy(hidden, torch.tensor(objective.labels[batch]))
    loss.backward()
    for n, layer in enumerate(one.layers):
        live = samples.live if n == 0 else slice(None)
        assert layer.wishes.gradient == pytest.approx(weights[n].grad.numpy()[:, live], abs=1e-5)
        if not constant:
            assert layer.biases.gradient == pytest.approx(biases[n].grad.numpy(), abs=1e-5)


@pytest.mark.parametrize("rule", [{}, {"threshold": 0.0}, {"exact": False}], ids=str)
@pytest.mark.parametrize("cells", [-2, 0, 8])
def test_each_cell_once_after_every_step(cells: int, rule: dict[str, Any]) -> None:
    """After every step a row's used values are a sub-multiset of its hardware neuron's, bit for bit."""
    instance = network(3, True, cells=cells, **FREE)
    one, samples = trainee(instance, **rule)
    rng, hardware = np.random.default_rng(4), [layer.hardware.weights.copy() for layer in instance.layers]
    for step in range(1, 30):
        one.step(rng.permutation(samples.training)[:50], 0.1, 0.1, step)
        for n, (layer, part) in enumerate(zip(one.layers, one.mapping.layers, strict=True)):
            used = layer.wires
            for i, neuron in enumerate(part.neuron_of):
                places = used.cells[i, : used.count[i]]
                assert len(np.unique(places)) == len(places) == len(np.unique(used.inputs[i, : used.count[i]]))
                assert np.array_equal(used.weights[i, : used.count[i]], hardware[n][neuron, places].astype(np.float32))
            assert np.array_equal(instance.layers[n].hardware.weights, hardware[n])
            if rule.get("threshold") == 0.0 and cells <= 0:
                assert (used.count == instance.layers[n].hardware.n_cells).all()


@pytest.mark.parametrize(
    "rules", [{}, FREE, FREE | {"cells": -2}, {"cells": 2}, FREE | {"hardware_biases": True}], ids=str
)
def test_rebinding_brings_wires_nearer_to_the_wishes(rules: dict[str, Any]) -> None:
    """Rows move to other neurons, no two to one, and the realised weights are nearer to the wishes than before."""
    instance = network(5, True, **rules)
    one, samples = trainee(instance)
    for step in range(1, 9):
        one.step(samples.training[:50], 0.3, 0.1, step)

    def distance() -> float:
        """Between wishes and what is realised, over all layers."""
        found = 0.0
        for n, (layer, made) in enumerate(zip(instance.layers, one.mapping.layers, strict=True)):
            live = samples.live if n == 0 else slice(None)
            away = one.layers[n].wishes.values - layer.realised(made)[:, live]
            if not layer.rules.drop:  # wishes for other inputs cannot come true
                away = away[(layer.target.dense() != 0)[:, live]]
            found += float((away**2).sum())
        return found

    before, neurons = distance(), [part.neuron_of for part in one.mapping.layers]
    one.rebind()
    after = [part.neuron_of for part in one.mapping.layers]
    assert distance() < before - 1e-3
    assert all(len(np.unique(part)) == len(part) for part in after)
    assert any((old != new).any() for old, new in zip(neurons, after, strict=True))


def test_pace_falls_to_zero() -> None:
    """Without a time limit the rate falls in a straight line or a cosine, and steps end as planned."""
    for schedule, middle in (("linear", 0.75), ("cosine", 0.5 + 0.25 * 2**0.5)):
        pace, factors = Pace(Limits(), 1000, schedule), []
        pace.begin()
        while not pace.over:
            factors.append(pace.factor)
            pace.step()
        assert len(factors) == pace.steps == 1000 and pace.complete
        assert factors[0] == 1.0 and factors[250] == pytest.approx(middle) and factors[-1] < 0.002


@pytest.mark.parametrize("stall", [0.0, 1.0])
def test_pace_is_cut_to_the_time_there_is(monkeypatch: pytest.MonkeyPatch, stall: float) -> None:
    """At 10 ms a step, 3 s hold some 280 of 1000 steps; a stall costs its own time only, and the rate ends at 0."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(Limits(seconds=3.0, began=100.0), 1000, "linear")
    pace.begin()
    now[0] += stall
    while not pace.over:
        last = pace.factor
        now[0] += 0.01
        pace.step()
    assert 270 < pace.steps + 100 * stall < 290 and not pace.complete and last < 0.01


def test_pace_does_not_ask_the_clock_where_time_is_ample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that fits is followed step for step, whatever single steps take."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(Limits(seconds=60.0, began=0.0), 1000, "linear")
    pace.begin()
    for step in range(1000):
        assert pace.factor == pytest.approx(1.0 - step / 1000, abs=1e-12)
        now[0] += 0.5 if step == 3 else 0.01
        pace.step()
    assert pace.over and pace.complete
