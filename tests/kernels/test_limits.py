"""Known expectations of random matchings."""

import numpy as np
import pytest

from matchopt import Gains, Hardware, Target
from matchopt.kernels import pair_costs

ONE = Gains()


def uniform_layer(rows, targets, neurons, cells, seed):
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.random((rows, targets)), np.ones((rows, targets), bool))
    return target, Hardware(rng.random((neurons, cells)))


def mean_and_error(costs):
    """Mean over independent rows and neurons, and a standard error from row and column means."""
    spread = costs.mean(axis=0).std() / np.sqrt(costs.shape[1]) + costs.mean(axis=1).std() / np.sqrt(costs.shape[0])
    return costs.mean(), spread


@pytest.mark.parametrize("cells", [1, 2, 8, 64])
def test_best_of_k(cells):
    """One uniform target on the best of K uniform cells has mean squared error (K+7)/(2(K+1)(K+2)(K+3))."""
    target, hardware = uniform_layer(600, 1, 600, cells, seed=cells)
    mean, error = mean_and_error(pair_costs(target, hardware, gains=ONE, drop=False))
    wanted = (cells + 7) / (2 * (cells + 1) * (cells + 2) * (cells + 3))
    assert abs(mean - wanted) < 4 * error
    assert error < 0.06 * wanted


@pytest.mark.parametrize("n", [1, 3, 10, 40])
def test_as_many_targets_as_cells(n):
    """n uniform targets on n uniform cells have mean squared error 1/(3(n+1)) per weight."""
    target, hardware = uniform_layer(400, n, 400, n, seed=n)
    mean, error = mean_and_error(pair_costs(target, hardware, gains=ONE, drop=False) / n)
    wanted = 1 / (3 * (n + 1))
    assert abs(mean - wanted) < 4 * error
    assert error < 0.06 * wanted


@pytest.mark.parametrize(("ratio", "low", "high"), [(2, 1.2, 1.9), (4, 0.75, 0.9), (8, 0.57, 0.69)])
def test_collisions_die_out(ratio, low, high):
    """Mean squared error times m^2 of n targets on m cells falls to the single target's 1/2 as m/n grows."""
    n = 32
    target, hardware = uniform_layer(200, n, 200, ratio * n, seed=ratio)
    scaled = pair_costs(target, hardware, gains=ONE, drop=False).mean() / n * (ratio * n) ** 2
    assert low < scaled < high
