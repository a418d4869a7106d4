import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.optimisers import Adam, Optimiser, Sgd
from matchopt.network.training.starts import he_normal

RULES = {
    "adam": Adam(),
    "adam, other rates": Adam(0.5, 0.9, 1e-4, 0.1),
    "sgd": Sgd(),
    "sgd with decay": Sgd(decay=0.1),
    "momentum and decay": Sgd(0.9, decay=0.1),
    "nesterov": Sgd(0.9, nesterov=True, decay=0.1),
}


def adam_by_the_paper(values, gradients, rate, beta1, beta2, epsilon, decay):
    """Algorithm 1 of Kingma and Ba, in double precision, one line per line of theirs."""
    first = second = np.zeros_like(values)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + decay * values
        first = beta1 * first + (1 - beta1) * g
        second = beta2 * second + (1 - beta2) * g**2
        values = values - rate * (first / (1 - beta1**t)) / (np.sqrt(second / (1 - beta2**t)) + epsilon)
    return values


def sgd_by_its_sum(values, gradients, rate, momentum, decay, nesterov=False):
    """Every gradient acts in all later steps, momentum^age times; with look-ahead one age more, and once at once."""
    seen = []
    for gradient in gradients:
        seen.append(gradient + decay * values)
        total = sum(momentum**age * g for age, g in enumerate(reversed(seen)))
        values = values - rate * (seen[-1] + momentum * total if nesterov else total)
    return values


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda v, g: adam_by_the_paper(v, g, 0.01, 0.9, 0.999, 1e-8, 0.0)),
        ("adam, other rates", lambda v, g: adam_by_the_paper(v, g, 0.01, 0.5, 0.9, 1e-4, 0.1)),
        ("sgd", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.0, 0.0)),
        ("sgd with decay", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.0, 0.1)),
        ("momentum and decay", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.9, 0.1)),
        ("nesterov", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.9, 0.1, True)),
    ],
)
@pytest.mark.parametrize("wrap", [np.array, torch.tensor], ids=["compiled", "torch"])
def test_steps_are_those_of_the_definition(name, reference, wrap):
    """Fifty steps on random gradients end where the definition in double precision ends, compiled and in torch."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(300).astype(np.float32)
    gradients = rng.standard_normal((50, 300)).astype(np.float32)
    expected = reference(values.astype(np.float64), gradients.astype(np.float64))
    found = wrap(values)
    ours = Optimiser(RULES[name], found)
    for gradient in gradients:
        ours.step(found, wrap(gradient), 0.01)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(RULES)), st.tuples(*[st.integers(1, 8)] * 3), st.floats(0, 1), st.integers(0, 2**32),
    st.sampled_from([True, False, None]),
)  # fmt: skip
def test_zeros_stay_zero(name, widths, share, seed, compact):
    """After every step of every optimiser, weights outside the mask are zero, whatever it remembers of them."""
    rng = np.random.default_rng(seed)
    images, labels = rng.random((20, widths[0]), np.float32), rng.integers(0, widths[-1], 20)
    architecture = FullyConnected(widths)
    net = MaskedModel(architecture, he_normal(architecture.matrices, rng), RULES[name], "cpu", rng)
    mask = np.ones(net.n_weights, bool)
    for step in range(12):
        if step == 3:
            mask = rng.random(net.n_weights) < share
            net.use(mask, compact)
        net.loss(images, labels, np.arange(20))
        net.step(0.1)
        assert not net.weights[~mask].any()
        assert sum(net.counts) == mask.sum()
    found = net.network()
    assert np.array_equal(np.concatenate([layer.mask.ravel() for layer in found.layers]), mask)


@pytest.mark.parametrize("name", RULES)
def test_a_list_takes_the_steps_of_the_matrices(name):
    """Training a selection as a list gives it what training masked matrices would, up to rounding."""
    rng = np.random.default_rng(1)
    images, labels = rng.random((20, 9), np.float32), rng.integers(0, 4, 20)
    architecture, mask = FullyConnected((9, 8, 4)), rng.random(104) < 0.3
    start = he_normal(architecture.matrices, rng)
    nets = [MaskedModel(architecture, start, RULES[name], "cpu", rng) for _ in range(2)]
    for net, compact in zip(nets, (True, False), strict=True):
        for step in range(20):
            if step == 10:
                net.use(mask, compact)
            net.loss(images, labels, np.arange(20))
            net.step(0.01)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4, atol=1e-5)
