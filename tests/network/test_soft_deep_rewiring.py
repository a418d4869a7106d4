from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.soft_deep_rewiring import SoftDeepRewiring
from matchopt.network.methods.soft_rewiring import ListedSoftRewiring, MatrixSoftRewiring, SoftRewiring, soft_start
from matchopt.network.training.method import Setting, Step

from .conftest import toy_data
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched

TINY = SoftDeepRewiring(
    0.3, epochs=2, batch_size=5, learning_rate=0.1, alpha=0.01, noise_std=0.01, resting=1.0, dormant_every=1
)


def setting_of(widths, data, seed=0):
    return Setting(data, FullyConnected(widths), "cpu", *np.random.default_rng(seed).spawn(3))


def parameters_of(run):
    """Parameters, signs, and weights of all sites."""
    if isinstance(run, MatrixSoftRewiring):
        return run.theta.numpy(), run._signs.numpy(), run.net.weights
    layers = run.net.network().layers
    return run._rewiring.theta, run._rewiring.signs, np.concatenate([layer.weights.ravel() for layer in layers])


@pytest.mark.parametrize("kind", [ListedSoftRewiring, MatrixSoftRewiring])
@settings(max_examples=12, deadline=None)
@given(WIDTHS_AND_DATA, st.floats(0.05, 1.0), st.integers(1, 3), st.floats(1e-3, 0.1), st.floats(1e-4, 0.1), SEEDS)
def test_weights_are_what_the_parameters_say(kind, found, connectivity, every, alpha, noise, seed):
    """After every step w = s * max(theta, 0), no dormant parameter rests below its floor, and the most is reported."""
    widths, data = network_and_data(found, seed)
    trainer = replace(TINY, connectivity=connectivity, dormant_every=every, alpha=alpha, noise_std=noise)
    most, last = [], []

    def look(run, at):
        theta, signs, weights = parameters_of(run)
        np.testing.assert_array_equal(weights, signs * np.maximum(theta, 0))
        assert sum(run.counts) == (theta > 0).sum()
        most.append(sum(run.counts))
        if last and at.number % every == 0:  # those that were dormant before this step have walked in it
            floors = trainer.plan(setting_of(widths, data)).floors
            floors = np.repeat(floors, [m * n for m, n in run.net.shapes]).astype(np.float32)
            assert (theta >= floors)[last[-1] < 0].all()
        last.append(theta.copy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SoftDeepRewiring, "new_run", lambda self, setting: kind(self.plan(setting), setting))
        begins = sum(trainer.new_run(setting_of(widths, data, seed)).counts)
        result = train_watched(trainer, data, widths, seed, look)
    n_sites = sum(layer.mask.size for layer in result.network.layers)
    assert result.connectivity * n_sites == pytest.approx(max(begins, *most))
    assert result.network.n_connections == most[-1]


def test_both_ways_take_the_same_steps():
    """Without noise, lists of connections and matrices give the same parameters; biases follow the gradient alone."""
    data, widths = toy_data(7, 3), (7, 6, 5, 3)
    plan = TINY.plan(setting_of(widths, data))
    theta, signs = soft_start(plan, setting_of(widths, data))
    rewiring = SoftRewiring(widths, theta.copy(), signs, plan.floors, np.random.default_rng(), TINY.alpha)
    rewiring._normal = lambda count, std: np.zeros(count, np.float32)
    by_torch = MatrixSoftRewiring(plan, setting_of(widths, data))
    assert np.array_equal(by_torch.theta.numpy(), theta)
    for number in range(1, 30):
        batch = np.arange(number, number + 6)
        for model in (rewiring.model, by_torch.net):
            model.loss(data.train_images, data.train_labels, batch)
        rewiring.step(TINY.learning_rate, 0.0, walk=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "normal_", lambda tensor, *_, **__: tensor.zero_())
            by_torch.step(Step(number, 30, 0, data.train_images, data.train_labels, batch))
        np.testing.assert_allclose(by_torch.theta.numpy(), rewiring.theta, atol=2e-6)
        np.testing.assert_allclose(by_torch.net.parameters[-14:], rewiring.biases, atol=2e-6)
    assert (rewiring.theta >= 0).sum() < (theta >= 0).sum()


@pytest.mark.slow
def test_matrices_have_the_stationary_share_of_active_sites():
    """As the compiled loops: T = 1, alpha = 10, p = .2 with a step of 1e-2 leaves .18 active without gradient."""
    data = toy_data(40, 50)
    trainer = SoftDeepRewiring(
        0.2, batch_size=1, learning_rate=1e-2, alpha=10.0, noise_std=0.02**0.5, resting=1.0, dormant_every=1
    )
    setting = setting_of((40, 50), data)
    run = MatrixSoftRewiring(trainer.plan(setting), setting)
    active = []
    for number in range(1, 4_001):
        run.net.gradient[:] = 0.0
        run.step(Step(number, 4_000, 0, data.train_images, data.train_labels, np.arange(1)))
        active.append(sum(run.counts))
    assert np.mean(active[2_000:]) / 2_000 == pytest.approx(0.18, abs=0.004)


def test_start_is_that_of_rewiring_with_dormant_sites_above_the_floor():
    """As many active sites as budgeted, of mean sqrt(2 / pi / inputs); dormant ones uniform between floor and zero."""
    trainer = SoftDeepRewiring(0.1)
    setting = setting_of((400, 200, 10), toy_data(400, 10))
    theta, signs = soft_start(trainer.plan(setting), setting)
    first, floor = theta[:80_000], trainer.plan(setting).floors[0]
    assert (theta >= 0).sum() == round(0.1 * 82_000)
    assert first[first >= 0].mean() == pytest.approx((2 / np.pi / 400) ** 0.5, rel=0.03)
    dormant = first[first < 0]
    assert floor <= dormant.min()
    assert dormant.mean() == pytest.approx(floor / 2, rel=0.02)
    assert abs(signs.mean()) < 4 / 82_000**0.5


def test_learns_real_images(few_images):
    """A tiny run on MNIST is above chance and reports more connections than it began with at times."""
    trainer = SoftDeepRewiring(0.1, epochs=3, batch_size=5)
    result = trainer.train(few_images, (784, 30, 20, 10), 1)
    assert result.network.record.validation_accuracy > 0.5
    assert result.connectivity >= result.network.connectivity


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_std": 0.0}, "noise_std must be a finite number >= 1e-09"),
        ({"alpha": 0.0}, "alpha must be a finite number >= 1e-09"),
        ({"dormant_every": 0}, "dormant_every must be a whole number >= 1"),
        ({"connectivity": 1.5}, "connectivity must be a number >= 1e-06 and <= 1"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        replace(TINY, **options)
