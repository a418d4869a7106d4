"""Swaps a second of whole scans on a crossbar, beside swaps that are tried one at a time."""

from typing import Any

import numpy as np
import pytest

from matchopt import Hardware, Target
from matchopt.kernels import Crossbar, compiled

SIZE, SCANS = 100, 200


def search(spare: int, drop: bool) -> Crossbar:
    """A crossbar of 100 x 100 targets at 10 % density, so many times as many lines and neurons."""
    rng = np.random.default_rng(0)
    weights = rng.laplace(size=(SIZE, SIZE)) * (rng.random((SIZE, SIZE)) < 0.1)
    cells = rng.normal(size=(SIZE * spare, SIZE * spare))
    found = Crossbar(Target.from_dense(weights), Hardware(cells, bus=np.zeros(len(cells), int)), rng, drop=drop)
    found.anneal(300, 0.15 * found.unit, 0.998)
    return found


@pytest.mark.parametrize("drop", [False, True], ids=["", "drop"])
@pytest.mark.parametrize("spare", [1, 4])
def test_scans(benchmark: Any, spare: int, drop: bool) -> None:
    """Scans of both sides at a temperature where some swaps are accepted; `swaps_a_second` tells the rate."""
    found = search(spare, drop)
    heat = 0.08 * found.unit
    benchmark(found.anneal, SCANS, heat)
    if benchmark.stats is not None:
        benchmark.extra_info["swaps_a_second"] = SCANS * found.per_scan / benchmark.stats.stats.min


@compiled
def one_at_a_time(weights: Any, cells: Any, neuron: Any, pairs: Any, slack: Any) -> Any:
    """The peer: random swaps of rows, each costed connection by connection."""
    n = weights.shape[1]
    for number in range(len(pairs)):
        a, b, delta = pairs[number, 0], pairs[number, 1], 0.0
        for x in range(n):
            for i, before, after in ((a, neuron[a], neuron[b]), (b, neuron[b], neuron[a])):
                if weights[i, x] != 0.0:
                    delta += (weights[i, x] - cells[after, x]) ** 2 - (weights[i, x] - cells[before, x]) ** 2
        if delta < slack[number]:
            neuron[a], neuron[b] = neuron[b], neuron[a]
    return neuron


def test_swaps_one_at_a_time(benchmark: Any) -> None:
    """What plain compiled annealing does with the same swaps."""
    rng = np.random.default_rng(0)
    weights = rng.laplace(size=(SIZE, SIZE)) * (rng.random((SIZE, SIZE)) < 0.1)
    cells, swaps = rng.normal(size=(SIZE, SIZE)), 20_000
    pairs, slack = rng.integers(0, SIZE, (swaps, 2)), 0.5 * rng.exponential(size=swaps)
    benchmark(one_at_a_time, weights, cells, np.arange(SIZE), pairs, slack)
    if benchmark.stats is not None:
        benchmark.extra_info["swaps_a_second"] = swaps / benchmark.stats.stats.min
