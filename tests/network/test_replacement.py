from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import Convolution, Convolutional, FullyConnected
from matchopt.network.methods.replacement import drop_share
from matchopt.network.methods.rigl import RigL
from matchopt.network.methods.sparse_evolution import SparseEvolution
from matchopt.network.training.starts import matrix_budgets

from .selecting import image_data, setting_of
from .stepping import SEEDS, WIDTHS_AND_DATA, assert_zero_outside, network_and_data, train_watched

METHODS = pytest.mark.parametrize("method", [RigL, SparseEvolution])


@METHODS
@settings(max_examples=12, deadline=None)
@given(
    WIDTHS_AND_DATA, st.floats(0.05, 1.0), st.floats(0, 1), st.sampled_from(["adam", "sgd"]), st.floats(0, 0.1), SEEDS
)
def test_every_layer_keeps_its_number_and_replaces_what_is_due(
    method, found, connectivity, replaced, optimiser, decay, seed
):
    """After every step: the budget of each layer, zeros outside; when due, so many sites change, none otherwise.

    Were a dropped site grown again at once, fewer would change than are due.
    """
    widths, data = network_and_data(found, seed)
    budgets, before = matrix_budgets(FullyConnected(widths), connectivity), []
    sizes = [m * n for n, m in pairwise(widths)]

    def look(run, at):
        net = run.net
        assert_zero_outside(net)
        assert run.counts == budgets
        share = drop_share(at.number / at.total, replaced, 0.75) if at.number % 2 == 0 else 0.0
        if before:
            grown = net.mask & ~before[-1]
            due = [min(round(share * k), size - k) for k, size in zip(budgets, sizes, strict=True)]
            assert [int(grown[part].sum()) for part in net.segments] == due
            assert not net.weights[grown].any()
            assert not net.state().arrays["moments"][:, : net.n_weights][:, grown].any()
        before.append(net.mask.copy())

    trainer = method(
        connectivity, epochs=2, batch_size=7, optimiser=optimiser, learning_rate=0.1, decay=decay, interval=2,
        replaced=replaced,
    )  # fmt: skip
    network = train_watched(trainer, data, widths, seed, look).network
    assert tuple(layer.n_connections for layer in network.layers) == budgets


def test_asking_for_the_dense_gradient_leaves_no_trace():
    """Batch normalisation and dropout go on as if RigL had not looked: same statistics, same chance, same gradient."""
    architecture = Convolutional((2, 6, 6), (Convolution(3, 3, 1, normalise="batch"),), (5,), 4, dropout=0.3)
    data, batch = image_data((2, 6, 6), classes=4), np.arange(7)
    setting = setting_of(architecture, data)
    run = RigL(connectivity=0.3).new_run(setting)
    samples = (data.train_images, data.train_labels, batch)
    run.net.loss(*samples)
    before = (run.net.network().buffers, setting.noise.bit_generator.state, run.net.gradient.copy())
    slopes = run.net.gradient_everywhere(*samples)
    assert slopes[~run.net.mask].any()
    after = (run.net.network().buffers, setting.noise.bit_generator.state, run.net.gradient)
    for name, array in before[0].items():
        np.testing.assert_array_equal(after[0][name], array)
    assert after[1] == before[1]
    np.testing.assert_array_equal(after[2], before[2])
    run.net.loss(*samples)
    again = RigL(connectivity=0.3).new_run(setting_of(architecture, data)).net
    for _ in range(2):
        again.loss(*samples)
    np.testing.assert_array_equal(run.net.gradient, again.gradient)
    assert any((run.net.network().buffers[name] != array).any() for name, array in before[0].items())


def test_rigl_grows_where_the_gradient_is_largest(few_images):
    """The sites that appear have dense gradients at least as large as all that stay dormant, layer by layer."""
    seen, slopes = [], []

    def look(run, at):
        if at.number == 1:
            everywhere = run.net.gradient_everywhere
            run.net.gradient_everywhere = lambda *batch: slopes.append(np.abs(everywhere(*batch))) or slopes[-1]
        seen.append(run.net.mask.copy())

    trainer = RigL(0.05, epochs=1, batch_size=200, interval=4)
    train_watched(trainer, few_images, (784, 30, 20, 10), 0, look)
    before, after, slope = seen[2], seen[3], slopes[0]
    grown, dormant = after & ~before, ~after & ~before
    layers = np.repeat([0, 1, 2], [784 * 30, 600, 200])
    for layer in np.unique(layers[grown]):
        assert slope[grown & (layers == layer)].min() >= slope[dormant & (layers == layer)].max()
    assert set(layers[grown]) >= {0, 1}


@pytest.mark.slow
@METHODS
def test_learns_real_images(few_images, method):
    """A tiny run on MNIST is above chance."""
    trainer = method(0.1, epochs=4, batch_size=20, interval=20)
    assert trainer.train(few_images, (784, 30, 10), 1).network.record.validation_accuracy > 0.6


@METHODS
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0}, "interval must be a whole number >= 1"),
        ({"replaced_until": 0.0}, "replaced_until must be a number > 0 and <= 1"),
        ({"replaced": -0.1}, "replaced must be a number >= 0 and <= 1"),
    ],
)
def test_impossible_configuration_is_refused(method, options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        method(**options)
