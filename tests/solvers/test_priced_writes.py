"""Limits on writes: the Lagrangian bound and its mapping, and the greedy heuristic, against enumeration."""

from itertools import pairwise

import numpy as np
import pytest
from matchopt_greedy import Greedy, PricedWrites
from matchopt_greedy.spending import Wiring, spend
from programmable import random_layer

from matchopt import Hardware, LayerInstance, Limits, Rules, Status, Target, check
from matchopt.testing import brute_force


@pytest.mark.parametrize("seed", range(30))
def test_bound_and_mapping_enclose_the_optimum(seed: int) -> None:
    """The bound is never above it, the mapping keeps the limit, and a claim of optimality is true."""
    layer = random_layer(
        200 + seed, shared=False, limited=True, kinds=("range", "levels", "range levels fixed")[seed % 3]
    )
    known = brute_force(layer).value
    found = PricedWrites().solve(layer, Limits(), np.random.default_rng(0))
    greedy = Greedy().solve(layer, Limits(), np.random.default_rng(0))
    if known is None:
        assert found.status is greedy.status is Status.INFEASIBLE
        return
    assert found.solution is not None and greedy.solution is not None
    report, other = check(layer, found.solution), check(layer, greedy.solution)
    assert report.objective is not None and other.objective is not None
    assert found.bound <= known * (1.0 + 1e-9) + 1e-12
    assert known <= report.objective * (1.0 + 1e-9) <= other.objective * (1.0 + 2e-9) + 1e-12
    assert found.status is not Status.OPTIMAL or report.objective <= known * (1.0 + 1e-8) + 1e-12


def wide(writes: int) -> LayerInstance:
    """Forty rows on cells of a range with some stuck ones."""
    rng = np.random.default_rng(1)
    support = rng.random((40, 60)) < 0.2
    target = Target.from_dense(np.where(support, rng.laplace(size=(40, 60)), 0.0), support)
    low = np.where(rng.random((44, 24)) < 0.1, np.nan, -2.0)
    chip = Hardware(rng.normal(size=(44, 24)), low=low, high=-low, write_variance=np.full((44, 24), 1e-3))
    return LayerInstance(target, chip, Rules(writes=writes))


def test_every_write_of_a_large_layer_is_well_spent() -> None:
    """Errors fall with the limit, all of which is used; the gap to the bound is small, and no more than greedy's."""
    before = np.inf
    for writes in (0, 10, 40, 100):
        layer = wide(writes)
        found = PricedWrites().solve(layer, Limits(), np.random.default_rng(0))
        greedy = Greedy().solve(layer, Limits(), np.random.default_rng(0))
        assert found.solution is not None and greedy.solution is not None and check(layer, found.solution).feasible
        value = layer.value(found.solution)
        assert value < before and found.bound <= value <= layer.value(greedy.solution)
        assert value <= found.bound * 1.01
        written = getattr(found.solution, "written", None)
        assert (0 if written is None else (~np.isnan(written)).sum()) == writes
        before = value


def test_writes_are_spent_where_they_pay_most() -> None:
    """With the neurons given: no more than allowed, and never worse than the cells left as they are."""
    layer = wide(25)
    neurons = np.random.default_rng(2).permutation(44)[:40]
    nothing = Wiring.at_price(layer, neurons, 1e9)
    assert nothing.n_writes == 0
    costs = [spend(layer, neurons, budget) for budget in (0, 1, 25, 200, 10**6)]
    assert [wiring.n_writes for wiring in costs[:4]] == [0, 1, 25, 200]
    assert costs[0].cost == pytest.approx(nothing.cost)
    assert all(a.cost > b.cost for a, b in pairwise(costs))
    for wiring in costs:
        assert layer.value(wiring.mapping(layer)) == pytest.approx(wiring.cost)
