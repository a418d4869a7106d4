from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.architecture_names import architecture_named
from matchopt.network.methods.edge_popup import EdgePopup, TopShareRun, frozen_weights, largest, largest_by_torch

from .conftest import toy_data
from .selecting import AsOnAnotherDevice, flat_weights, gradient_by_autograd, image_data, setting_of
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched

TINY = EdgePopup(epochs=2, batch_size=7)


@settings(max_examples=7, deadline=None)
@given(
    WIDTHS_AND_DATA,
    st.floats(0.01, 1.0),
    st.sampled_from(["signed-constant", "normal"]),
    st.sampled_from(["sgd", "adam"]),
    SEEDS,
)
def test_a_fixed_share_of_frozen_weights_is_in_use(found, kept, weights, optimiser, seed):
    """After every step: the weights are those of the start, bit by bit, where the scores are largest, else zero."""
    widths, data = network_and_data(found, seed)
    frozen = []

    def look(run, at):
        del at
        if not frozen:
            frozen.append(run.fixed.copy())
        assert np.array_equal(run.fixed, frozen[0])
        begin = 0
        for layer in run.net.network().layers:
            size = layer.mask.size
            part = slice(begin, begin + size)
            count = max(1, round(kept * size))
            assert layer.n_connections == count
            assert np.array_equal(layer.weights.ravel(), np.where(layer.mask.ravel(), frozen[0][part], 0))
            scores = abs(run.net.values[part])
            assert scores[layer.mask.ravel()].min() >= np.sort(scores)[size - count]
            begin += size

    trainer = EdgePopup(kept, weights, epochs=2, batch_size=7, optimiser=optimiser)
    result = train_watched(trainer, data, widths, seed, look)
    assert result.connectivity == result.network.connectivity
    assert not any(layer.biases.any() for layer in result.network.layers)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_of_equal_scores_the_first_count(sizes, data):
    """As sorting by size, and by place among equals; compiled and by torch."""
    count = data.draw(st.integers(1, len(sizes)))
    chosen = np.zeros(len(sizes), bool)
    chosen[sorted(range(len(sizes)), key=lambda n: (-sizes[n], n))[:count]] = True
    values = np.array(sizes, np.float32)
    assert np.array_equal(largest(values, count), chosen)
    assert np.array_equal(largest_by_torch(torch.from_numpy(values), count).numpy(), chosen)


def test_all_scores_get_a_gradient():
    """A step on a real batch: the size of every score falls by rate * dL/dw * w, its weight being in use or not."""
    widths = (9, 8, 3)
    data = toy_data(9, 3)
    run = TopShareRun(replace(TINY, momentum=0.0, decay=0.0), setting_of(widths, data))
    batch = np.arange(5, 17)
    run.net.loss(data.train_images, data.train_labels, batch)
    before = run.net.values.copy()
    slope = gradient_by_autograd(FullyConnected(widths), run.net.weights(), data, batch)
    run.net.step(0.01)
    np.testing.assert_allclose(before - run.net.values, 0.01 * slope * run.fixed * np.sign(before), atol=1e-7)
    unused = run.net.weights() == 0
    assert (before != run.net.values)[unused].any()


def test_nothing_to_choose_leaves_everything():
    """With all weights in use the network is the random one of the start, however long it trains."""
    data, trainer = toy_data(), replace(TINY, kept=1.0, learning_rate=10.0)
    setting = setting_of((6, 5, 3), data)
    start = frozen_weights(trainer, setting.shapes, np.random.default_rng(4).spawn(5)[0])
    assert np.array_equal(flat_weights(trainer.train(data, (6, 5, 3), 4).network), start)


@pytest.mark.parametrize("scaled", [False, True])
def test_weights_keep_the_size_of_activity(scaled):
    """He's deviation sqrt(2 / inputs), over sqrt(kept) if scaled; constants have one size and fair signs."""
    shapes = ((100, 200), (50, 100))
    for law in ("signed-constant", "normal"):
        weights = frozen_weights(EdgePopup(0.25, law, scaled), shapes, np.random.default_rng(0))
        deviation = 0.1 * (2.0 if scaled else 1.0)
        assert weights[:20_000].std() == pytest.approx(deviation, rel=0.03)
        assert abs(np.sign(weights[:20_000]).mean()) < 0.03
        assert (len(np.unique(abs(weights))) == 2) == (law == "signed-constant")


def test_tensors_train_as_arrays():
    """All as on another device: the same connections."""
    data = toy_data()
    wanted = TINY.train(data, (6, 5, 3), 0).network
    with AsOnAnotherDevice():
        found = TINY.train(data, (6, 5, 3), 0).network
        assert found.n_connections == wanted.n_connections
        assert np.array_equal(flat_weights(found), flat_weights(wanted))


@pytest.mark.parametrize("name", ["cnn:3c3-m2-5-3", "cnn:2c3p1b-m2-4c3p1b-a2-3"])
def test_convolutions_train(name):
    """Filters are pruned as units are."""
    data = image_data((2, 8, 8))
    network = replace(TINY, batch_size=4).train(data, architecture_named(name, (2, 8, 8), 3), 0).network
    for layer in network.layers:
        assert layer.n_connections == round(layer.mask.size / 2)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["signed-constant", "normal"])
def test_learns_real_images(few_images, weights):
    """A tiny run on MNIST is far above chance without changing a weight."""
    trainer = EdgePopup(0.5, weights, epochs=4, batch_size=20)
    assert trainer.train(few_images, (784, 50, 20, 10), 1).network.record.validation_accuracy > 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kept": 0.0}, "kept must be a number > 0 and <= 1, found 0.0"),
        ({"epochs": 0}, "epochs must be a whole number >= 1, found 0"),
        ({"momentum": 1.0}, "momentum must be a number >= 0 and < 1, found 1.0"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        EdgePopup(**options)
