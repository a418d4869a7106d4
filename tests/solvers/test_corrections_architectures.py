"""Corrections of convolutional and recurrent networks: means made right, losses lowered, slopes true."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matchopt_corrections import FitGains, Recalibrate, TrainBiases, Tune
from matchopt_corrections.beginning import begin
from matchopt_corrections.choice import with_tunable
from matchopt_corrections.least_squares import Fit, fit
from matchopt_corrections.training import small_network
from solvers.shaped_networks import ARCHITECTURES, counting, shaped

from matchopt import Gains, Limits, NetworkInstance, NetworkMapping
from matchopt.checker import check

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def signals(instance: NetworkInstance, mapping: NetworkMapping) -> list[np.ndarray]:
    """Of every layer of the mapped network."""
    assert instance.objective is not None
    weights = [layer.realised(part) for layer, part in zip(instance.layers, mapping.layers, strict=True)]
    biases = instance.biases if mapping.biases is None else mapping.biases
    return [made for _, made in instance.runs.run(weights, biases, instance.objective.rows(slice(None)))]


def start_of(instance: NetworkInstance) -> NetworkMapping:
    found = begin(instance, Limits())
    assert found is not None
    return found


@every_architecture
def test_fitted_biases_leave_no_mean_error(name: str) -> None:
    """Over samples and places; of gates nearly, as cells put out something else after the fit."""
    instance = shaped(name, drop=True)
    inputs = instance.objective.rows(slice(None))  # type: ignore[union-attr]
    mapping, start = fit(instance, start_of(instance), inputs, Fit(gains=False, biases=True)), start_of(instance)
    wanted = instance.target_signals(inputs)
    before = [abs((own - aim).mean(axis=0)).max() for own, aim in zip(signals(instance, start), wanted, strict=True)]
    after = [abs((own - aim).mean(axis=0)).max() for own, aim in zip(signals(instance, mapping), wanted, strict=True)]
    for n, (worse, better) in enumerate(zip(before, after, strict=True)):
        assert better < (0.5 * worse if instance.runs.hears_itself(n) else 1e-9)


@pytest.mark.slow
@every_architecture
@pytest.mark.parametrize("solver", [Recalibrate(), FitGains()], ids=["recalibrate", "gains"])
def test_no_worse_than_the_start(name: str, solver: Any) -> None:
    """What it returns is feasible, and judged on all samples not much worse where it changed anything."""
    instance = shaped(name, "functional-error", drop=True, gains=Gains.interval(0.5, 2.0))
    start = start_of(instance)
    result = solver.solve(instance, Limits(start=start), np.random.default_rng(0))
    assert check(instance, result.solution).feasible
    assert instance.value(result.solution) <= 1.001 * instance.value(start)


@every_architecture
@pytest.mark.parametrize("solver", [TrainBiases(epochs=3, batch=20), Tune(epochs=3, batch=20)], ids=["biases", "tune"])
def test_training_lowers_the_loss(name: str, solver: Any) -> None:
    """On labelled samples, of frames too."""
    instance = shaped(name, "task-loss", drop=True, tunable=4)
    start = start_of(instance)
    result = solver.solve(instance, Limits(start=start), np.random.default_rng(0))
    assert check(instance, result.solution).feasible
    assert instance.value(result.solution) < instance.value(start)


@every_architecture
def test_gradients_are_those_of_the_loss(name: str) -> None:
    """By a tunable weight and by a bias of every layer."""
    instance = shaped(name, "task-loss", samples=30, drop=True, tunable=9)
    if name == "every":
        labels = instance.objective.classes.copy()  # type: ignore[union-attr]
        labels[3:7, 1] = -1
        instance = replace(instance, objective=replace(instance.objective, labels=labels))  # type: ignore[type-var]
    tuned = with_tunable(instance, start_of(instance), [np.array([0, 5])] * len(instance.layers))
    network, _ = small_network(instance, tuned)
    network.weights = [matrix.astype(np.float64) for matrix in network.weights]
    assert network.biases is not None
    network.biases = [bias.astype(np.float64) for bias in network.biases]
    inputs, labels = instance.objective.rows(slice(None)), instance.objective.classes  # type: ignore[union-attr]
    weights, biases = network.gradients(inputs, labels)
    assert network.loss(inputs, labels) == pytest.approx(instance.value(tuned), rel=1e-5)
    for n, (rows, columns) in enumerate(network.entries):
        for array, at, found in (
            (network.weights[n], (rows[1], columns[1]), weights[n][1]), (network.biases[n], 1, biases[n][1])
        ):  # fmt: skip
            kept, ends = array[at], []
            for step in (1e-5, -1e-5):
                array[at] = kept + step
                ends.append(network.loss(inputs, labels))
            array[at] = kept
            assert found == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("solver", [Recalibrate(), FitGains(), TrainBiases(epochs=2), Tune(epochs=2)])
def test_samples_of_which_no_frame_counts_judge_nothing(solver: Any) -> None:
    """Among the samples set aside are none but those that count, however few these are."""
    instance = counting(shaped("every", "task-loss", samples=40, drop=True, tunable=3), 2)
    result = solver.solve(instance, Limits(), np.random.default_rng(0))
    assert check(instance, result.solution).feasible
