"""The random baseline of layers, which takes every rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import random_layer
from matchopt_random import RandomWiring
from solvers.small import objective, solved

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Limits, Rules, Status, Target
from matchopt.testing import brute_force

seeds = st.integers(0, 2**32 - 1)


def layer(
    support: list[list[int]], cells: int, *, usable: object = None, bus: object = None, rules: Rules | None = None
) -> LayerInstance:
    """A layer of unit weights with as many hardware neurons as rows of `usable`, else as target rows."""
    mask = np.array(support, bool)
    neurons = len(mask) if usable is None else len(np.asarray(usable))
    weights = np.random.default_rng(0).standard_normal((neurons, cells))
    hardware = Hardware(weights, usable=usable, bus=bus)  # type: ignore[arg-type]
    return LayerInstance(Target.from_dense(mask.astype(float), mask), hardware, rules or Rules())


@given(seed=seeds, wired=st.booleans())
@settings(deadline=None, max_examples=80)
def test_every_answer_keeps_every_rule(seed: int, wired: bool) -> None:
    """On random layers under random rules, shared buses and faults included, every mapping passes the checker."""
    instance = random_layer(np.random.default_rng(seed), wired=wired)
    result = solved(RandomWiring(), instance, seed=seed)
    assert result.status in (Status.FEASIBLE, Status.UNKNOWN)
    if result.solution is not None:
        objective(instance, result.solution)


@given(seed=seeds)
@settings(deadline=None, max_examples=50)
def test_finds_a_mapping_whenever_there_is_one_with_free_routing(seed: int) -> None:
    """Without shared buses and budgets an unmapped layer is infeasible by enumeration."""
    instance = random_layer(np.random.default_rng(seed), shared=False, tunable=0, cells=1)
    if solved(RandomWiring(attempts=1), instance, seed=seed).solution is None:
        assert brute_force(instance).solution is None


def test_drop_always_ends_in_a_mapping() -> None:
    """Where connections may be dropped, only those without a cell are."""
    instance = layer([[1, 1, 1], [1, 1, 0]], 2, rules=Rules(drop=True))
    mapping = solved(RandomWiring(), instance).solution
    objective(instance, mapping)
    assert isinstance(mapping, LayerMapping)
    assert np.diff(mapping.wire_indptr).tolist() == [2, 2]


def test_tunable_weights_serve_only_what_has_no_cell() -> None:
    """The budget is spent on the connections that find no cell, and no mapping is found beyond it."""
    instance = layer([[1, 1, 1], [1, 1, 0]], 2, rules=Rules(tunable=2))
    mapping = solved(RandomWiring(), instance).solution
    objective(instance, mapping)
    assert isinstance(mapping, LayerMapping)
    assert len(mapping.tunable) == 1
    short = layer([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], 2, rules=Rules(tunable=2))
    assert solved(RandomWiring(), short).status is Status.UNKNOWN


def test_large_rows_get_the_neurons_with_room() -> None:
    """Rows of fan-in 3, 2, 1 fit neurons with 3, 2, 1 usable cells in one way only, which is found at once."""
    usable = [[1, 0, 0], [1, 1, 1], [0, 1, 1]]
    instance = layer([[1, 0, 0], [1, 1, 0], [1, 1, 1]], 3, usable=np.array(usable, bool))
    mapping = solved(RandomWiring(attempts=1), instance).solution
    assert isinstance(mapping, LayerMapping)
    assert mapping.neuron_of.tolist() == [0, 2, 1]


def test_a_crossbar_with_faults_is_wired_by_matching() -> None:
    """The input that both rows need takes the one line that works for both neurons, and leaves it to no other."""
    usable = np.array([[1, 1, 0], [0, 1, 1]], bool)
    instance = layer([[1, 1], [1, 0]], 3, usable=usable, bus=[0, 0])
    for seed in range(10):
        mapping = solved(RandomWiring(attempts=1), instance, seed=seed).solution
        objective(instance, mapping)
        assert isinstance(mapping, LayerMapping)
        assert {k for i in range(2) for k, x in mapping.wires(i) if x == 0} == {1}


def test_rows_with_common_inputs_are_packed() -> None:
    """Three pairs of rows fit three buses of two lines only if rows with the same inputs share a bus."""
    support = np.kron(np.eye(3, dtype=int), np.ones((2, 2), dtype=int)).tolist()
    instance = layer(support, 2, bus=[0, 1, 2, 0, 1, 2])
    for seed in range(10):
        objective(instance, solved(RandomWiring(), instance, seed=seed).solution)


@pytest.mark.parametrize("gains", [Gains.finite(0.5, 2.0, -1.0), Gains.interval(-1.0, 3.0)])
def test_gains_are_random_and_allowed(gains: Gains) -> None:
    """Each row gets an allowed gain, and not all the same."""
    instance = layer([[1, 0]] * 12, 2, rules=Rules(gains=gains))
    mapping = solved(RandomWiring(), instance).solution
    objective(instance, mapping)
    assert isinstance(mapping, LayerMapping)
    assert len(set(mapping.gain.tolist())) >= 3


def test_more_draws_are_never_worse() -> None:
    """The best of 20 draws is at most the first of them."""
    instance = random_layer(np.random.default_rng(4), shared=False)
    one = objective(instance, solved(RandomWiring(), instance).solution)
    assert objective(instance, solved(RandomWiring(draws=20), instance).solution) <= one


def test_random_neurons_and_random_cells() -> None:
    """Over 200 seeds every pair of neuron and cell serves the only connection."""
    instance = layer([[1]], 3, usable=np.ones((2, 3), bool))
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(200):
        mapping = RandomWiring().solve(instance, Limits(), rng).solution
        assert isinstance(mapping, LayerMapping)
        found.add((int(mapping.neuron_of[0]), int(mapping.cell[0])))
    assert len(found) == 6


@pytest.mark.parametrize("option", ["draws", "attempts"])
def test_options_must_be_positive(option: str) -> None:
    """No draws and no attempts are no method."""
    with pytest.raises(ValueError, match=f"{option} must be a whole number >= 1"):
        RandomWiring(**{option: 0})
