"""The output-search solver: exact without correlations, bounded, never worse than its start."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_reroute import OutputSearch
from scipy.optimize import linear_sum_assignment
from solvers.output_layers import layer, row_costs

from matchopt import (
    Assignment,
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    OutputError,
    Result,
    Status,
    WeightError,
    reduction,
)
from matchopt.checker import check
from matchopt.contract import refusal
from matchopt.testing import brute_force, run_checks

seeds = st.integers(0, 2**32 - 1)
RULES = (
    {},
    {"drop": True},
    {"extra_inputs": True},
    {"extra_inputs": True, "drop": True},
    {"noise": 0.3, "bad": 0.2, "cells": 3},
    {"gains": Gains.finite(0.5, 2.0)},
    {"gains": Gains.interval(-1.0, 2.0), "noise": 0.1},
)


def solved(instance: LayerInstance, solver: OutputSearch | None = None, **limits: object) -> Result:
    """One solve whose solution is feasible."""
    result = (solver or OutputSearch()).solve(instance, Limits(**limits), np.random.default_rng(0))  # type: ignore[arg-type]
    if result.solution is not None:
        assert not check(instance, result.solution).violations
    return result


def optimum_of_weight_error(instance: LayerInstance) -> LayerMapping:
    """The mapping of least weight error."""
    step = reduction(replace(instance, objective=WeightError()), AssignmentInstance)
    costs = step.parts[0]
    assert isinstance(costs, AssignmentInstance)
    mapping = step.lift([Assignment(linear_sum_assignment(costs.cost)[1])])
    assert isinstance(mapping, LayerMapping)
    return mapping


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES, ids=str)
@given(seed=seeds)
@settings(deadline=None, max_examples=5)
def test_bounds_and_values_surround_the_optimum(rules: dict[str, object], seed: int) -> None:
    """On tiny layers the bound is at most and the value at least the enumerated optimum, mostly equal to it."""
    instance = layer(seed, **{"inputs": 3, "neurons": 2, "cells": 2, **rules})  # type: ignore[arg-type]
    known, result = brute_force(instance), solved(instance)
    if known.solution is None:
        assert result.status is Status.INFEASIBLE
        return
    assert result.solution is not None and known.value is not None
    tolerance = 1e-9 * (1.0 + float(known.value))
    assert result.bound - tolerance <= known.value <= instance.value(result.solution) + tolerance


def test_mostly_finds_the_optimum_of_tiny_layers() -> None:
    """Of 8 tiny layers with free inputs at least 7 end at the enumerated optimum."""
    hits = 0
    for seed in range(8):
        instance = layer(seed, inputs=3, neurons=2, cells=2, extra_inputs=True, drop=True)
        known, result = brute_force(instance), solved(instance)
        assert result.solution is not None and known.value is not None
        hits += instance.value(result.solution) <= known.value * (1.0 + 1e-9) + 1e-12
    assert hits >= 7


def test_without_correlations_it_is_the_separable_optimum() -> None:
    """A diagonal S gives the exact assignment of weighted matchings, and claims it."""
    instance = layer(1, rows=10, inputs=20, fan_in=4, neurons=12, cells=5, extra_inputs=True)
    weights = np.random.default_rng(1).random(20)
    diagonal = replace(instance, objective=OutputError(np.diag(weights)))
    result = solved(diagonal)
    costs = reduction(diagonal, AssignmentInstance).parts[0]
    assert isinstance(costs, AssignmentInstance) and result.solution is not None
    best = costs.cost[linear_sum_assignment(costs.cost)].sum()
    assert result.status is Status.OPTIMAL
    assert diagonal.value(result.solution) == pytest.approx(best, rel=1e-9)
    assert result.bound == pytest.approx(best, rel=1e-8)


def test_near_the_unit_matrix_the_matching_is_not_improved() -> None:
    """With S = I but for one tiny correlation, local search from the order-preserving optimum finds nothing better."""
    instance = layer(2, rows=8, inputs=12, fan_in=4, neurons=9, cells=5)
    almost = np.eye(12)
    almost[0, 1] = almost[1, 0] = 1e-12
    unit = replace(instance, objective=OutputError(almost))
    start = optimum_of_weight_error(unit)
    result = solved(unit, start=start)
    assert result.solution is not None
    assert unit.value(result.solution) == pytest.approx(unit.value(start), rel=1e-9)


def test_beats_the_optimum_of_the_weight_error() -> None:
    """On correlated inputs the answer is well below the weight-error optimum, which it also improves as a start."""
    instance = layer(4, rows=30, inputs=40, fan_in=6, neurons=30, cells=6)
    start = optimum_of_weight_error(instance)
    for result in (solved(instance), solved(instance, start=start)):
        assert result.solution is not None
        assert instance.value(result.solution) < 0.8 * instance.value(start)


@given(seed=seeds)
@settings(deadline=None, max_examples=10)
def test_no_worse_than_the_start(seed: int) -> None:
    """A start is kept where nothing better is found, and reports only ever improve."""
    instance = layer(seed, rows=5, inputs=8, fan_in=3, neurons=6, cells=4, extra_inputs=True, drop=True)
    start = solved(instance, OutputSearch(rounds=2, kicks=5)).solution
    assert isinstance(start, LayerMapping)
    seen: list[float] = []
    result = solved(instance, OutputSearch(rounds=1, kicks=0), start=start,
                    on_incumbent=lambda solution, bound: seen.append(instance.value(solution)))  # fmt: skip
    assert result.solution is not None
    assert instance.value(result.solution) <= instance.value(start) + 1e-12
    assert seen == sorted(seen, reverse=True)


def test_permuting_hardware_neurons_permutes_the_answer() -> None:
    """The same layer with its hardware neurons in another order gives the same errors on the same neurons."""
    instance = layer(6, rows=6, inputs=8, fan_in=3, neurons=8, cells=4, drop=True)
    order = np.random.default_rng(0).permutation(8)
    moved = replace(instance, hardware=Hardware(instance.hardware.weights[order], instance.hardware.variance[order]))
    one, other = solved(instance).solution, solved(moved).solution
    assert isinstance(one, LayerMapping) and isinstance(other, LayerMapping)
    np.testing.assert_array_equal(order[other.neuron_of], one.neuron_of)
    np.testing.assert_allclose(row_costs(moved, other), row_costs(instance, one), atol=1e-12)


def test_a_gain_makes_up_for_the_scale_of_a_neuron() -> None:
    """Hardware rows scaled by 2 with gains from 1/8 to 8 end within a percent of the same error."""
    instance = layer(7, rows=6, inputs=8, fan_in=3, neurons=6, cells=4, gains=Gains.interval(0.125, 8.0))
    doubled = replace(instance, hardware=Hardware(2.0 * instance.hardware.weights))
    one, other = solved(instance).solution, solved(doubled).solution
    assert one is not None and other is not None
    assert doubled.value(other) == pytest.approx(instance.value(one), rel=0.01)


def test_extra_inputs_help_and_have_no_bound() -> None:
    """Free inputs lower the error; the bound on fixed inputs does not hold for them and is not claimed."""
    fixed = layer(8, rows=20, inputs=30, fan_in=5, neurons=20, cells=5)
    free = replace(fixed, rules=replace(fixed.rules, extra_inputs=True, drop=True))
    one, other = solved(fixed), solved(free)
    assert one.solution is not None and other.solution is not None
    assert free.value(other.solution) < 0.9 * fixed.value(one.solution)
    assert other.bound == -np.inf < one.bound


def test_few_candidates_still_fit() -> None:
    """With two neurons tried per row the answer is feasible and no better than with all."""
    instance = layer(9, rows=12, inputs=16, fan_in=4, neurons=14, cells=5)
    few, every = solved(instance, OutputSearch(candidates=2)), solved(instance)
    assert few.solution is not None and every.solution is not None
    assert instance.value(every.solution) <= instance.value(few.solution) + 1e-12


def test_what_it_does_not_take() -> None:
    """Each refusal says in one sentence what stands in the way."""
    plain = layer(0)
    shared = Hardware(plain.hardware.weights, bus=np.zeros(3, np.int64))
    refused = {
        "hungarian is exact": replace(plain, objective=WeightError()),
        "shared-bus": replace(plain, hardware=shared),
        "several-cells": layer(0, cells_per_weight=2),
        "tunable": layer(0, tunable=1),
    }
    for words, instance in refused.items():
        assert words in (refusal(OutputSearch(), instance) or ""), words
    assert refusal(OutputSearch(), plain) is None
    with pytest.raises(ValueError, match="candidates must be a whole number >= 1"):
        OutputSearch(candidates=0)


@pytest.mark.slow
def test_keeps_every_law_with_other_options() -> None:
    """The conformance kit passes with other options too."""
    report = run_checks(OutputSearch(rounds=2, kicks=3, others=0, candidates=2))
    assert report.passed, report.summary()
    assert report.counts["passed"] > 70
