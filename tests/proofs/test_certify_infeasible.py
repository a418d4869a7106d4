"""Infeasibility is proved, refuted, or left open; never wrongly either way."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_layer

from matchopt import AssignmentInstance, Hardware, LayerInstance, NetworkInstance, ProgramInstance, Rules, Target
from matchopt.proofs import certify_infeasible
from matchopt.testing import brute_force, tiny_instances


@pytest.mark.parametrize("seed", range(60))
def test_assignments_are_decided(seed: int) -> None:
    """On random forbidden pairs, dense and sparse, the verdict is that of enumeration."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 6))
    cost = np.where(rng.random((rows, rows + int(rng.integers(0, 2)))) < 0.45, 1.0, np.inf)
    dense = AssignmentInstance(cost)
    at = np.isfinite(cost)
    indptr = np.concatenate([[0], np.cumsum(at.sum(axis=1))])
    sparse = AssignmentInstance(np.zeros(int(at.sum()), int), indptr, np.nonzero(at)[1], cost.shape[1])
    expected = not brute_force(dense).feasible
    assert certify_infeasible(dense) is expected
    assert certify_infeasible(sparse) is expected


@pytest.mark.slow
def test_no_tiny_instance_is_wrongly_called_infeasible() -> None:
    """True only where enumeration finds nothing; False only where it finds something; both occur."""
    verdicts = [(certify_infeasible(tiny.instance), tiny.optimum.feasible) for tiny in tiny_instances()]
    assert all(not feasible for verdict, feasible in verdicts if verdict is True)
    assert all(feasible for verdict, feasible in verdicts if verdict is False)
    assert {True, False, None} == {verdict for verdict, _ in verdicts}


@pytest.mark.parametrize("seed", range(40))
def test_layers_are_never_wrongly_called_infeasible(seed: int) -> None:
    """Under any rules, a layer is proved infeasible only if enumeration agrees."""
    layer = random_layer(np.random.default_rng(seed), cells=1, tunable=seed % 2)
    if certify_infeasible(layer):
        assert not brute_force(layer).feasible


def test_two_wide_rows_and_one_wide_neuron() -> None:
    """Two rows of three connections, one neuron with three usable cells: proved; with drops there is a solution."""
    usable = np.array([[True, True, True], [True, True, False]])
    layer = LayerInstance(Target.from_dense(np.ones((2, 3))), Hardware(np.ones((2, 3)), usable=usable))
    assert certify_infeasible(layer) is True
    network = NetworkInstance((layer,), (np.zeros(2),))
    assert certify_infeasible(network) is True
    assert certify_infeasible(replace(layer, rules=Rules(drop=True))) is None
    assert certify_infeasible(replace(layer, rules=Rules(tunable=1))) is None


def test_programs_stay_open() -> None:
    """Nothing is said about programs."""
    program = ProgramInstance(np.zeros(1), np.array([0]), [], [], [], [], np.ones(1), np.zeros(1))
    assert certify_infeasible(program) is None
