"""Reroute on convolutional and recurrent networks: true to its accounts, and better by its sweeps."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matchopt_corrections.beginning import begin
from matchopt_reroute import Reroute
from matchopt_reroute.course import Course, prepared
from matchopt_reroute.run_descent import RunDescent
from matchopt_reroute.run_goal import RunGoal
from matchopt_reroute.run_state import RunState
from solvers.shaped_networks import ARCHITECTURES, shaped

from matchopt import Hardware, Limits, NetworkInstance
from matchopt.checker import check

FREE: dict[str, Any] = {"drop": True, "extra_inputs": True}
SLOWER = [pytest.param(biases, marks=pytest.mark.slow) for biases in ("free", "hardware")]


def begun(instance: NetworkInstance, outputs_only: bool, rounds: int = 0) -> tuple[RunState, RunGoal]:
    """The state after the first pass."""
    rng = np.random.default_rng(0)
    tasks, taught, kinds = prepared(instance, 4000, True, 1, rng)
    free = outputs_only and (instance.adjustable or instance.biases is None)
    course = Course(instance, tasks, taught, outputs_only, free, 64, 0.003, 1e-3, rounds, 0, lambda: False, kinds)
    state = course.run(None, lambda mapping: None, rng)
    assert isinstance(state, RunState)
    return state, RunGoal(state, outputs_only)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("biases", ["adjustable", *SLOWER])
def test_the_first_pass_and_the_sweeps_pay(name: str, biases: str) -> None:
    """Feasible whatever the biases are; sweeps lower the error aimed at; the best weights are worse.

    Not so with hardware biases: these targets give nearly constant answers then, which nobody gets wrong.
    """
    instance = shaped(name, biases=biases, **FREE)
    result = Reroute(rounds=1).solve(instance, Limits(), np.random.default_rng(0))
    report = check(instance, result.solution)
    assert report.feasible
    assert report.objective == pytest.approx(instance.value(result.solution), rel=1e-9)
    matched = begin(instance, Limits())
    assert matched is not None
    assert biases == "hardware" or report.objective < 0.8 * instance.value(matched)
    (_, before), (_, after) = (begun(instance, True, rounds) for rounds in (0, 3))
    assert after.value() < 0.95 * before.value()


def test_too_few_samples_are_not_swept_over() -> None:
    """Unless rounds are asked for: sweeps would fit those few alone."""
    instance = shaped("last", **FREE)
    connections = sum(layer.target.n_connections for layer in instance.layers)
    for samples, rounds in ((connections // 10 - 1, 0), (200, 3)):
        by_itself, asked, other = (
            Reroute(rounds=n, samples=samples).solve(instance, Limits(), np.random.default_rng(0)).solution.digest
            for n in (None, rounds, 3 - rounds)
        )
        assert by_itself == asked != other


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("outputs_only", [True, False])
def test_slopes_and_accounts_are_those_of_the_mapping(name: str, outputs_only: bool) -> None:
    """Half the error's derivative by every weight and bias; the total after sweeps; the functional error itself."""
    instance = shaped(name, "functional-error", samples=40, variance=0.0 if outputs_only else 0.01, **FREE)
    state, goal = begun(instance, outputs_only)
    rng = np.random.default_rng(1)
    descent = RunDescent(state, goal, 1e-3, lambda: False)
    told: list[float] = []
    measured: list[float] = []
    for n, mapped in enumerate(state.layers):
        slope = descent._slope(n, np.arange(len(mapped.gain)))
        for _ in range(6):
            i, x = int(rng.integers(len(mapped.gain))), int(rng.integers(mapped.weights.shape[1] + 1))
            array, at = (mapped.bias, i) if x == mapped.weights.shape[1] else (mapped.weights, (i, x))
            kept, ends = array[at], []
            for step in (0.003, -0.003):
                array[at] = kept + step
                ends.append(goal.after(n, state.trial(n)))
            array[at] = kept
            told.append(float(slope[i, x]))
            measured.append((ends[0] - ends[1]) / 0.012)
    away = np.linalg.norm(np.subtract(told, measured))
    assert away < 0.05 * np.linalg.norm(measured)  # kinks and single precision apart
    for n in reversed(range(len(state.layers))):
        goal.refresh()
        before, accepted = goal.total, descent.sweep(n, rng)
        assert goal.total == pytest.approx(goal.after(0, state.trial(0)), rel=1e-4)
        assert goal.total < before if accepted else goal.total == pytest.approx(before)
    if not outputs_only:
        assert goal.value() * len(state.taught.answers) / 40 == pytest.approx(instance.value(state.mapping()), rel=1e-2)


