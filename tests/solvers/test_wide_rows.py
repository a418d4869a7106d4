"""Solvers of output errors on a pruned network whose rows are wide: a mapping soon, a good one in time."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matchopt_reroute import OutputSearch, Reroute
from solvers.wide_networks import FREE, images, on_chip, pruned

from matchopt import (
    FunctionalError,
    Hardware,
    LayerInstance,
    Limit,
    Limits,
    NetworkInstance,
    NetworkMapping,
    OutputError,
    Rules,
    ScoreError,
    Target,
    solve,
)
from matchopt.checker import check
from matchopt.network import measure, realise, unmapped


def crowded(rng: np.random.Generator, rules: dict[str, Any], rows: int = 100, inputs: int = 300) -> LayerInstance:
    """A layer of fan-in 10 to 90 and inputs that say much the same."""
    fan_in = rng.integers(10, 91, rows)
    support = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in[:, None]
    mixed = rng.normal(size=(inputs, 40)) @ rng.normal(size=(40, 2 * inputs)) + rng.normal(size=(inputs, 2 * inputs))
    moments = mixed @ mixed.T / mixed.shape[1]
    target = Target.from_dense(rng.normal(size=(rows, inputs)), support)
    return LayerInstance(target, Hardware(rng.normal(size=(rows, 113))), Rules(**rules), OutputError(moments))


@pytest.mark.parametrize("rules", [{}, FREE, {"drop": True}], ids=["own inputs", "free", "drop"])
def test_output_search_has_a_mapping_at_once(rules: dict[str, Any]) -> None:
    """With no time at all there is one, a good deal better than that of the least weight error."""
    rng = np.random.default_rng(1)
    layer = crowded(rng, rules)
    OutputSearch().prepare()
    began = time.process_time()
    result = OutputSearch().solve(layer, Limits(1e-9), rng)
    assert time.process_time() - began < 5.0
    assert result.limit is Limit.TIME and result.solution is not None
    assert not check(layer, result.solution).violations


@pytest.mark.parametrize("objective", [FunctionalError, ScoreError])
@pytest.mark.parametrize("rules", [{}, FREE], ids=["own inputs", "free"])
def test_reroute_has_a_mapping_at_once(rules: dict[str, Any], objective: Any) -> None:
    """Whether states on the way are compared by the instance's objective or not."""
    rng = np.random.default_rng(2)
    first, second = (crowded(rng, rules, 100, inputs) for inputs in (300, 100))
    layers = tuple(LayerInstance(layer.target, layer.hardware, layer.rules) for layer in (first, second))
    biases = (rng.normal(size=100), rng.normal(size=100))
    inputs = np.maximum(rng.normal(size=(500, 300)), 0)
    network = NetworkInstance(layers, biases, objective=objective(inputs), adjustable=True)
    Reroute().prepare()
    began = time.process_time()
    result = Reroute().solve(network, Limits(1e-9), rng)
    assert time.process_time() - began < 5.0
    assert result.limit is Limit.TIME and result.solution is not None
    assert not check(network, result.solution).violations


def accuracy(network: NetworkInstance, mapping: NetworkMapping | None) -> float:
    """On test images, in points."""
    net = unmapped(network) if mapping is None else realise(network, mapping)
    return 100 * measure(net, images().test_images, images().test_labels).accuracy


@pytest.mark.slow
def test_a_pruned_network_is_mapped_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Default options: a first mapping within 15 s, within 60 s one near the target, or much better than the first.

    The latter needs no longer searches of pairs, which would go on for as long as they may.
    """
    pytest.importorskip("torch")
    net = pruned(Path(tmp_path_factory.getbasetemp()))
    assert net.n_connections == 5_459 and max(int(fan.max()) for fan in net.fan_in) > 50
    network = on_chip(net, 1.25, objective="score-error")
    run = solve(network, "reroute", time_limit=60.0, prove_seconds=0)
    assert run.trace[0][0] < 15.0 and isinstance(run.solution, NetworkMapping)
    assert accuracy(network, run.solution) > accuracy(network, None) - 0.5
    errors = on_chip(net, 1.25, objective="output-error", centred=True)
    run = solve(errors, "output-search", time_limit=60.0, iterations=0, prove_seconds=0)
    assert run.trace[0][0] < 15.0 and run.objective is not None and run.objective < 0.2 * run.trace[0][1]
