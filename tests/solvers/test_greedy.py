"""The two greedy heuristics."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import random_layer
from matchopt_greedy import Greedy, GreedyPairs
from solvers.small import COSTS, assignment, columns, listed, objective, solved

from matchopt import AssignmentInstance, Hardware, LayerInstance, LayerMapping, Rules, Status, Target, reduction
from matchopt.contract import refusal
from matchopt.testing import brute_force

seeds = st.integers(0, 2**32 - 1)


def cheapest_pairs(cost: np.ndarray) -> list[int]:
    """The definition, one minimum over all pairs at a time."""
    left, col_of = cost.astype(object), [-1] * len(cost)
    for _ in range(len(cost)):
        i, j = min(np.ndindex(left.shape), key=lambda pair: (left[pair], pair))
        col_of[i] = j
        left[i, :], left[:, j] = math.inf, math.inf
    return col_of


@given(seed=seeds, ties=st.booleans(), sparse=st.booleans())
@settings(deadline=None, max_examples=30)
def test_pairs_follow_the_definition(seed: int, ties: bool, sparse: bool) -> None:
    """Without forbidden pairs the result is that of picking the cheapest pair left, ties by row and column."""
    rng = np.random.default_rng(seed)
    shape = (rows := int(rng.integers(1, 8)), rows + int(rng.integers(0, 4)))
    cost = rng.integers(0, 4, shape) if ties else rng.integers(0, 10**6, shape)
    instance = listed(cost, np.ones(shape, bool)) if sparse else AssignmentInstance(cost)
    assert columns(solved(GreedyPairs(), instance)) == cheapest_pairs(cost)


@given(seed=seeds, costs=st.sampled_from(COSTS), sparse=st.booleans())
@settings(deadline=None, max_examples=50)
def test_pairs_find_a_solution_whenever_there_is_one(seed: int, costs: str, sparse: bool) -> None:
    """With forbidden pairs, rows left out are placed by moving others; INFEASIBLE only if enumeration agrees."""
    instance = assignment(np.random.default_rng(seed), costs, sparse=sparse)
    result = solved(GreedyPairs(), instance)
    if brute_force(instance).solution is None:
        assert result.status is Status.INFEASIBLE
    else:
        assert result.status is Status.FEASIBLE
        objective(instance, result.solution)


def test_pairs_fall_for_the_trap() -> None:
    """The cheapest pair forces the dearest one; the solver claims no optimum."""
    result = solved(GreedyPairs(), AssignmentInstance(np.array([[0, 1], [1, 100]])))
    assert (columns(result), result.status) == ([0, 1], Status.FEASIBLE)


def test_pairs_look_up_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result does not depend on how many pairs are looked up at once."""
    instance = AssignmentInstance(np.random.default_rng(0).random((30, 35)))
    whole = columns(solved(GreedyPairs(), instance))
    monkeypatch.setattr("matchopt_greedy.pairs.CHUNK", 7)
    assert columns(solved(GreedyPairs(), instance)) == whole


@pytest.mark.slow
@pytest.mark.parametrize("order", ["norm", "fan-in", "regret"])
@given(seed=seeds)
@settings(deadline=None, max_examples=12)
def test_greedy_maps_what_can_be_mapped(order: str, seed: int) -> None:
    """Every separable layer gets a feasible mapping no better than the optimum, or is infeasible by enumeration."""
    instance = random_layer(np.random.default_rng(seed), shared=False, tunable=0, cells=1, correlated=False)
    best, result = brute_force(instance), solved(Greedy(order=order), instance)  # type: ignore[arg-type]
    if best.solution is None:
        assert result.status is Status.INFEASIBLE
    else:
        assert result.status is Status.FEASIBLE
        assert objective(instance, result.solution) >= best.value - 1e-9


def random_target(rng: np.random.Generator) -> LayerInstance:
    support = rng.random((12, 9)) < 0.5
    importance = rng.uniform(0.5, 2.0, support.shape)
    target = Target.from_dense(rng.standard_normal(support.shape) * support, support, importance)
    return LayerInstance(target, Hardware(rng.standard_normal((14, 10))))


@pytest.mark.parametrize("order", ["norm", "fan-in", "regret"])
def test_greedy_follows_its_order(order: str) -> None:
    """The choice of neurons is that of the definition: rows in the order asked for, each the cheapest neuron left."""
    for seed in range(5):
        instance = random_target(np.random.default_rng(seed))
        (pairs,) = reduction(instance, AssignmentInstance).parts
        assert isinstance(pairs, AssignmentInstance)
        weight, sorted_costs = instance.target, np.sort(pairs.cost, axis=1)
        strength = {
            "norm": [
                sum(weight.importance[e] * weight.weights[e] ** 2 for e in range(*weight.row(i).indices(10**6)))
                for i in range(12)
            ],
            "fan-in": weight.fan_in.tolist(),
            "regret": (sorted_costs[:, 1] - sorted_costs[:, 0]).tolist(),
        }[order]
        free, wanted = set(range(14)), {}
        for i in sorted(range(12), key=lambda i: (-strength[i], i)):
            wanted[i] = min(free, key=lambda j: (pairs.cost[i, j], j))
            free.remove(wanted[i])
        mapping = solved(Greedy(order=order), instance).solution  # type: ignore[arg-type]
        assert isinstance(mapping, LayerMapping)
        assert mapping.neuron_of.tolist() == [wanted[i] for i in range(12)]


def test_greedy_makes_room() -> None:
    """A strong row that takes the only neuron with room for a long row moves on when that row comes."""
    target = Target.from_dense(np.array([[9.0, 0, 0], [0.1, 0.1, 0.1]]))
    usable = np.array([[1, 1, 1], [1, 0, 0]], bool)
    instance = LayerInstance(target, Hardware(np.array([[9.0, 1, 1], [0.0, 0, 0]]), usable=usable))
    mapping = solved(Greedy(), instance).solution
    objective(instance, mapping)
    assert isinstance(mapping, LayerMapping)
    assert mapping.neuron_of.tolist() == [1, 0]


def test_greedy_refuses_what_does_not_separate() -> None:
    """Several cells per weight couple the cells of a row: refused, with the reason."""
    instance = random_target(np.random.default_rng(0))
    coupled = LayerInstance(instance.target, instance.hardware, Rules(cells_per_weight=2))
    assert refusal(Greedy(), instance) is None
    assert "several-cells" in (refusal(Greedy(), coupled) or "")


def test_greedy_takes_only_its_orders() -> None:
    """A wrong option names the allowed ones."""
    with pytest.raises(ValueError, match="order must be one of norm, fan-in, regret"):
        Greedy(order="size")  # type: ignore[arg-type]
