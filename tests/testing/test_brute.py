"""The yardstick itself: enumeration against the checker, against known answers and against other enumerations."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layers import random_layer, random_mapping

from matchopt import (
    AssignmentInstance,
    FunctionalError,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    Rules,
    Target,
)
from matchopt.checker import check
from matchopt.testing import TinyInstance, brute_force, tiny_instances
from matchopt.testing.brute_layer import all_layers

TINY = pytest.mark.parametrize("tiny", tiny_instances(), ids=lambda tiny: tiny.name)


@pytest.mark.slow
@TINY
def test_the_witness_attains_the_optimum(tiny: TinyInstance) -> None:
    """The checker accepts the solution that enumeration found and gives it the same objective."""
    known = tiny.optimum
    if known.solution is None:
        assert known.value is None
        return
    report = check(tiny.instance, known.solution)
    assert report.violations == ()
    assert type(report.objective) is type(known.value)
    assert report.objective == pytest.approx(known.value, rel=1e-12, abs=1e-15)


def test_names_and_contents_are_distinct() -> None:
    """No two tiny instances share a name or their content."""
    tiny = tiny_instances()
    assert len({one.name for one in tiny}) == len(tiny)
    assert len({one.instance.digest for one in tiny}) == len(tiny)


@pytest.mark.slow
def test_every_kind_and_every_rule_is_there() -> None:
    """There are feasible and infeasible instances of each kind, and each rule of a layer is used by some instance."""
    outcomes = {(tiny.instance.kind, tiny.optimum.feasible) for tiny in tiny_instances()}
    assert outcomes == set(itertools.product(("network", "layer", "assignment", "program"), (True, False)))
    layers = [tiny.instance for tiny in tiny_instances() if isinstance(tiny.instance, LayerInstance)]
    rules = [layer.rules for layer in layers]
    hardware, targets = [layer.hardware for layer in layers], [layer.target for layer in layers]
    assert any(r.cells_per_weight > 1 for r in rules)
    assert any(r.drop for r in rules)
    assert any(r.extra_inputs for r in rules)
    assert any(r.tunable for r in rules)
    assert any(r.gains.is_interval for r in rules)
    assert any(not r.gains.fixed and not r.gains.is_interval for r in rules)
    assert any(h.variance.any() for h in hardware)
    assert any(h.off.any() for h in hardware)
    assert any(not h.usable.all() for h in hardware)
    assert any(not h.free_routing for h in hardware)
    assert {(h.free_routing, bool((h.input < 0).any())) for h in hardware if h.hard_wired} == {
        (free, mixed) for free in (True, False) for mixed in (True, False)
    }
    assert any(len(set(t.importance[t.row(i)].tolist())) > 1 for t in targets for i in range(t.n_rows))
    assert {layer.objective.name for layer in layers} == {"weight-error", "output-error"}


def test_optima_known_by_hand() -> None:
    """A few optima that need no computer."""
    optima = {tiny.name: tiny.optimum.value for tiny in tiny_instances()}
    assert optima["assignment-product"] == 1 * 5 + 2 * 4 + 3 * 3 + 4 * 2 + 5 * 1
    assert optima["assignment-greedy-trap"] == 2 + 2 + 9
    assert optima["assignment-past-2-53"] == 3 * 2**53 + 1
    assert optima["assignment-hall"] is None
    assert optima["assignment-sparse-zeros"] == 0
    assert optima["layer-lossless"] == 0
    assert optima["layer-tunable-all"] == 0
    assert optima["program-continuous"] == pytest.approx(-36)  # the example of Hillier and Lieberman
    assert optima["program-parity"] is None
    assert optima["program-open-above"] == -20


BEATEN = {  # what is better than the best that enumeration finds: a random change of biases or tuned values
    "network-functional-error-adjustable",
    "network-task-loss-adjustable",
    "network-functional-error-tunable",
    "network-task-loss-tunable",
    "layer-output-error-tunable",
}


def test_an_optimum_that_others_may_beat_is_not_called_proven() -> None:
    """Exactly where another value of a bias or of a tunable weight is better, enumeration claims no optimum."""
    assert {tiny.name for tiny in tiny_instances() if not tiny.optimum.proven} == BEATEN
    rng = np.random.default_rng(0)
    for tiny in tiny_instances():
        if tiny.name in BEATEN:
            found = tiny.optimum.solution
            draws = [_nudged(found, rng) for _ in range(200)]
            reports = [check(tiny.instance, draw) for draw in draws]
            assert all(report.feasible for report in reports)
            assert min(report.objective for report in reports) < tiny.optimum.value - 1e-4  # type: ignore[operator, type-var]


def test_what_is_written_into_a_range_may_make_up_for_leaks_and_in_networks() -> None:
    """Then the target is not the best value to write, and enumeration, which tries no other, claims no optimum."""
    on, target = np.array([[True, False]]), Target.from_dense(np.array([[0.3]]))
    ends = {"low": np.where(on, -1.0, np.nan), "high": np.where(on, 1.0, np.nan)}
    chip = Hardware(np.array([[5.0, 9.0]]), off=np.where(on, 0.0, 0.5), input=np.zeros((1, 2), int), **ends)
    layer = LayerInstance(target, chip)
    known = brute_force(layer)
    assert isinstance(known.solution, LayerMapping) and not known.proven
    assert known.value == pytest.approx(0.25)
    assert check(layer, replace(known.solution, written=np.array([-0.2]))).objective == pytest.approx(0.0)
    assert not brute_force(NetworkInstance((layer,), (np.zeros(1),), one_chip=True)).proven
    apart = replace(layer, hardware=replace(chip, off=np.zeros((1, 2))))
    assert brute_force(apart).proven and brute_force(NetworkInstance((apart,), (np.zeros(1),), one_chip=True)).proven
    apart = replace(apart, hardware=Hardware(chip.weights, **ends))
    error = NetworkInstance((apart,), (np.zeros(1),), objective=FunctionalError(np.ones((2, 1))))
    assert not brute_force(error).proven
    two_cells = replace(apart, rules=Rules(cells_per_weight=2))
    assert not brute_force(NetworkInstance((two_cells,), (np.zeros(1),), one_chip=True)).proven


def _nudged(solution: object, rng: np.random.Generator) -> NetworkMapping | LayerMapping:
    """The same wiring with other biases where there may be any, else with other tuned values."""
    if isinstance(solution, LayerMapping):
        return replace(solution, tuned=rng.normal(size=len(solution.tunable)))
    assert isinstance(solution, NetworkMapping)
    if any(len(layer.tunable) for layer in solution.layers):
        return NetworkMapping(
            tuple(replace(layer, tuned=rng.normal(size=len(layer.tunable))) for layer in solution.layers)
        )
    return NetworkMapping(solution.layers, tuple(0.3 * rng.normal(size=layer.n_rows) for layer in solution.layers))


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_random_mapping_beats_the_layer_optimum(seed: int) -> None:
    """On random layers of every rule, no drawn mapping is better, and infeasible means none is drawn."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng)
    assume(layer.n_rows * layer.hardware.n_cells <= 6)  # enumeration of larger ones takes many seconds
    known = brute_force(layer)
    if known.solution is not None:
        assert check(layer, known.solution).objective == pytest.approx(known.value, rel=1e-9, abs=1e-12)
    for _ in range(5):
        mapping = random_mapping(layer, rng, tries=20)
        if mapping is not None:
            assert known.value is not None
            assert check(layer, mapping).objective >= known.value - 1e-9 * (1 + abs(known.value))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_two_enumerations_of_a_layer_agree(seed: int) -> None:
    """The table per neuron and budget, and the plain list of all mappings, have the same minimum."""
    rng = np.random.default_rng(seed)
    tiny = [tiny.instance for tiny in tiny_instances() if tiny.name in ("layer-spare", "layer-drop", "layer-tunable")]
    layer = tiny[int(rng.integers(3))]
    assert isinstance(layer, LayerInstance)
    target, hardware = layer.target, layer.hardware
    drawn = LayerInstance(
        type(target)(target.indptr, target.indices, rng.normal(size=target.n_connections), target.n_inputs),
        type(hardware)(rng.normal(size=hardware.weights.shape)),
        layer.rules,
    )
    plain = min(drawn.value(mapping) for mapping in all_layers(drawn))
    assert brute_force(drawn).value == pytest.approx(plain, rel=1e-9, abs=1e-12)