def test_curvature_is_that_of_the_squares_seen_at_all_places() -> None:
    """Of rows of the last layer, where the error is a quadratic function of the weights."""
    instance = shaped("mean", samples=30, **FREE)
    state, goal = begun(instance, True)
    descent, last = RunDescent(state, goal, 1e-3, lambda: False), len(state.layers) - 1
    mapped = state.layers[last]
    rows = np.arange(len(mapped.gain))
    slope, curvature = descent._slope(last, rows), descent._curvature(last, rows, np.random.default_rng(0))
    change = np.random.default_rng(2).standard_normal(slope.shape[1]).astype(np.float32)
    for i in rows:
        before = goal.after(last, state.trial(last))
        mapped.weights[i] += change[:-1]
        mapped.bias[i] += change[-1]
        after = goal.after(last, state.trial(last))
        mapped.weights[i] -= change[:-1]
        mapped.bias[i] -= change[-1]
        assert after - before == pytest.approx(2 * slope[i] @ change + change @ curvature[i] @ change, rel=1e-3)


@pytest.mark.parametrize("name", ["maximum", "mean"])
def test_same_seed_same_answer_and_starts_are_kept(name: str) -> None:
    """With any number of threads; and an answer is never worse than the start."""
    instance = shaped(name, "task-loss", samples=60, **FREE)
    answers = [Reroute(rounds=1).solve(instance, Limits(threads=n), np.random.default_rng(3)) for n in (1, 2)]
    assert answers[0].solution.parts().arrays.keys() == answers[1].solution.parts().arrays.keys()
    for key, array in answers[0].solution.parts().arrays.items():
        assert np.array_equal(array, answers[1].solution.parts().arrays[key])
    again = Reroute(rounds=0).solve(instance, Limits(start=answers[0].solution), np.random.default_rng(4))
    assert instance.value(again.solution) <= instance.value(answers[0].solution)


@pytest.mark.parametrize(("name", "share"), [("batch, mean", 0.0), ("last", 0.1)])
def test_hard_wired_filters_and_gates_are_switched(name: str, share: float) -> None:
    """Cells keep the inputs they are wired to, a share of them stuck; sweeps pay here too."""
    instance, rng, layers = shaped(name, drop=True, cells_per_weight=2), np.random.default_rng(1), []
    for layer in instance.layers:
        shape = layer.n_rows + 1, 2 * layer.target.n_inputs
        weights, stuck = rng.standard_normal(shape), rng.random(shape) < share
        wired = np.broadcast_to(np.arange(shape[1]) // 2, shape)
        layers.append(replace(layer, hardware=Hardware(
            weights, usable=~stuck, off=np.where(stuck, weights, 0.0), input=wired
        )))  # fmt: skip
    instance = replace(instance, layers=tuple(layers))
    reports = []
    for rounds in (0, 1):
        result = Reroute(rounds=rounds).solve(instance, Limits(), np.random.default_rng(0))
        reports.append(check(instance, result.solution))
        assert reports[-1].feasible
        assert reports[-1].objective == pytest.approx(instance.value(result.solution), rel=1e-9)
    assert reports[1].objective < reports[0].objective
