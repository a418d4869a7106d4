"""What is easy and what is hard: each statement of the mathematics is a test (docs/mathematics.md)."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_layer
from matchopt_cpsat.cpsat import CpSat
from matchopt_milp.milp import Milp
from scipy.optimize import linear_sum_assignment

from matchopt import (
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    OutputError,
    ProgramInstance,
    Rules,
    Status,
    Target,
    WeightError,
    match_rows,
    not_separable,
    pair_costs,
    reduction,
)
from matchopt.checker import check
from matchopt.instances import Assignment
from matchopt.instances.generators import draw_hardware, draw_target
from matchopt.proofs import certify
from matchopt.testing import brute_force

RNG = np.random.default_rng


def solve_easily(layer: LayerInstance) -> LayerMapping | None:
    """Pair costs, linear assignment, optimal wiring: the polynomial way; None if infeasible."""
    step = reduction(layer, AssignmentInstance)
    (part,) = step.parts
    try:
        _, columns = linear_sum_assignment(part.cost)
    except ValueError:
        return None
    return step.lift([Assignment(columns)])


def separable(seed: int, *, uniform: bool, noise: bool, drop: bool, gains: Gains | None = None) -> LayerInstance:
    """A tiny separable layer with the features asked for."""
    rng = RNG(seed)
    layer = random_layer(rng, shared=False, cells=1, tunable=0, gains=gains or Gains(), correlated=False)
    size = layer.target.n_connections
    per_row = rng.uniform(0.2, 2.0, layer.n_rows)[layer.target.row_of]
    importance = per_row if uniform else rng.uniform(0.05, 5.0, size)
    variance = rng.uniform(0.0, 0.5, layer.hardware.weights.shape) if noise else None
    target = Target(layer.target.indptr, layer.target.indices, layer.target.weights, layer.target.n_inputs, importance)
    return replace(
        layer,
        target=target,
        hardware=Hardware(layer.hardware.weights, variance, layer.hardware.usable),
        rules=replace(layer.rules, drop=drop, extra_inputs=False),
    )


@pytest.mark.slow
@pytest.mark.parametrize("uniform", [True, False], ids=["uniform", "unequal"])
@pytest.mark.parametrize("noise", [False, True], ids=["quiet", "noisy"])
@pytest.mark.parametrize("drop", [False, True], ids=["all", "drop"])
def test_free_routing_is_exact_and_proved(uniform: bool, noise: bool, drop: bool) -> None:
    """Free routing: exact inner matching and assignment equal enumeration, with read noise, drops and any importance.

    The optimum is proved by duals, from the mapping alone.
    """
    feasible = 0
    for seed in range(15):
        layer = separable(seed, uniform=uniform, noise=noise, drop=drop)
        truth, mapping = brute_force(layer), solve_easily(layer)
        assert (mapping is None) == (not truth.feasible)
        if mapping is not None:
            report = check(layer, mapping)
            assert report.objective == pytest.approx(truth.value, abs=1e-9)
            assert certify(layer, mapping).optimal
            feasible += 1
    assert feasible >= 8


def test_unequal_importance_breaks_the_order() -> None:
    """With unequal importance the order-preserving wiring is suboptimal for a good share of random rows."""
    worse = 0
    for seed in range(100):
        rng = RNG(seed)
        target = draw_target(1, 4, 4, rng)
        hardware = Hardware(rng.standard_normal((1, 5)))
        importance = rng.uniform(0.01, 10.0, 4)
        neuron = np.zeros(1, int)
        ordered = match_rows(target, hardware, neuron, gains=Gains(), drop=False, importance=np.ones(4)).cell_of
        ordered_cost = float(importance @ (target.weights - hardware.weights[0, ordered]) ** 2)
        exact = float(pair_costs(target, hardware, gains=Gains(), drop=False, importance=importance)[0, 0])
        costs = importance[:, None] * (target.weights[:, None] - hardware.weights[0][None, :]) ** 2
        cheapest = np.argsort(costs, axis=1)[:, :4]  # only the n cheapest cells of each weight can matter
        few = np.full_like(costs, 1e6)
        np.put_along_axis(few, cheapest, np.take_along_axis(costs, cheapest, axis=1), axis=1)
        rows, columns = linear_sum_assignment(few)
        assert exact == pytest.approx(float(costs[rows, columns].sum()))
        worse += ordered_cost > exact * (1 + 1e-9)
    assert worse >= 20


@pytest.mark.slow
@pytest.mark.parametrize("gains", [Gains.interval(0.5, 2.0), Gains.interval(-1.0, 1.5)], ids=str)
def test_gains_in_an_interval_stay_exact_per_pair(gains: Gains) -> None:
    """Gains in an interval: the pair costs from the envelope of matchings equal enumeration."""
    for seed in range(12):
        layer = separable(seed, uniform=seed % 2 == 0, noise=seed % 3 == 0, drop=seed % 5 == 0, gains=gains)
        truth, mapping = brute_force(layer), solve_easily(layer)
        assert (mapping is None) == (not truth.feasible)
        if mapping is not None:
            assert check(layer, mapping).objective == pytest.approx(truth.value, abs=1e-9)
            assert certify(layer, mapping).optimal


@pytest.mark.parametrize(
    "gains", [Gains.interval(0.37, 2.7), pytest.param(Gains.interval(-1.0, 1.0), marks=pytest.mark.slow)], ids=str
)
def test_gains_in_an_interval_are_proved_at_the_size_of_lenet(gains: Gains) -> None:
    """300 rows of 8 weights on as many neurons of 10 cells: what the kernels call optimal another method proves."""
    rng = RNG(0)
    layer = LayerInstance(draw_target(300, 784, 8, rng), draw_hardware("gaussian", 300, 10, rng), Rules(gains=gains))
    mapping = solve_easily(layer)
    assert mapping is not None
    found = certify(layer, mapping, seconds=60.0)
    assert found.optimal
    assert found.bound == pytest.approx(layer.value(mapping), rel=1e-9)


HARD = {
    "several-cells": {"shared": False, "cells": 2, "tunable": 0, "correlated": False},
    "tunable-budget": {"shared": False, "cells": 1, "tunable": 1, "correlated": False},
    "correlated-inputs": {"shared": False, "cells": 1, "tunable": 0, "correlated": True},
    "shared-bus": {"shared": True, "cells": 1, "tunable": 0, "correlated": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("hard", HARD)
@pytest.mark.parametrize("solver", [CpSat(), Milp()], ids=["cpsat", "milp"])
def test_hard_variants_are_exact_on_small_instances(hard: str, solver: CpSat | Milp) -> None:
    """Coupled variants refuse the assignment with a reason, and the program's proven optimum equals enumeration."""
    solved = 0
    for seed in range(60):
        layer = random_layer(RNG(seed), gains=Gains(), **HARD[hard])
        if not_separable(layer) is None:  # one neuron per bus, or one input: that draw has nothing hard
            continue
        step = reduction(layer, ProgramInstance)
        result = solver.solve(step.parts[0], Limits(seconds=20), RNG(0))
        truth = brute_force(layer)
        if not truth.feasible:
            assert result.status is Status.INFEASIBLE
            continue
        assert result.status is Status.OPTIMAL
        assert result.bound <= truth.value + 1e-9
        assert check(layer, step.lift([result.solution])).objective == pytest.approx(truth.value, abs=1e-5)
        solved += 1
        if solved == 4:
            return
    pytest.fail(f"only {solved} feasible instances were drawn")


