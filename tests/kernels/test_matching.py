"""`matchopt.kernels.matching`: the wiring itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.cases import cases

from matchopt import Gains, Hardware, InvalidInstance, InvalidSolution, Refused, Target
from matchopt.kernels import match_rows, pair_costs

TARGET = Target.from_dense(np.array([[1.0, 2.0], [3.0, 4.0]]))
HARDWARE = Hardware(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), usable=np.array([[True] * 3, [True, False, False]]))


@given(cases(most_targets=15, most_cells=20), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_wiring_is_optimal(case, interval, seed):
    """The cells are usable and distinct within a row, the gain is allowed, and their cost is the optimum."""
    gains = Gains.interval(-0.5, 1.5) if interval else case.gains
    target, hardware = case.target, case.hardware
    neuron_of = np.random.default_rng(seed).integers(0, hardware.n_neurons, target.n_rows)
    costs = pair_costs(target, hardware, gains=gains, drop=case.drop, threads=1)[np.arange(target.n_rows), neuron_of]
    if np.isinf(costs).any():
        with pytest.raises(Refused, match=rf"row {np.argmax(np.isinf(costs))} has \d+ connections"):
            match_rows(target, hardware, neuron_of, gains=gains, drop=case.drop)
        return
    found = match_rows(target, hardware, neuron_of, gains=gains, drop=case.drop)
    np.testing.assert_allclose(found.cost, costs, rtol=1e-9, atol=1e-12)
    for i, j in enumerate(neuron_of):
        e = target.row(i)
        cells, gain = found.cell_of[e], found.gain[i]
        wired = cells >= 0
        assert gains.allow(gain)
        assert case.drop or wired.all()
        assert len(set(cells[wired])) == wired.sum()
        assert hardware.usable[j][cells[wired]].all()
        realised = np.where(wired, gain * hardware.weights[j][cells], 0.0)
        noise = np.where(wired, gain**2 * hardware.variance[j][cells], 0.0)
        recomputed = (target.importance[e] * ((target.weights[e] - realised) ** 2 + noise)).sum()
        assert recomputed == pytest.approx(costs[i], rel=1e-9, abs=1e-12)


def test_many_rows():
    """Wiring more rows than one block holds gives the same costs as the matrix of all pairs."""
    rng = np.random.default_rng(8)
    target = Target.from_dense(rng.standard_normal((600, 12)), rng.random((600, 12)) < 0.5)
    hardware = Hardware(rng.standard_normal((7, 14)), 0.1 * rng.random((7, 14)))
    neuron_of = rng.integers(0, 7, 600)
    found = match_rows(target, hardware, neuron_of, gains=Gains(), drop=False)
    costs = pair_costs(target, hardware, gains=Gains(), drop=False)
    np.testing.assert_allclose(found.cost, costs[np.arange(600), neuron_of], rtol=1e-12)


def test_first_gain_on_ties():
    """Of gains that cost the same, the first given is reported; a row without connections has the first as well."""
    target = Target(np.array([0, 2, 2]), np.array([0, 1]), np.array([1.0, -1.0]), 2)
    hardware = Hardware(np.array([[-1.0, 1.0], [1.0, -1.0]]))
    for values in ((-1.0, 1.0), (1.0, -1.0)):
        found = match_rows(target, hardware, np.array([0, 1]), gains=Gains(values), drop=False)
        np.testing.assert_array_equal(found.gain, [values[0]] * 2)
        np.testing.assert_array_equal(found.cost, [0.0, 0.0])


def test_empty_rows_in_an_interval():
    """A row without connections has the allowed gain nearest to 1."""
    target = Target(np.array([0, 0]), np.zeros(0, int), np.zeros(0), 2)
    found = match_rows(target, HARDWARE, np.array([0]), gains=Gains.interval(1.5, 2.0), drop=False)
    assert (found.gain[0], found.cost[0]) == (1.5, 0.0)


@pytest.mark.parametrize(
    ("neuron_of", "importance", "error", "message"),
    [
        ([0], None, InvalidSolution, r"neuron_of must have shape \(2,\), found \(1,\)"),
        ([0, 2], None, InvalidSolution, r"row 1: 2 is not in 0 \.\. 1"),
        ([-1, 0], None, InvalidSolution, "row 0: -1 is not in"),
        ([0, 1], None, Refused, "row 1 has 2 connections, but its hardware neuron 1 has only 1 usable cells"),
        ([0, 0], np.ones(3), InvalidInstance, "one value per connection, 4"),
    ],
)
def test_bad_arguments(neuron_of, importance, error, message):
    """A choice of neurons that does not fit is refused with the row and the reason."""
    with pytest.raises(error, match=message):
        match_rows(TARGET, HARDWARE, np.array(neuron_of), gains=Gains(), drop=False, importance=importance)
