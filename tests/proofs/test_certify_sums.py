"""Proofs for weights that are sums of cells: never above the optimum, and at it where rows are wired freely."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_layer

from matchopt.checker import check
from matchopt.errors import Refused
from matchopt.instances import Gains, Hardware, LayerInstance, LayerMapping, Rules, Target, WeightError
from matchopt.proofs import certify, sums
from matchopt.proofs.disjoint import least_apart, least_of_sets
from matchopt.testing import brute_force


def small(seed: int, shared: bool = False) -> LayerInstance:
    """Up to two rows whose weights take up to two cells, or three, without correlated inputs."""
    rng = np.random.default_rng(seed)
    made = random_layer(rng, shared=shared, cells=2 + seed % 2, tunable=0, correlated=False)
    return replace(made, hardware=replace(made.hardware, off=None)) if shared else made  # type: ignore[arg-type]


def bounded(layer: LayerInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate of its optimum by enumeration holds, and is one of optimality where rows are wired freely."""
    best = brute_force(layer)
    if best.value is None or best.solution is None:
        return
    for most in (sums.MOST_OF_SETS, 0):
        monkeypatch.setattr(sums, "MOST_OF_SETS", most)
        found = certify(layer, best.solution)
        assert found.bound <= best.value * (1 + 1e-9) + 1e-12 and not found.improvable
        assert found.optimal or not layer.hardware.free_routing


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 30))])
def test_the_optimum_is_proven_and_bounds_are_bounds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By all sets of cells, by the search, and with lines that neurons share."""
    bounded(small(seed, shared=seed % 4 == 3), monkeypatch)


def test_both_ways_to_choose_apart_agree() -> None:
    """The search and the sets of cells, on 20 tables; more steps than there are give the sum of least costs."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        cells = np.array([[0, -1], [1, -1], [2, -1], [3, -1], [0, 1], [1, 2], [0, 3], [-1, -1]])
        table = rng.random((3, 8))
        assert least_apart(table, cells) == (pytest.approx(least_of_sets(table, cells, 4)), True)
    many = np.tile(np.arange(12)[:, None], (1, 1))
    assert least_apart(np.tile(rng.random(12), (10, 1)), many)[1] is False


def test_a_false_optimum_is_found_out_and_too_many_sums_are_left() -> None:
    """One cell for each weight is no optimum where two are better; without its sums a neuron costs nothing."""
    rng = np.random.default_rng(4)
    target, hardware = Target.from_dense(rng.normal(size=(4, 3))), Hardware(rng.normal(size=(4, 8)))
    layer = LayerInstance(target, hardware, Rules(2))
    plain = LayerMapping.from_cells(target, np.arange(4), np.tile([0, 1, 2], 4))
    found = certify(layer, plain)
    assert found.improvable and not found.optimal and 0.0 < found.bound < layer.value(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "MOST_SUMS", 3)
        left = certify(layer, plain)
    assert left.bound == 0.0 and not left.optimal and not left.improvable


def test_tiny_errors_are_proven_within_their_rounding() -> None:
    """Four weights on 64 cells, three of them each: errors of 1e-10, proven from the search's own answer."""
    from matchopt_sums import SumSearch

    from matchopt import Limits

    rng = np.random.default_rng(2)
    layer = LayerInstance(Target.from_dense(rng.normal(size=(1, 4))), Hardware(rng.normal(size=(2, 64))), Rules(3))
    solution = SumSearch(kicks=30, others=2).solve(layer, Limits(), np.random.default_rng(0)).solution
    assert solution is not None
    found = certify(layer, solution)
    assert found.optimal and 0.0 < found.bound <= layer.value(solution) < 1e-8


def test_what_has_no_proof_is_refused() -> None:
    """Leaks on shared lines, more cells than a weight may have, a connection without a cell, a line of two inputs."""
    layer = LayerInstance(Target.from_dense(np.ones((1, 2))), Hardware(np.ones((1, 4))), Rules(2))
    wired = LayerMapping(np.array([0]), np.array([0, 3]), np.array([0, 1, 2]), np.array([0, 1, 1]))
    assert certify(layer, wired).bound == 0.0
    for cells, inputs in (([0, 1, 2, 3], [0, 1, 1, 1]), ([0], [0])):
        wrong = LayerMapping(np.array([0]), np.array([0, len(cells)]), np.array(cells), np.array(inputs))
        with pytest.raises(Refused, match="not feasible"):
            certify(layer, wrong)
    chip = Hardware(np.ones((2, 4)), off=np.full((2, 4), 0.1), bus=np.zeros(2, int))
    with pytest.raises(Refused, match="leak on shared lines"):
        certify(replace(layer, hardware=chip), wired)
    with pytest.raises(Refused, match="gain-interval"):
        certify(replace(layer, rules=Rules(2, gains=Gains.interval(0.5, 2.0))), wired)
    two = LayerInstance(Target.from_dense(np.ones((2, 2))), Hardware(np.ones((2, 4)), bus=np.zeros(2, int)), Rules(2))
    for inputs, fits in (([0, 1, 0, 1], True), ([0, 1, 1, 0], False)):
        crossed = LayerMapping(np.arange(2), np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.array(inputs))
        assert check(two, crossed).feasible is fits
        if fits:
            assert certify(two, crossed).bound == 0.0
            continue
        with pytest.raises(Refused, match="not feasible"):
            certify(two, crossed)
    assert layer.objective == WeightError()


def test_rows_of_any_length_are_bounded() -> None:
    """A thousand connections on five cells, most of them dropped: the search is as deep as there are connections."""
    target, hardware = Target.from_dense(np.random.default_rng(0).normal(size=(1, 1200))), Hardware(np.ones((1, 5)))
    layer = LayerInstance(target, hardware, Rules(2, drop=True))
    dropped = LayerMapping.from_cells(target, np.array([0]), np.full(1200, -1))
    assert 0.0 < certify(layer, dropped).bound < layer.value(dropped)
