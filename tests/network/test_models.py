import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.models import ConnectionModel, DenseModel, steady_arithmetic

from .conftest import toy_data

SHAPES = st.lists(st.integers(2, 9), min_size=2, max_size=5).map(tuple)


def batch_of(widths, lanes, seed):
    rng = np.random.default_rng(seed)
    images = rng.random((3 * lanes, widths[0]), np.float32)
    return images, rng.integers(0, widths[-1], 3 * lanes), rng.permutation(3 * lanes)[:lanes]


def by_autograd(network, images, labels):
    """Loss and derivatives of a network by torch's own layers and autograd, in double precision."""
    weights = [torch.tensor(layer.weights, dtype=torch.float64, requires_grad=True) for layer in network.layers]
    biases = [torch.tensor(layer.biases, dtype=torch.float64, requires_grad=True) for layer in network.layers]
    hidden = torch.tensor(images, dtype=torch.float64)
    for number, (w, b) in enumerate(zip(weights, biases, strict=True)):
        hidden = torch.nn.functional.linear(hidden if number == 0 else torch.relu(hidden), w, b)
    loss = torch.nn.functional.cross_entropy(hidden, torch.tensor(labels))
    loss.backward()
    return loss.item(), [w.grad.numpy() for w in weights], [b.grad.numpy() for b in biases]


@settings(max_examples=12, deadline=None)
@given(SHAPES, st.integers(1, 20), st.integers(0, 2**32))
def test_dense_gradient_is_that_of_autograd(widths, lanes, seed):
    """Loss and gradient of the dense model equal torch's autograd for every shape and batch."""
    model = DenseModel(widths, np.random.default_rng(seed), lanes)
    images, labels, batch = batch_of(widths, lanes, seed)
    loss = model.loss(images, labels, batch)
    expected, weights, biases = by_autograd(model.network(), images[batch], labels[batch])
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
    flat = np.concatenate([*(w.ravel() for w in weights), *biases])
    np.testing.assert_allclose(model.gradient, flat, rtol=1e-4, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(SHAPES, st.integers(1, 20), st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_connections_have_the_gradient_of_autograd(widths, lanes, share, seed):
    """Loss and gradient of a list of connections equal autograd on the full matrices, at the connections."""
    rng = np.random.default_rng(seed)
    dense = DenseModel(widths, rng, lanes)
    mask = rng.random(dense.n_weights) < share
    dense.set_mask(mask)
    model, kept = ConnectionModel.from_dense(dense)
    images, labels, batch = batch_of(widths, lanes, seed)
    loss = model.loss(images, labels, batch)
    expected, weights, biases = by_autograd(dense.network(), images[batch], labels[batch])
    assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
    flat = np.concatenate([*(w.ravel() for w in weights), *biases])
    np.testing.assert_allclose(model.gradient, flat[kept], rtol=1e-4, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(SHAPES, st.integers(0, 2**32))
def test_connection_model_is_the_same_network(widths, seed):
    """From dense to connections and back, weights, mask and biases are equal; so they are in any order of sites."""
    rng = np.random.default_rng(seed)
    dense = DenseModel(widths, rng, 4)
    dense.values[dense.n_weights :] = rng.standard_normal(len(dense.values) - dense.n_weights)
    dense.set_mask(rng.random(dense.n_weights) < 0.5)
    model, _ = ConnectionModel.from_dense(dense)
    for left, right in zip(dense.network().layers, model.network().layers, strict=True):
        assert np.array_equal(left.mask, right.mask)
        assert np.array_equal(left.weights, right.weights)
        assert np.array_equal(left.biases, right.biases)
    assert model.connectivity == pytest.approx(dense.connectivity)


def test_keep_drops_connections_and_nothing_else():
    """Kept connections keep site and weight, biases stay, and the returned numbers select the optimiser's state."""
    rng = np.random.default_rng(0)
    model, _ = ConnectionModel.from_dense(DenseModel((5, 4, 3), rng, 2))
    before, values = model.network(), model.values.copy()
    kept = rng.random(len(model.source)) < 0.4
    chosen = model.keep(kept)
    assert np.array_equal(model.values, values[chosen])
    masks = np.split(kept, [20])
    for layer, mask, old in zip(model.network().layers, masks, before.layers, strict=True):
        assert np.array_equal(layer.mask.ravel(), mask)
        assert np.array_equal(layer.weights, np.where(layer.mask, old.weights, 0))
        assert np.array_equal(layer.biases, old.biases)


def test_he_normal_start():
    """Weights have mean 0 and variance 2 / inputs, biases are zero, connectivity is 1."""
    model = DenseModel((400, 300, 10), np.random.default_rng(1), 1)
    layer = model.network().layers[0]
    assert layer.weights.std() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert abs(layer.weights.mean()) < 1e-3
    assert not layer.biases.any()
    assert model.connectivity == 1.0


def test_huge_logits_give_a_finite_loss():
    """The softmax is computed relative to the highest logit."""
    data = toy_data()
    model = DenseModel((6, 3), np.random.default_rng(0), 4)
    model.values *= np.float32(1e20)
    assert np.isfinite(model.loss(data.train_images, data.train_labels, np.arange(4)))
    assert np.isfinite(model.gradient).all()


def test_arithmetic_settings_are_put_back():
    """Threads and the treatment of tiny numbers are as before, also after an error."""
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), steady_arithmetic(before + 1):
        assert torch.get_num_threads() == before + 1
        assert float(np.float32(1e-39) * np.float32(0.5)) == 0.0
        raise RuntimeError
    assert torch.get_num_threads() == before
    assert float(np.float32(1e-39) * np.float32(0.5)) > 0.0
