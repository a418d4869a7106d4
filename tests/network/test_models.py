import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.training.autograd import TorchModel
from matchopt.network.training.engines import steady_arithmetic
from matchopt.network.training.fully_connected import DenseModel
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.optimisers import Adam
from matchopt.network.training.starts import he_normal

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


def masked(widths, rng, rule=None):
    """Random weights and biases, all in use."""
    architecture = FullyConnected(widths)
    values = he_normal(architecture.matrices, rng)
    values[-sum(widths[1:]) :] = rng.standard_normal(sum(widths[1:]))
    return MaskedModel(architecture, values, rule or Adam(), "cpu", rng)


@settings(max_examples=12, deadline=None)
@given(SHAPES, st.integers(1, 20), st.floats(0.0, 1.0), st.integers(0, 2**32))
def test_all_models_have_the_gradient_of_autograd(widths, lanes, share, seed):
    """Loss and gradient of matrices, of a list of connections and of TorchModel are those of autograd in double."""
    rng = np.random.default_rng(seed)
    net = masked(widths, rng)
    mask = rng.random(net.n_weights) < share
    net.use(mask, compact=False)
    images, labels, batch = batch_of(widths, lanes, seed)
    expected, weights, biases = by_autograd(net.network(), images[batch], labels[batch])
    flat = np.concatenate([*(w.ravel() for w in weights), *biases])
    in_use = np.concatenate([mask, np.ones(sum(widths[1:]), bool)])
    dense, by_torch = DenseModel(widths, net.parameters), TorchModel(net.architecture, net.parameters, "cpu", rng)
    for model, kept in ((dense, slice(None)), (by_torch, slice(None)), (net, slice(None)), (net, in_use)):
        if kept is in_use:
            net.use(mask, compact=True)
        loss = model.loss(images, labels, batch)
        assert loss == pytest.approx(expected, rel=1e-5, abs=1e-6)
        np.testing.assert_allclose(model.gradient, flat[kept], rtol=1e-4, atol=1e-6)
    everywhere = net.gradient_everywhere(images, labels, batch)
    np.testing.assert_allclose(everywhere, flat[: net.n_weights], rtol=1e-4, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(SHAPES, st.integers(0, 2**32))
def test_a_list_of_connections_is_the_same_network(widths, seed):
    """From matrices to connections and back, weights, mask, biases and the optimiser's memory are equal."""
    rng = np.random.default_rng(seed)
    net = masked(widths, rng)
    images, labels, batch = batch_of(widths, 5, seed)
    net.loss(images, labels, batch)
    net.step(0.1)
    mask = rng.random(net.n_weights) < 0.5
    net.use(mask, compact=False)
    before = {name: np.array(array) for name, array in net.state().arrays.items()}
    found = net.network()
    assert np.array_equal(np.concatenate([layer.mask.ravel() for layer in found.layers]), mask)
    for compact in (True, True, False):
        net.use(mask, compact=compact)
        for name, array in net.state().arrays.items():
            assert np.array_equal(array, before[name]), name
        for left, right in zip(found.layers, net.network().layers, strict=True):
            assert np.array_equal(left.weights, right.weights)
            assert np.array_equal(left.biases, right.biases)
    assert net.counts == tuple(layer.n_connections for layer in found.layers)


@settings(max_examples=12, deadline=None)
@given(SHAPES, st.floats(0, 1), st.floats(0, 1), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_what_grows_begins_at_zero_without_memory(widths, first, second, listed, then_listed, seed):
    """After any two masks in a row: what stayed keeps value and moments, all else is zero in both."""
    rng = np.random.default_rng(seed)
    net = masked(widths, rng)
    images, labels, batch = batch_of(widths, 5, seed)
    masks = [rng.random(net.n_weights) < share for share in (first, second)]
    net.use(masks[0], compact=listed)
    for _ in range(2):
        net.loss(images, labels, batch)
        net.step(0.1)
    values, moments = net.weights, net.state().arrays["moments"][:, : net.n_weights].copy()
    net.use(masks[1], compact=then_listed)
    stays = masks[0] & masks[1]
    assert np.array_equal(net.weights, np.where(stays, values, 0))
    assert np.array_equal(net.state().arrays["moments"][:, : net.n_weights], np.where(stays, moments, 0))
    assert net.counts == tuple(int(masks[1][s].sum()) for s in net.segments)


def test_rewinding_puts_back_what_is_in_use():
    """`load` restores old values inside the mask and all biases, as matrices and as a list."""
    rng = np.random.default_rng(0)
    for compact in (False, True):
        net = masked((5, 4, 3), rng)
        first, mask = net.parameters, rng.random(32) < 0.5
        images, labels, batch = batch_of((5, 4, 3), 5, 0)
        net.use(mask, compact=compact)
        net.loss(images, labels, batch)
        net.step(0.5)
        net.load(first)
        assert np.array_equal(net.weights, np.where(mask, first[:32], 0))
        assert np.array_equal(net.parameters[32:], first[32:])


def test_he_normal_start():
    """Weights have mean 0 and variance 2 / inputs, biases are zero."""
    values = he_normal(((300, 400), (10, 300)), np.random.default_rng(1))
    assert values[:120_000].std() == pytest.approx((2 / 400) ** 0.5, rel=0.02)
    assert abs(values[:120_000].mean()) < 1e-3
    assert values[120_000:123_000].std() == pytest.approx((2 / 300) ** 0.5, rel=0.05)
    assert not values[123_000:].any()
    assert len(values) == 123_310


def test_exact_zeros_can_count_as_unused():
    """With `zeros_unused` counts and mask follow the weights, which may come back."""
    rng = np.random.default_rng(0)
    net = MaskedModel(FullyConnected((5, 4, 3)), he_normal(((4, 5), (3, 4)), rng), Adam(), "cpu", rng, True)
    net.held[:7] = 0.0
    assert net.counts == (13, 12)
    assert net.network().n_connections == 25
    net.loss(*batch_of((5, 4, 3), 5, 0))
    net.step(0.1)
    assert net.counts[0] > 13


def test_huge_logits_give_a_finite_loss():
    """The softmax is computed relative to the highest logit."""
    data = toy_data()
    model = DenseModel((6, 3), he_normal(((3, 6),), np.random.default_rng(0)) * np.float32(1e20))
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
