"""Output errors: the search over pairs, the proof, and a whole network; 784-300-100-10, fan-in 8/8/30, K/n = M/m = 1.

The peer judges one row's moves by computing its error anew for each, which is what the sums kept along save.
"""

from functools import cache

import numpy as np
import pytest
from matchopt_reroute import OutputExact, OutputSearch, Reroute
from pytest_benchmark.fixture import BenchmarkFixture

from matchopt import LayerInstance, Limits, NetworkInstance, OutputError, Rules, Status
from matchopt.kernels import CellPlacement, RowErrors, Scales
from matchopt.library import problems_folder
from matchopt.network import draw_hardware, export_network, read_network

SAMPLES = 2000


@cache
def instance(objective: str) -> NetworkInstance:
    """The sparse network on gaussian hardware, and images of neighbouring bright pixels."""
    rng = np.random.default_rng(0)
    net = read_network(problems_folder() / "networks" / "row8-seed0.safetensors")
    bright = rng.random((SAMPLES, 784)) < 0.12
    bright[:, 1:] |= bright[:, :-1]  # neighbours say much the same, as in real images
    images = (rng.integers(1, 256, bright.shape) * bright).astype(np.uint8)
    functional = objective == "functional-error"
    return export_network(
        net,
        draw_hardware(net, "gaussian", 1.0, 1.0, 0),
        rules=Rules(drop=functional, extra_inputs=functional),
        objective="functional-error" if functional else "output-error",
        biases="adjustable",
        sample_inputs=images,
        sample_scale=1 / 255,
        centred=not functional,
    )


def first_layer() -> tuple[LayerInstance, RowErrors]:
    """The first layer and its rows' errors, in single precision."""
    layer = instance("output-error").layers[0]
    assert isinstance(layer.objective, OutputError)
    moments, wanted = layer.objective.second_moments, layer.target.dense()
    parts = (moments, wanted @ moments, np.einsum("ix,xy,iy->i", wanted, moments, wanted))
    return layer, RowErrors(*(np.asarray(part, np.float32) for part in parts))


@pytest.mark.parametrize("free", [False, True], ids=["scale 1", "any scale"])
def test_all_pairs(benchmark: BenchmarkFixture, free: bool) -> None:
    """One descent for each of 90,000 pairs on 64 inputs a row, on one thread."""
    layer, errors = first_layer()
    rng = np.random.default_rng(0)
    inputs = np.sort(np.argsort(rng.random((300, 784)), axis=1)[:, :64], axis=1)
    search = CellPlacement(layer.hardware, single=True)
    scales = Scales(1e-6, 1e6, 0.003) if free else Scales()
    costs = benchmark(lambda: search.costs(errors, scales, inputs=inputs))
    assert np.isfinite(costs).all()


def test_longer_search(benchmark: BenchmarkFixture) -> None:
    """300 rows on all 784 inputs, five disturbances each, on one thread."""
    layer, errors = first_layer()
    search = CellPlacement(layer.hardware, single=True)
    benchmark(lambda: search.improve(errors, np.arange(300), kicks=5))


def test_peer_error_of_one_row_anew(benchmark: BenchmarkFixture) -> None:
    """One row's error after each of the 776 moves of one cell to an empty input, recomputed by numpy products."""
    layer, errors = first_layer()
    weights = np.zeros(784, np.float32)
    weights[:8] = layer.hardware.weights[0]
    moves = np.repeat(weights[None], 776, axis=0)
    moves[:, 0] = 0.0
    moves[np.arange(776), np.arange(8, 784)] = weights[0]

    def judge() -> float:
        squares = np.einsum("tx,tx->t", moves @ errors.moments, moves)
        return float((squares - 2.0 * moves @ errors.linear[0]).min())

    assert np.isfinite(benchmark(judge))


def test_search_of_a_layer(benchmark: BenchmarkFixture) -> None:
    """output-search on the first layer, 300 x 300."""
    layer = instance("output-error").layers[0]
    result = benchmark.pedantic(
        lambda: OutputSearch().solve(layer, Limits(threads=2), np.random.default_rng(0)), rounds=1
    )
    assert result.solution is not None
    benchmark.extra_info.update(value=layer.value(result.solution), bound=result.bound)


@pytest.mark.parametrize("number", [0, 1])
def test_proof_of_a_layer(benchmark: BenchmarkFixture, number: int) -> None:
    """output-exact on a layer of fan-in 8, 300 x 300 and 100 x 100, at most 60 s."""
    if not benchmark.enabled and number == 0:
        pytest.skip("timing is off: the small layer will do")
    layer = instance("output-error").layers[number]
    result = benchmark.pedantic(
        lambda: OutputExact().solve(layer, Limits(60.0, threads=2), np.random.default_rng(0)), rounds=1
    )
    assert result.status in (Status.OPTIMAL, Status.FEASIBLE)
    benchmark.extra_info.update(status=result.status.value, bound=result.bound, **result.stats)


@pytest.mark.parametrize("aim", ["outputs", "signals"])
def test_whole_network(benchmark: BenchmarkFixture, aim: str) -> None:
    """reroute with its defaults, on two threads."""
    network = instance("functional-error")
    solver = Reroute(aim=aim)  # type: ignore[arg-type]
    result = benchmark.pedantic(
        lambda: solver.solve(network, Limits(threads=2), np.random.default_rng(0)), rounds=3, warmup_rounds=1
    )
    assert result.solution is not None
    benchmark.extra_info.update(functional_error=network.value(result.solution))
