"""DEEP R on matrices in torch keeps the laws of DEEP R on a list of connections."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from matchopt.instances.architecture import FullyConnected
from matchopt.network import DeepRewiring, Setting, Step
from matchopt.network.methods.rewiring import ListedRewiring, MatrixRewiring
from matchopt.network.training.starts import matrix_budgets

from .conftest import toy_data

PLAIN = DeepRewiring(epochs=1, batch_size=10, alpha=0.0, noise_std=0.0)


def run(options, widths, seed=0, kind=MatrixRewiring, data=None):
    rngs = np.random.default_rng(seed).spawn(3)
    data = data or toy_data(widths[0], widths[-1], seed=seed)
    setting = Setting(data, FullyConnected(widths), "cpu", *rngs)
    return kind(options.plan(setting), setting)


def step(method, data, number=1, total=10):
    batch = np.arange(7)
    method.net.loss(data.train_images, data.train_labels, batch)
    method.step(Step(number, total, 0, data.train_images, data.train_labels, batch))


@settings(max_examples=15, deadline=None)
@given(
    st.tuples(*[st.integers(2, 8)] * 4), st.floats(0.05, 1.0), st.floats(0, 0.2), st.floats(0, 0.1),
    st.booleans(), st.sampled_from(["sgd", "adam"]), st.integers(0, 2**32),
)  # fmt: skip
def test_exactly_k_connections_after_every_step(widths, share, alpha, noise, redraw, optimiser, seed):
    """Full layers included, with both optimisers: K sites per matrix, theta >= 0, zeros elsewhere, lists in order."""
    options = DeepRewiring(share, 1, 7, 0.5, alpha=alpha, noise_std=noise, redraw_signs=redraw, optimiser=optimiser)
    method, data = run(options, widths, seed), toy_data(widths[0], widths[-1], seed=seed)
    budgets = matrix_budgets(FullyConnected(tuple(widths)), share)
    sizes = [m * n for n, m in pairwise(widths)]
    starts = np.cumsum([0, *sizes])
    for number in range(1, 11):
        step(method, data, number)
        active, weights = method.active.numpy(), method.net.values[: sum(sizes)]
        assert not weights[~active].any()
        assert (weights * method.sign.numpy() >= 0).all()
        for first, after, budget in zip(starts, starts[1:], budgets, strict=False):
            assert active[first:after].sum() == budget
            dormant = np.sort(method.free[first:after][: after - first - budget])
            assert np.array_equal(dormant, np.flatnonzero(~active[first:after]))
    assert [layer.n_connections for layer in method.network().layers] == list(budgets)


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_full_layers_train_as_on_a_list(optimiser):
    """With every site active nothing is left to chance, and both forms take the same steps, up to rounding."""
    options, data = replace(PLAIN, connectivity=1.0, alpha=0.05, learning_rate=0.05, optimiser=optimiser), toy_data()
    by_torch, as_list = (run(options, (6, 5, 3), 1, kind, data) for kind in (MatrixRewiring, ListedRewiring))
    for number in range(1, 9):
        for method in (by_torch, as_list):
            step(method, data, number)
    for left, right in zip(by_torch.network().layers, as_list.network().layers, strict=True):
        np.testing.assert_allclose(left.weights, right.weights, atol=2e-6)
        np.testing.assert_allclose(left.biases, right.biases, atol=2e-6)


def test_drawn_sites_are_uniform_over_the_dormant_and_those_just_ended():
    """Chi-square over many draws for one site that ended; the list of dormant sites stays whole."""
    method = run(replace(PLAIN, connectivity=0.6), (10, 10), 3)
    counts, expected = np.zeros(100), np.zeros(100)
    rng = np.random.default_rng(1)
    for _ in range(2_000):
        active = method.active.numpy()
        ended = rng.choice(np.flatnonzero(active), 1)
        expected[~active] += 1 / 41
        expected[ended] += 1 / 41
        method.active[int(ended[0])] = False
        chosen = method._drawn(ended)
        counts[chosen] += 1
        method._activate(chosen)
    assert int(method.active.sum()) == 60
    assert chisquare(counts, expected).pvalue > 1e-3


def test_noise_has_the_standard_deviation_asked_for():
    """Without gradient and prior, a step moves theta by noise of `noise_std`."""
    method = run(replace(PLAIN, connectivity=1.0, learning_rate=0.5, noise_std=0.1), (100, 100))
    method.net.values[:10_000] = 10.0 * method.sign.numpy()
    method.net.gradient[:] = 0.0
    method.step(Step(1, 10, 0, *[np.zeros(1)] * 3))
    moved = method.net.values[:10_000] * method.sign.numpy() - 10.0
    assert moved.std() == pytest.approx(0.1, rel=0.05)
    assert abs(moved.mean()) < 0.01


@pytest.mark.parametrize("kind", [MatrixRewiring, ListedRewiring])
def test_adam_forgets_sites_that_move(kind):
    """A site that becomes active has no memory: its moments are zero."""
    options = replace(PLAIN, connectivity=0.4, learning_rate=0.05, alpha=1.0, optimiser="adam")
    method, data = run(options, (8, 7, 3), 2, kind), toy_data(8, 3, seed=2)
    for number in range(1, 6):
        step(method, data, number)
    moments = method.state().arrays["moments"]
    weights = method.net.values[: moments.shape[1] - 10]
    fresh = np.flatnonzero(weights == 0) if kind is ListedRewiring else np.flatnonzero(~method.active.numpy())
    assert len(fresh)
    assert not moments[:, fresh].any() or kind is MatrixRewiring
    if kind is MatrixRewiring:  # dormant sites get a gradient too; what counts is the moment they become active
        method._activate(fresh[:3])
        assert not method.state().arrays["moments"][:, fresh[:3]].any()
