"""A training step of learned selection, and its parts: 784-300-100-10, fan-in 8/8/30, a batch of 100, one thread.

An epoch of 49,500 images is 495 steps. The peers are the dense product that all wishes need when no sample is left out,
and assignment by scipy for one row in place of the projection of all.
"""

from functools import cache

import numpy as np
import pytest
import torch
from matchopt_slots.binding import bindings
from matchopt_slots.goals import goal_of
from matchopt_slots.samples import Samples
from matchopt_slots.trainee import Trainee
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.optimize import linear_sum_assignment

from matchopt import FunctionalError, Limits, NetworkInstance, Rules, TaskLoss
from matchopt.kernels import BoundProjection, FreeProjection
from matchopt.library import problems_folder
from matchopt.network import draw_hardware, export_network, read_network, steady_arithmetic

LANES = 100


@cache
def instance(labels: bool) -> NetworkInstance:
    """The sparse network on hardware with as many cells as its fan-in, and images of 19 % random bright pixels."""
    rng = np.random.default_rng(0)
    net = read_network(problems_folder() / "networks" / "row8-seed0.safetensors")
    images = (rng.integers(1, 256, (2000, 784)) * (rng.random((2000, 784)) < 0.19)).astype(np.uint8)
    chip, rules = draw_hardware(net, "gaussian", 1.0, 1.0, 10), Rules(drop=True, extra_inputs=True)
    answers = net.logits(images.astype(np.float32) / 255).argmax(axis=1)
    found = export_network(
        net, chip, rules=rules, biases="adjustable", objective="task-loss" if labels else "functional-error",
        sample_inputs=images, sample_labels=answers, sample_scale=1 / 255,
    )  # fmt: skip
    assert isinstance(found.objective, TaskLoss if labels else FunctionalError)
    return found


@pytest.mark.parametrize("ignore", [0.0, 0.2])
@pytest.mark.parametrize("labels", [True, False], ids=["labels", "functional"])
def test_step(benchmark: BenchmarkFixture, labels: bool, ignore: float) -> None:
    """One step of training, another batch every time."""
    made, rng = instance(labels), np.random.default_rng(0)
    samples = Samples.of(made, 0.1, rng)
    bound, biases = bindings(made, Limits(), False, rng)
    assert bound is not None
    trainee = Trainee(made, samples, goal_of(made, samples, LANES), bound, biases, LANES,
                      {"threshold": 0.5, "exact": True}, ignore)  # fmt: skip
    steps = iter(range(1, 10**9))

    def step() -> float:
        return trainee.step(rng.choice(samples.training, LANES), 1e-3, 1e-3, next(steps))

    with steady_arithmetic(1):
        assert np.isfinite(benchmark(step))


@pytest.mark.parametrize("rule", ["free, exact", "free, greedy", "free, all cells", "own inputs"])
def test_projection(benchmark: BenchmarkFixture, rule: str) -> None:
    """The projection of the first layer after a small change of the wishes."""
    rng = np.random.default_rng(0)
    cells, usable = rng.standard_normal((300, 8)), np.ones((300, 8), bool)
    wishes = [rng.standard_normal((300, 717), np.float32)] * 2
    wishes[1] = wishes[0] + np.float32(0.01) * rng.standard_normal((300, 717), np.float32)
    if rule == "own inputs":
        own = np.sort(np.argsort(rng.random((300, 717)), axis=1)[:, :8], axis=1)
        projection = BoundProjection(cells, usable, 717, np.arange(301) * 8, own.ravel(), drop=True)
    else:
        threshold, exact = (0.0 if rule == "free, all cells" else 0.5), rule == "free, exact"
        projection = FreeProjection(cells, usable, 717, threshold=threshold, exact=exact)
    turn = iter(range(10**9))
    benchmark(lambda: projection.project(wishes[next(turn) % 2]))


def test_peer_assignment_of_one_row(benchmark: BenchmarkFixture) -> None:
    """One row of 717 wishes and 8 optional cells by scipy."""
    rng = np.random.default_rng(0)
    wishes, cells = rng.standard_normal(717), rng.standard_normal(8)
    # a cell that is not used takes a column of its own
    cost = np.hstack([(cells[:, None] - wishes) ** 2 - wishes**2, np.where(np.eye(8, dtype=bool), 0.0, 1e9)])
    benchmark(lambda: linear_sum_assignment(cost))


def test_peer_dense_product(benchmark: BenchmarkFixture) -> None:
    """The derivative by all 300 x 717 wishes on all samples of a batch."""
    delta, received, out = torch.randn(300, LANES), torch.randn(LANES, 717), torch.zeros(300, 717)
    with steady_arithmetic(1):
        benchmark(lambda: torch.mm(delta, received, out=out))
