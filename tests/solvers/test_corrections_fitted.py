"""recalibrate and gains: least squares without labels, kept only where they help."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_corrections import FitGains, Recalibrate
from matchopt_corrections.beginning import begin
from matchopt_corrections.least_squares import Fit, fit
from solvers.corrected import SAMPLES, network, signals, solved

from matchopt import FunctionalError, Gains, Limits, NetworkMapping, TaskLoss, is_feasible
from matchopt.run import solve
from matchopt.solver import Status

WIDE = Gains.interval(0.01, 100.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_recalibration_zeroes_the_mean_error_of_every_pre_activation(seed):
    """On the samples it was fitted to, by plain matrix products."""
    instance = network(seed, "functional-error")
    inputs = instance.objective.inputs
    start = begin(instance, Limits())
    found = fit(instance, start, inputs, Fit(gains=False, biases=True))
    wanted = instance.target_signals(inputs)
    for z, ideal in zip(signals(instance, found, inputs), wanted, strict=True):
        assert np.abs((z - ideal).mean(axis=0)).max() < 1e-12
    assert [part.digest for part in found.layers] == [part.digest for part in start.layers]


def test_the_solver_fits_all_samples_and_says_from_which_layer():
    """The biases of the layers before it are the start's; those from it on zero the mean error on all samples."""
    for seed in range(6):
        instance = network(seed, "functional-error")
        result = solved(Recalibrate(), instance)
        first = result.stats["first layer"]
        inputs, biases = instance.objective.inputs, result.solution.biases
        pairs = list(zip(signals(instance, result.solution, inputs), instance.target_signals(inputs), strict=True))
        assert all(np.abs((z - ideal).mean(axis=0)).max() < 1e-12 for z, ideal in pairs[first:])
        assert all(np.array_equal(a, b) for a, b in zip(biases[:first], instance.biases[:first], strict=True))
        assert result.stats["biases"] == sum(len(bias) for bias in biases[first:])
        assert instance.value(result.solution) < instance.value(begin(instance, Limits()))


def test_labels_change_nothing_but_the_decision():
    """Biases and gains fitted under shuffled labels are the same numbers."""
    instance = network(3, gains=WIDE)
    task = instance.objective
    shuffled = replace(instance, objective=TaskLoss(task.inputs, np.roll(task.labels, 7)))
    what = Fit(gains=True, biases=True)
    one, other = (fit(each, begin(each, Limits()), task.inputs, what) for each in (instance, shuffled))
    assert one.digest == other.digest


def test_what_is_better_by_the_objective_stays():
    """Labels that the uncorrected mapping itself gives: any correction is worse, and the start comes back."""
    instance = network(5, gains=WIDE)
    start = begin(instance, Limits())
    inputs = instance.objective.inputs
    spoken = signals(instance, start, inputs)[-1].argmax(axis=1)
    loyal = replace(instance, objective=TaskLoss(inputs, spoken))
    sharp = replace(
        loyal.layers[-1], hardware=replace(loyal.layers[-1].hardware, weights=20 * loyal.layers[-1].hardware.weights)
    )
    loyal = replace(loyal, layers=(*loyal.layers[:-1], sharp))
    for solver in (Recalibrate(), FitGains()):
        result = solved(solver, loyal, start)
        assert result.solution is start and "as they were are better on samples set aside" in result.message


@pytest.mark.slow
def test_a_pipeline_keeps_biases_that_its_objective_does_not_see():
    """Under the weight error biases cost nothing; the later of two equal solutions is the answer."""
    instance = network(1, "weight-error")
    run = solve(instance, "hungarian+recalibrate")
    assert run.stages[0].objective == run.stages[1].objective == run.objective and run.stats == {"best_stage": 2}
    assert run.solution.biases is not None and run.proof == "proven"
    judge = replace(instance, samples=None, objective=FunctionalError(instance.samples))
    assert judge.value(run.solution) < judge.value(NetworkMapping(run.solution.layers))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), biases=st.booleans())
def test_gains_are_least_squares(seed, biases):
    """Of the first layer, whose inputs no correction touches: numpy's solution row by row."""
    instance = network(seed, "functional-error", gains=WIDE)
    inputs, start = instance.objective.inputs, begin(instance, Limits())
    found = fit(instance, start, inputs, Fit(gains=True, biases=biases))
    wanted = instance.target_signals(inputs)[0]
    plain = replace(start.layers[0], gain=np.ones(start.layers[0].n_rows))
    sums = inputs @ instance.layers[0].realised(plain).T
    for i in range(len(wanted.T)):
        columns = np.column_stack([sums[:, i], np.ones(len(sums))]) if biases else sums[:, i : i + 1]
        ideal = wanted[:, i] if biases else wanted[:, i] - instance.biases[0][i]
        best = np.linalg.lstsq(columns, ideal, rcond=None)[0]
        assert found.layers[0].gain[i] == pytest.approx(np.clip(best[0], 0.01, 100.0))
        if biases and 0.01 < best[0] < 100:
            assert found.biases[0][i] == pytest.approx(best[1], abs=1e-9)
    assert is_feasible(instance, found)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_finite_gains_are_the_best_of_all_choices(noise):
    """Of the last layer, every allowed gain tried for every row, read noise included."""
    values = (0.25, 0.5, 1.0, 1.5, 4.0)
    instance = network(8, "functional-error", gains=Gains.finite(*values), noise=noise)
    inputs, start = instance.objective.inputs, begin(instance, Limits())
    found = fit(instance, start, inputs, Fit(gains=True, biases=False, first=2))
    last = found.layers[-1]
    for i in range(last.n_rows):
        trials = []
        for value in values:
            gain = last.gain.copy()
            gain[i] = value
            trials.append(instance.value(NetworkMapping((*found.layers[:-1], replace(last, gain=gain)))))
        assert values[int(np.argmin(trials))] == last.gain[i]
    assert set(last.gain.tolist()) <= set(values)


