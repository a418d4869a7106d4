"""The lower bound of whole networks: below every mapping, and sharp where inputs are independent."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from matchopt_reroute import Reroute
from matchopt_reroute.bounds import functional_bound
from solvers.small_networks import network

from matchopt import (
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    Limits,
    NetworkInstance,
    OutputError,
    Rules,
    Target,
)
from matchopt.testing import brute_force


def one_layer(seed: int, inputs: np.ndarray, adjustable: bool, **rules: Any) -> NetworkInstance:
    """A network of one layer of two rows on three hardware neurons with three cells."""
    rng = np.random.default_rng(seed)
    mask = np.argsort(rng.random((2, inputs.shape[1])), axis=1) < 2
    target = Target.from_dense(rng.standard_normal(mask.shape), mask)
    hardware = Hardware(rng.standard_normal((3, 3)), 0.1 * rng.random((3, 3)))
    layer = LayerInstance(target, hardware, Rules(**rules))
    return NetworkInstance(
        (layer,), (rng.standard_normal(2),), objective=FunctionalError(inputs), adjustable=adjustable
    )


def least(instance: NetworkInstance) -> float:
    """The least functional error of a network of one layer whose biases make every mean right, by enumeration.

    Read noise counts by E[x^2], which the covariances lack, so it is left out; what is left is no more.
    """
    (layer,) = instance.layers
    assert isinstance(instance.objective, FunctionalError)
    inputs = instance.objective.rows(slice(None))
    covariance = np.cov(inputs.T, bias=True)
    quiet = Hardware(layer.hardware.weights)
    spread = instance.target_signals(inputs)[0].var(axis=0).sum()
    return float(brute_force(replace(layer, hardware=quiet, objective=OutputError(covariance))).value / spread)


@pytest.mark.parametrize("rules", [{}, {"drop": True}, {"gains": Gains.interval(0.5, 2.0)}])
@pytest.mark.parametrize("seed", range(4))
def test_sharp_where_inputs_are_independent(seed: int, rules: dict[str, Any]) -> None:
    """All corners of a cube: no correlation, so the diagonal that the bound rests on is all there is."""
    corners = np.array(list(product((0.0, 1.0), repeat=4))) * np.array([1.0, 2.0, 0.5, 1.5])
    instance = one_layer(seed, corners, True, **rules)
    (layer,) = instance.layers
    quiet = replace(instance, layers=(replace(layer, hardware=Hardware(layer.hardware.weights)),))
    if "gains" in rules:  # enumeration takes finite gains only
        assert functional_bound(quiet, 1) <= least(replace(quiet, layers=(replace(layer, rules=Rules()),))) * (1 + 1e-9)
        return
    assert functional_bound(quiet, 1) == pytest.approx(least(quiet), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_below_the_optimum_of_correlated_inputs(seed: int) -> None:
    """And above zero, so that it says something."""
    rng = np.random.default_rng(seed)
    inputs = rng.random((50, 4)) + rng.random((50, 1))
    instance = one_layer(seed, inputs, True)
    (layer,) = instance.layers
    quiet = replace(instance, layers=(replace(layer, hardware=Hardware(layer.hardware.weights)),))
    assert 0.0 < functional_bound(quiet, 1) <= least(quiet) * (1 + 1e-9)


@pytest.mark.parametrize("adjustable", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_below_what_is_found_and_reported(seed: int, adjustable: bool) -> None:
    """The solver reports it, so a run has a gap; a deeper network and read noise included."""
    instance = network(
        seed,
        labels=False,
        adjustable=adjustable,
        drop=True,
        chip={"variance": lambda rng, shape: 0.1 * rng.random(shape)},
    )
    for aim in ("outputs", "signals"):
        result = Reroute(aim=aim).solve(instance, Limits(), np.random.default_rng(0))  # type: ignore[arg-type]
        assert result.solution is not None
        assert 0.0 < result.bound <= instance.value(result.solution)


def test_nothing_is_claimed_where_nothing_is_known() -> None:
    """Extra inputs, hardware biases, tunable weights and constant signals."""
    free = network(0, labels=False, adjustable=True, extra_inputs=True, drop=True)
    wired = network(0, labels=False, hardware_biases=True)
    tuned = network(0, labels=False, adjustable=True, tunable=1)
    still = one_layer(0, np.ones((5, 4)), True)
    assert [functional_bound(case, 1) for case in (free, wired, tuned, still)] == [-math.inf] * 4
