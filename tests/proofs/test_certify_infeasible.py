"""Infeasibility is proved, refuted, or left open; never wrongly either way."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_layer

from matchopt import (
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    ProgramPoint,
    Rules,
    Target,
)
from matchopt.checker import check
from matchopt.proofs import certify_infeasible, constructed
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


@pytest.mark.parametrize("seed", range(20))
def test_hard_wired_layers_are_never_wrongly_decided(seed: int) -> None:
    """What is proved infeasible is; what is constructed without tunable weights, as there are none, keeps the rules."""
    layer = random_layer(np.random.default_rng(seed), wired=True, tunable=0, correlated=False)
    if certify_infeasible(layer):
        assert not brute_force(layer).feasible
    found = constructed(layer)
    assert not isinstance(found, LayerMapping) or len(found.tunable) or check(layer, found).feasible


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


def test_a_matching_whose_cost_overflows_decides_nothing() -> None:
    """Its pairs are allowed, but their sum is no number that a solution may have."""
    with np.errstate(over="ignore"):
        assert certify_infeasible(AssignmentInstance([[1e308, np.inf], [np.inf, 1e308]])) is None


SPARSE = Target.from_dense(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]))
USABLE = np.array([[True, True, True], [False, True, True], [True, False, False]])
FREE = Hardware(np.ones((3, 3)), usable=USABLE)
LINES = Hardware(np.ones((2, 4)), bus=np.zeros(2, int))
PLAIN = {
    "free routing": LayerInstance(SPARSE, FREE),
    "gains": LayerInstance(SPARSE, FREE, Rules(gains=Gains.finite(0.5, 2.0))),
    "an interval of gains": LayerInstance(SPARSE, FREE, Rules(gains=Gains.interval(0.25, 4.0))),
    "a tunable weight": LayerInstance(SPARSE, Hardware(np.ones((2, 1))), Rules(tunable=2)),
    "drop": LayerInstance(SPARSE, Hardware(np.ones((2, 1))), Rules(drop=True)),
    "lines": LayerInstance(SPARSE, LINES),
    "lines and a tunable weight": LayerInstance(
        SPARSE, Hardware(np.ones((2, 2)), bus=np.zeros(2, int)), Rules(tunable=2)
    ),
}


@pytest.mark.parametrize("layer", PLAIN.values(), ids=PLAIN)
def test_a_plain_mapping_is_constructed(layer: LayerInstance) -> None:
    """Feasible where rows only need cells, and alike as the layer of a network."""
    mapping = constructed(layer)
    assert isinstance(mapping, LayerMapping) and check(layer, mapping).feasible
    both = constructed(NetworkInstance((layer,), (np.zeros(2),)))
    assert isinstance(both, NetworkMapping)
    assert np.array_equal(both.layers[0].cell, mapping.cell) and np.array_equal(both.layers[0].input, mapping.input)


def test_nothing_is_constructed_where_rows_do_not_fit() -> None:
    """Two rows of two connections and one neuron with two cells; a network needs all its layers."""
    narrow = LayerInstance(SPARSE, Hardware(np.ones((2, 2)), usable=np.array([[True, True], [True, False]])))
    assert constructed(narrow) is None
    square = LayerInstance(Target.from_dense(np.ones((3, 2))), Hardware(np.ones((3, 2))))
    assert constructed(NetworkInstance((square, LayerInstance(Target.from_dense(np.eye(3)), FREE)), (np.zeros(3),) * 2))
    wide = LayerInstance(Target.from_dense(np.ones((2, 3))), narrow.hardware)
    assert constructed(NetworkInstance((square, wide), (np.zeros(3), np.zeros(2)))) is None


@pytest.mark.parametrize(
    ("low", "high", "whole", "point"),
    [(-2.5, 3, False, 0.0), (0.5, 3, True, 1.0), (0.5, 3, False, 0.5), (-3, -0.5, False, -0.5)],
)
def test_a_point_near_zero_is_constructed(low: float, high: float, whole: bool, point: float) -> None:
    """As near as the bounds and wholeness allow."""
    bounds = (np.array([low]), np.array([high]), np.array([whole]))
    found = constructed(ProgramInstance(np.zeros(1), np.array([0]), [], [], [], [], *bounds))
    assert isinstance(found, ProgramPoint) and found.x.tolist() == [point]


@pytest.mark.parametrize(("narrow", "proved"), [(1, True), (0, None)])
def test_layers_on_one_chip_need_neurons_for_all_their_rows(narrow: int, proved: bool | None) -> None:
    """Each fits alone; together they are four rows, and where they fit, a plain mapping uses each neuron once."""
    usable = np.ones((4, 2), bool)
    usable[:narrow, 0] = False
    layer = LayerInstance(Target.from_dense(np.ones((2, 2))), Hardware(np.ones((4, 2)), usable=usable))
    network = NetworkInstance((layer, replace(layer)), (np.zeros(2), np.zeros(2)), one_chip=True)
    assert certify_infeasible(layer) is None and certify_infeasible(network) is proved
    plain = constructed(network)
    assert (plain is None) is (proved is True)
    if isinstance(plain, NetworkMapping):
        assert check(network, plain).feasible


@pytest.mark.parametrize(
    ("fan_in", "neurons", "proved"), [(2, 2, None), (3, 3, True), (2, 1, True), (4, 2, True)], ids=str
)
def test_rows_that_may_be_split_need_cells_enough(fan_in: int, neurons: int, proved: bool | None) -> None:
    """One row, two hardware neurons at most, each of one cell."""
    layer = LayerInstance(
        Target.from_dense(np.ones((1, fan_in))), Hardware(np.ones((neurons, 1))), Rules(neurons_per_row=2)
    )
    assert certify_infeasible(layer) is proved