def test_gains_undo_the_scale_of_the_hardware():
    """A chip of half the weights is corrected to the same network, as long as the gains reach that far."""
    instance = network(4, "functional-error", gains=WIDE)
    half = [
        replace(layer, hardware=replace(layer.hardware, weights=layer.hardware.weights / 2))
        for layer in instance.layers
    ]
    smaller = replace(instance, layers=tuple(half))
    start, what = begin(instance, Limits()), Fit(gains=True, biases=True)
    one, other = (fit(each, start, each.objective.inputs, what) for each in (instance, smaller))
    assert instance.value(one) == pytest.approx(smaller.value(other))


def test_gains_can_leave_the_biases_alone():
    """And under fixed biases never set any."""
    instance = network(2, "functional-error", gains=WIDE)
    assert solved(FitGains(biases=False), instance).solution.biases is None
    assert solved(FitGains(), instance).solution.biases is not None
    fixed = network(2, "functional-error", gains=WIDE, adjustable=False)
    result = solved(FitGains(), fixed)
    assert result.solution.biases is None and fixed.value(result.solution) < fixed.value(begin(fixed, Limits()))


def test_hardware_biases_are_one_more_input():
    """Gains on a network without digital biases; recalibrate refuses it."""
    instance = network(6, "functional-error", gains=WIDE, hardware_biases=True)
    result = solved(FitGains(), instance)
    assert is_feasible(instance, result.solution)
    assert instance.value(result.solution) < instance.value(begin(instance, Limits()))
    assert "cannot be adjusted" in Recalibrate().refuses(instance)


@pytest.mark.parametrize(
    ("solver", "instance", "reason"),
    [
        (Recalibrate(), network(adjustable=False), "its biases cannot be adjusted; export it with adjustable biases"),
        (FitGains(), network(), "the only gain that its rules allow is 1"),
        (Recalibrate(), replace(network(objective="weight-error"), samples=None), "it has no sample inputs"),
    ],
)
def test_refusals_say_what_to_do(solver, instance, reason):
    """Before anything is tried."""
    assert solver.refuses(instance).startswith(reason)


def test_it_begins_from_a_feasible_start_only():
    """A start is corrected as it is; an infeasible one, or none, is replaced by the least weight error."""
    instance = network(7, "functional-error")
    own = begin(instance, Limits())
    other = NetworkMapping(tuple(replace(part, neuron_of=part.neuron_of[::-1].copy()) for part in own.layers))
    assert is_feasible(instance, other)
    result = solved(Recalibrate(), instance, other)
    assert [part.digest for part in result.solution.layers] == [part.digest for part in other.layers]
    broken = NetworkMapping(tuple(replace(part, neuron_of=0 * part.neuron_of) for part in own.layers))
    assert begin(instance, Limits(start=broken)).digest == own.digest
    assert own.digest == solve(instance, "hungarian", surrogate=True).solution.digest


def test_without_a_mapping_it_says_what_to_put_before():
    """Rows that fit no neuron: nothing to correct."""
    instance = network(0, "functional-error")
    few = [
        replace(layer, hardware=replace(layer.hardware, usable=layer.hardware.weights < -9))
        for layer in instance.layers
    ]
    result = solved(Recalibrate(), replace(instance, layers=tuple(few)))
    assert result.status is Status.UNKNOWN and result.solution is None
    assert result.message == "there is no mapping to correct; put a solver before it, such as hungarian+recalibrate"


def test_few_samples_are_enough():
    """One sample serves for fitting and judging; an option bounds how many are used."""
    instance = network(9, "functional-error")
    one = replace(instance, objective=FunctionalError(instance.objective.inputs[:1]))
    assert is_feasible(one, solved(Recalibrate(), one).solution)
    some = solved(Recalibrate(samples=50), instance)
    assert some.solution.digest != solved(Recalibrate(), instance).solution.digest
    assert (
        solved(Recalibrate(samples=SAMPLES), instance).solution.digest
        == solved(Recalibrate(), instance).solution.digest
    )
    with pytest.raises(ValueError, match="samples must be a whole number >= 0"):
        Recalibrate(samples=-1)
