"""The output-exact solver: equal to enumeration and to constraint programming, honest when it is stopped."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_cpsat import CpSat
from matchopt_reroute import OutputExact, OutputSearch
from matchopt_reroute.enumeration import factored, least_error
from matchopt_reroute.proof import worthwhile
from scipy.optimize import linear_sum_assignment
from solvers.output_layers import layer, moments, row_costs

from matchopt import Gains, Limit, Limits, OutputError, ProgramInstance, Result, Status, read, reduction
from matchopt.checker import check
from matchopt.contract import refusal
from matchopt.instances import LayerInstance
from matchopt.library import problems_folder
from matchopt.testing import brute_force, run_checks

seeds = st.integers(0, 2**32 - 1)
RULES = (
    {},
    {"drop": True},
    {"drop": True, "cells": 1},
    {"noise": 0.3},
    {"noise": 0.3, "drop": True, "bad": 0.3},
    {"gains": Gains.finite(-0.5, 1.0, 2.0)},
    {"rank": 1},
    {"bad": 0.2},
)


def solved(instance: LayerInstance, solver: OutputExact | None = None, **limits: object) -> Result:
    """One solve whose solution, if there is one, is feasible."""
    result = (solver or OutputExact()).solve(instance, Limits(**limits), np.random.default_rng(0))  # type: ignore[arg-type]
    if result.solution is not None:
        assert not check(instance, result.solution).violations
    return result


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES, ids=str)
@given(seed=seeds)
@settings(deadline=None, max_examples=5)
def test_equals_enumeration(rules: dict[str, object], seed: int) -> None:
    """Whatever the rules, the value is the enumerated optimum, claimed so, and the bound does not exceed it."""
    instance = layer(seed, **rules)  # type: ignore[arg-type]
    known, result = brute_force(instance), solved(instance)
    if known.solution is None:
        assert result.status is Status.INFEASIBLE
        return
    assert result.status is Status.OPTIMAL
    assert known.value is not None and result.solution is not None
    scale = 1e-9 * float(instance.target.weights @ instance.target.weights + 1.0)
    assert instance.value(result.solution) == pytest.approx(known.value, rel=1e-8, abs=scale)
    assert result.bound <= known.value + scale


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_constraint_programming(seed: int) -> None:
    """On 3 rows of 3 connections with 4 cells both prove the same optimum."""
    instance = layer(seed, rows=3, inputs=5, fan_in=3, neurons=4, cells=4)
    step = reduction(instance, ProgramInstance)
    other = CpSat().solve(step.parts[0], Limits(seconds=60), np.random.default_rng(0))
    assert other.status is Status.OPTIMAL and other.solution is not None
    lifted = step.lift([other.solution])
    result = solved(instance)
    assert result.status is Status.OPTIMAL and result.solution is not None
    assert instance.value(result.solution) == pytest.approx(instance.value(lifted), rel=1e-6)  # type: ignore[arg-type]


def test_closes_the_instance_that_constraint_programming_left_open() -> None:
    """row8-crop-output-error, whose best known value came from random wirings, has the optimum 11.5445."""
    instance = read(problems_folder() / "instances" / "row8-crop-output-error.matchopt")
    assert isinstance(instance, LayerInstance)
    result = solved(instance)
    assert result.status is Status.OPTIMAL and result.solution is not None
    assert instance.value(result.solution) == pytest.approx(11.544531584)
    assert result.bound == pytest.approx(11.544531584, rel=1e-7)


def test_stopped_by_nodes_it_claims_nothing() -> None:
    """With one node per pair there is a solution and a bound below the optimum, and no claim."""
    instance = layer(1, rows=6, inputs=10, fan_in=6, neurons=8, cells=7)
    optimum = solved(instance)
    stopped = solved(instance, OutputExact(nodes=1))
    assert optimum.status is Status.OPTIMAL and optimum.solution is not None
    assert (stopped.status, stopped.limit) == (Status.FEASIBLE, Limit.NODE)
    assert stopped.solution is not None
    best = instance.value(optimum.solution)
    assert stopped.bound <= best <= instance.value(stopped.solution) + 1e-12
    assert stopped.bound > 0.0


@given(seed=seeds)
@settings(deadline=None, max_examples=3)
def test_any_number_of_nodes_gives_true_bounds(seed: int) -> None:
    """However early enumeration is cut short, bounds hold and what is claimed optimal is."""
    instance = layer(seed, rows=3, inputs=6, fan_in=4, neurons=4, cells=5)
    optimum = solved(instance)
    assert optimum.status is Status.OPTIMAL and optimum.solution is not None
    best = instance.value(optimum.solution)
    for nodes in (1, 5, 40):
        result = solved(instance, OutputExact(nodes=nodes))
        assert result.solution is not None
        assert result.bound <= best * (1.0 + 1e-9)
        if result.status is Status.OPTIMAL:
            assert instance.value(result.solution) == pytest.approx(best, rel=1e-8)


def test_fifty_rows_are_solved_and_beat_or_equal_the_search() -> None:
    """50 rows of fan-in 6 on 60 neurons are proved; the search comes within 3 % of the optimum, its bound below."""
    instance = layer(3, rows=50, inputs=60, fan_in=6, neurons=60, cells=7)
    exact = solved(instance)
    assert exact.status is Status.OPTIMAL and exact.solution is not None
    search = OutputSearch().solve(instance, Limits(), np.random.default_rng(0))
    assert search.solution is not None
    best = instance.value(exact.solution)
    assert exact.bound == pytest.approx(best, rel=1e-6)
    assert search.bound <= best <= instance.value(search.solution) + 1e-12
    assert instance.value(search.solution) <= 1.03 * best


@pytest.mark.parametrize("drop", [False, True])
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_enumeration_of_one_row(drop: bool, seed: int) -> None:
    """The least error of one row is that of all injections; nothing is found at or below it; nodes cut short end."""
    rng = np.random.default_rng(seed)
    instance = layer(seed, rows=1, inputs=5, fan_in=3, neurons=1, cells=4, noise=0.2)
    factor, order, wanted, power = factored(instance, 0)
    cells, noise = np.sort(rng.normal(size=4)), 0.2 * rng.random(4)
    own = factor.T @ factor
    best = math.inf
    for choice in itertools.product(range(-1 if drop else 0, 4), repeat=3):
        used = [k for k in choice if k >= 0]
        if len(set(used)) == len(used):
            d = wanted - np.array([cells[k] if k >= 0 else 0.0 for k in choice])
            extra = sum(noise[k] * power[at] for at, k in enumerate(choice) if k >= 0)
            best = min(best, float(d @ own @ d) + extra)
    at = np.full(3, -1)
    found, _, ended = least_error(factor, wanted, power, cells, noise, drop, math.inf, 10**6, at)
    assert ended and found == pytest.approx(best, rel=1e-9)
    below, _, ended = least_error(factor, wanted, power, cells, noise, drop, found, 10**6, at)
    assert ended and below == found
    assert not least_error(factor, wanted, power, cells, noise, drop, math.inf, 2, at)[2]
    assert sorted(order.tolist()) == [0, 1, 2]
    inputs = instance.target.indices[order]
    assert isinstance(instance.objective, OutputError)
    np.testing.assert_allclose(own, instance.objective.second_moments[np.ix_(inputs, inputs)], atol=1e-9)


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_potentials_prove_an_assignment(seed: int) -> None:
    """No ceiling exceeds its cost, those of the assignment meet theirs, and their best total is the optimum."""
    rng = np.random.default_rng(seed)
    cost = rng.random((6, int(rng.integers(6, 10))))
    rows, chosen = linear_sum_assignment(cost)
    ceiling = worthwhile(cost, chosen)
    assert (ceiling <= cost + 1e-12).all()
    np.testing.assert_allclose(ceiling[rows, chosen], cost[rows, chosen], atol=1e-12)
    assert ceiling[linear_sum_assignment(ceiling)].sum() == pytest.approx(cost[rows, chosen].sum(), abs=1e-9)


def test_what_it_does_not_take() -> None:
    """Each refusal says in one sentence what stands in the way."""
    plain = layer(0)
    refused = {
        "extra-inputs": layer(0, extra_inputs=True),
        "gain-interval": layer(0, gains=Gains.interval(0.5, 2.0)),
        "several-cells": layer(0, cells_per_weight=2),
        "tunable": layer(0, tunable=1),
        "fan-in of 70": layer(0, inputs=80, fan_in=70, cells=70),
        "negative eigenvalue": LayerInstance(
            plain.target, plain.hardware, plain.rules, OutputError(np.ones((4, 4)) - 0.9 * np.eye(4))
        ),
    }
    for words, instance in refused.items():
        assert words in (refusal(OutputExact(), instance) or ""), words
    assert refusal(OutputExact(), plain) is None
    with pytest.raises(ValueError, match="nodes must be a whole number >= 1"):
        OutputExact(nodes=0)


def test_infeasible_by_cells() -> None:
    """Rows that need more cells than any neuron has have no mapping."""
    assert solved(layer(0, fan_in=3, cells=2)).status is Status.INFEASIBLE


def test_dependent_inputs_still_solve() -> None:
    """Second moments of rank 1 among 5 inputs: several weights may vanish together, and that is found."""
    instance = layer(5, rows=2, inputs=5, fan_in=3, neurons=3, cells=3, rank=1)
    result, known = solved(instance), brute_force(instance)
    assert result.status is Status.OPTIMAL and result.solution is not None and known.value is not None
    assert row_costs(instance, result.solution).sum() == pytest.approx(known.value, abs=1e-9)
    assert np.linalg.matrix_rank(moments(np.random.default_rng(0), 5, 1)) == 1


@pytest.mark.slow
def test_keeps_every_law_with_few_nodes() -> None:
    """The conformance kit passes with other options too."""
    report = run_checks(OutputExact(nodes=2000))
    assert report.passed, report.summary()
    assert report.counts["passed"] > 50