def test_diagonal_second_moments_stay_easy() -> None:
    """An output error with uncorrelated inputs separates: assignment equals enumeration."""
    for seed in range(20):
        layer = separable(seed, uniform=True, noise=True, drop=False)
        layer = replace(layer, objective=OutputError(np.diag(RNG(seed).uniform(0.1, 2.0, layer.target.n_inputs))))
        truth, mapping = brute_force(layer), solve_easily(layer)
        assert (mapping is None) == (not truth.feasible)
        if mapping is not None:
            assert check(layer, mapping).objective == pytest.approx(truth.value, abs=1e-9)


@pytest.mark.slow
def test_extra_inputs_never_help_a_separable_layer() -> None:
    """Allowing cells on inputs outside the support does not lower the optimum under WeightError."""
    for seed in range(8):
        layer = separable(seed, uniform=False, noise=True, drop=True)
        free = replace(layer, rules=Rules(drop=True, extra_inputs=True), objective=WeightError())
        assert brute_force(free).value == pytest.approx(brute_force(layer).value, abs=1e-9)
        assert not_separable(free) is None


def test_wide_hardware_is_lossless_and_tight_hardware_is_not() -> None:
    """With K = 784 cells for 8 weights a random neuron loses under 1 %; with 10 cells even the optimum loses more."""
    rng = RNG(0)
    target = draw_target(100, 784, 8, rng, "pruned")
    power = float(target.weights @ target.weights)
    loss = {}
    for cells in (784, 10):
        hardware = draw_hardware("gaussian", 100, cells, rng)
        costs = pair_costs(target, hardware, gains=Gains(), drop=False)
        rows, columns = linear_sum_assignment(costs)
        loss[cells] = (float(costs.diagonal().sum()) / power, float(costs[rows, columns].sum()) / power)
    random_wide, best_wide = loss[784]
    random_tight, best_tight = loss[10]
    assert random_wide < 0.01
    assert best_wide < 1e-4
    assert best_tight > 5 * random_wide
    assert random_tight > 2 * best_tight