def test_a_network_is_the_sum_of_its_layers() -> None:
    """Without coupling the optimum of a network is the sum of its layers' optima."""
    for tiny in tiny_instances():
        network = tiny.instance
        alone = isinstance(network, NetworkInstance) and not network.one_chip and network.tunable is None
        alone = alone and not network.chained
        if alone and network.objective is None:
            parts = [brute_force(layer).value for layer in network.layers]
            if None in parts:
                assert tiny.optimum.value is None
            else:
                assert tiny.optimum.value == pytest.approx(sum(part for part in parts if part is not None))
                assert isinstance(tiny.optimum.solution, NetworkMapping)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_assignments_agree_with_permutations(seed: int) -> None:
    """The pruned search finds the minimum over all permutations, and infeasibility where all are forbidden."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 5))
    cost = rng.normal(size=(m, m + int(rng.integers(0, 2))))
    cost[rng.random(cost.shape) < 0.4] = np.inf
    values = [cost[range(m), columns].sum() for columns in itertools.permutations(range(cost.shape[1]), m)]
    known = brute_force(AssignmentInstance(cost))
    if np.isinf(min(values)):
        assert known.value is None
    else:
        assert known.value == pytest.approx(min(values))


def test_what_cannot_be_enumerated_is_refused() -> None:
    """An integral variable without bounds is no work for enumeration."""
    free = ProgramInstance(
        np.ones(1), np.array([0]), np.zeros(0, int), np.zeros(0), np.zeros(0), np.zeros(0), integral=np.ones(1, bool)
    )
    with pytest.raises(ValueError, match="no finite bounds"):
        brute_force(free)
