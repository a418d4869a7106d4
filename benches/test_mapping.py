"""A whole LeNet mapped and proved, in one process; what the command line costs; peers in the same run."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from matchopt import AssignmentInstance, LayerInstance, NetworkInstance, NetworkMapping, assign, reduction, write
from matchopt.checker import check
from matchopt.instances import Assignment
from matchopt.instances.generators import draw_hardware, draw_target
from matchopt.proofs import certify

SHAPES = ((300, 784, 8), (100, 300, 8), (10, 100, 30))  # rows, inputs, fan-in: 3,500 connections, 1.3 %
CELLS = 784


def lenet(cells: int = CELLS) -> NetworkInstance:
    """LeNet-300-100 with fan-in 8/8/30 on gaussian hardware of `cells` cells per neuron, as many neurons as units."""
    rng = np.random.default_rng(0)
    layers = tuple(
        LayerInstance(draw_target(rows, inputs, n, rng, "pruned"), draw_hardware("gaussian", rows, cells, rng))
        for rows, inputs, n in SHAPES
    )
    return NetworkInstance(layers, tuple(np.zeros(rows) for rows, _, _ in SHAPES))


def map_and_prove(network: NetworkInstance) -> NetworkMapping:
    """Pair costs, assignment, wiring, check and proof of every layer."""
    step = reduction(network, AssignmentInstance)
    mapping = step.lift([Assignment(assign(part.cost)) for part in step.parts])
    assert check(network, mapping).feasible
    assert certify(network, mapping).optimal
    return mapping


def by_hand(layer: LayerInstance, rows: int) -> float:
    """The composition a user would write: one SciPy assignment per pair; on `rows` target neurons only."""
    total = 0.0
    for i in range(rows):
        wanted = layer.target.weights[layer.target.row(i)]
        for cells in layer.hardware.weights:
            costs = (wanted[:, None] - cells[None, :]) ** 2
            total += float(costs[linear_sum_assignment(costs)].sum())
    return total


def test_whole_lenet_mapped_and_proved(benchmark: Any) -> None:
    """410 target neurons on K = 784, proof included: under 1 s on two cores; the user's composition beside it."""
    network = lenet()
    if benchmark.enabled:
        map_and_prove(network)  # compiles on a fresh machine
    began = time.perf_counter()
    by_hand(network.layers[0], 3)
    benchmark.extra_info["scipy_per_pair_seconds_extrapolated"] = (time.perf_counter() - began) * 100
    benchmark.extra_info["connections"] = sum(layer.target.n_connections for layer in network.layers)
    mapping = benchmark(map_and_prove, network)
    benchmark.extra_info["weight_error"] = check(network, mapping).objective


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 4.0])
def test_tight_lenet_mapped_and_proved(benchmark: Any, ratio: float) -> None:
    """The same where it is tight: K/n as given, the proof has to solve most pairs."""
    rng = np.random.default_rng(0)
    layers = tuple(
        LayerInstance(
            draw_target(rows, inputs, n, rng, "pruned"), draw_hardware("gaussian", rows, int(np.ceil(ratio * n)), rng)
        )
        for rows, inputs, n in SHAPES
    )
    network = NetworkInstance(layers, tuple(np.zeros(rows) for rows, _, _ in SHAPES))
    if benchmark.enabled:
        map_and_prove(network)
    benchmark(map_and_prove, network)


def command(*words: str) -> Callable[[], None]:
    """A whole process of the command line."""

    def call() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "matchopt.cli", *words], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return call


def test_start_of_help(benchmark: Any) -> None:
    """`matchopt --help`, start-up included: under 0.5 s."""
    benchmark.pedantic(command("--help"), rounds=5, warmup_rounds=1)


def test_solve_of_a_small_instance(benchmark: Any, tmp_path: Path) -> None:
    """`matchopt solve` of a small layer, both processes' start-up included: under 2 s."""
    rng = np.random.default_rng(0)
    path = tmp_path / "layer.matchopt"
    write(LayerInstance(draw_target(20, 50, 5, rng), draw_hardware("gaussian", 20, 8, rng)), path)
    benchmark.pedantic(command("solve", str(path), "--solver", "hungarian"), rounds=5, warmup_rounds=1)
