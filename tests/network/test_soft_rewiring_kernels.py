from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.training.rewiring_kernels import descend_active, diffuse_dormant, list_active


class Walkers:
    """Parameters of one chain of layers in plain arrays, and the list of active ones."""

    def __init__(self, widths, theta, lowest, seed=0):
        self.rng = np.random.default_rng(seed)
        sizes = [m * n for n, m in pairwise(widths)]
        self.theta = theta.astype(np.float32)
        self.lowest = np.asarray(lowest, np.float32)
        self.signs = np.where(self.rng.random(sum(sizes)) < 0.5, -1, 1).astype(np.float32)
        self.values = np.zeros(sum(sizes) + sum(widths[1:]), np.float32)
        self.gradient = np.zeros_like(self.values)
        self.source, self.target = (np.zeros(sum(sizes), np.int32) for _ in range(2))
        self.first_connection = np.zeros(len(widths), np.int64)
        self.first_unit = np.concatenate([[0], np.cumsum(widths)])
        self.first_site = np.concatenate([[0], np.cumsum(sizes)])
        self.biases = np.zeros(sum(widths[1:]), np.float32)
        self.list()

    def list(self):
        structure = (self.source, self.target, self.first_connection, self.first_unit, self.first_site)
        list_active(self.values, self.theta, self.signs, *structure, self.biases)

    def normal(self, std):
        return self.rng.standard_normal(self.theta.size, np.float32) * np.float32(std)

    def diffuse(self, std):
        return diffuse_dormant(self.theta, self.normal(std), self.lowest, self.first_site)

    def descend(self, rate, alpha, std):
        structure = (self.source, self.target, self.first_connection, self.first_unit, self.first_site)
        speed = (np.float32(rate), np.float32(rate * alpha))
        descend_active(self.values, self.gradient, self.normal(std), self.theta, self.signs, *structure, *speed)

    def sites(self):
        """Active sites in list order, numbered through."""
        widths, found = np.diff(self.first_unit), []
        for layer in range(len(widths) - 1):
            part = slice(self.first_connection[layer], self.first_connection[layer + 1])
            unit = self.target[part] - self.first_unit[layer + 1]
            found.append(self.first_site[layer] + unit * widths[layer] + self.source[part] - self.first_unit[layer])
        return np.concatenate(found)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 6)] * 3), st.floats(0, 1), st.floats(0, 1), st.booleans(), st.integers(0, 2**32))
def test_list_is_what_the_parameters_say(widths, alpha, std, relist, seed):
    """The list always holds exactly the sites with theta >= 0, in order, with their weights, then the biases."""
    rng = np.random.default_rng(seed)
    count = widths[0] * widths[1] + widths[1] * widths[2]
    walkers = Walkers(widths, rng.standard_normal(count), [-0.5, -0.1], seed)
    n_biases = sum(widths[1:])
    expected = np.zeros(n_biases, np.float32)
    for _ in range(10):
        active = walkers.first_connection[-1]
        walkers.gradient[: active + n_biases] = rng.standard_normal(active + n_biases)
        expected -= np.float32(0.1) * walkers.gradient[active : active + n_biases]
        before = walkers.theta.copy()
        if relist:
            walkers.diffuse(std)
        walkers.descend(0.1, alpha, std)
        if relist:
            walkers.list()
        else:  # dormant sites rest
            np.testing.assert_array_equal(walkers.theta[before < 0], before[before < 0])
        active = walkers.first_connection[-1]
        np.testing.assert_array_equal(walkers.sites(), np.flatnonzero(walkers.theta >= 0))
        np.testing.assert_array_equal(walkers.values[:active], (walkers.signs * walkers.theta)[walkers.theta >= 0])
        np.testing.assert_allclose(walkers.values[active : active + n_biases], expected, rtol=1e-5, atol=1e-6)


def test_dormant_parameters_stay_above_their_floor():
    """Large steps leave dormant parameters at the floor of their own layer, or make them active."""
    walkers = Walkers((20, 10, 5), np.full(250, -0.01), [-0.5, -0.1])
    crossed = walkers.diffuse(10.0)
    assert crossed == (walkers.theta >= 0).sum() > 0
    assert walkers.theta[:200].min() == np.float32(-0.5)
    assert walkers.theta[200:].min() == np.float32(-0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "expected", "allowed"), [(1e-4, 0.197, 0.006), (1e-2, 0.18, 0.004)])
def test_stationary_share_of_active_sites(rate, expected, allowed):
    """2,000 walkers without gradient, T = 1, alpha = 10, floor for p = .2: .197 with small steps, .18 with large ones.

    Time average over the second half of the steps. The correlation time is about |floor|^2 / (2 T), 800 steps at the
    small rate, so the standard error is sqrt(.16 / (2,000 * 12)) = .0026. Finite steps make it fall short of .2.
    """
    temperature, alpha, p = 1.0, 10.0, 0.2
    lowest = -temperature * (1 - p) / (alpha * p)
    steps = 20_000 if rate < 1e-3 else 4_000
    rng, std = np.random.default_rng(0), (2 * rate * temperature) ** 0.5
    walkers = Walkers((40, 50), rng.uniform(lowest, 0.1, 2_000), [lowest])
    active = []
    for _ in range(steps):
        walkers.diffuse(std)
        walkers.descend(rate, alpha, std)
        walkers.list()
        active.append(walkers.first_connection[-1])
    assert np.mean(active[steps // 2 :]) / 2_000 == pytest.approx(expected, abs=allowed)
