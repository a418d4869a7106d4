import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.models import ConnectionModel, DenseModel
from matchopt.network.optimisers import Adam, Sgd

OPTIMISERS = {
    "adam": (Adam, lambda p: torch.optim.Adam(p, lr=0.01)),
    "adam, other rates": (lambda n: Adam(n, 0.5, 0.9, 1e-4), lambda p: torch.optim.Adam(p, 0.01, (0.5, 0.9), 1e-4)),
    "sgd": (Sgd, lambda p: torch.optim.SGD(p, lr=0.01)),
    "momentum and decay": (lambda n: Sgd(n, 0.9, 0.1), lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=0.1)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_those_of_torch(name):
    """Fifty steps on random gradients end where torch's optimiser of the same name ends."""
    ours, theirs = OPTIMISERS[name]
    rng = np.random.default_rng(0)
    values = rng.standard_normal(300).astype(np.float32)
    parameter = torch.nn.Parameter(torch.tensor(values))
    mine, reference = ours(300), theirs([parameter])
    for _ in range(50):
        gradient = rng.standard_normal(300).astype(np.float32)
        mine.step(values, gradient, 0.01)
        parameter.grad = torch.tensor(gradient)
        reference.step()
    np.testing.assert_allclose(values, parameter.detach().numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_selection_of_parameters_changes_nothing_for_them(name):
    """Training a selection from step 10 on gives the selected parameters what training all would have."""
    rng = np.random.default_rng(1)
    start, gradients = rng.standard_normal(40).astype(np.float32), rng.standard_normal((20, 40)).astype(np.float32)
    chosen = np.flatnonzero(rng.random(40) < 0.5)
    whole, part = start.copy(), start.copy()
    all_of_them, selected = OPTIMISERS[name][0](40), OPTIMISERS[name][0](40)
    for step, gradient in enumerate(gradients):
        all_of_them.step(whole, gradient, 0.01)
        if step == 10:
            selected.keep(chosen)
            part = part[chosen]
        selected.step(part, gradient if step < 10 else gradient[chosen], 0.01)
    assert np.array_equal(part, whole[chosen])


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(OPTIMISERS)), st.tuples(*[st.integers(2, 8)] * 3), st.integers(0, 2**32), st.booleans())
def test_zeros_stay_zero(name, widths, seed, as_list):
    """After every step of every optimiser, weights outside the mask are zero, whatever it remembers of them."""
    rng = np.random.default_rng(seed)
    images, labels = rng.random((20, widths[0]), np.float32), rng.integers(0, widths[-1], 20)
    model = dense = DenseModel(widths, rng, 20)
    optimiser = OPTIMISERS[name][0](model.values.size)
    mask = np.ones(dense.n_weights, bool)
    for step in range(12):
        if step == 3:
            mask = rng.random(dense.n_weights) < 0.4
            dense.set_mask(mask)
            if as_list:
                model, kept = ConnectionModel.from_dense(dense)
                optimiser.keep(kept)
        model.loss(images, labels, np.arange(20))
        optimiser.step(model.values, model.gradient, 0.1)
        if model is dense:
            dense.apply_mask()
        network = model.network()
        found = np.concatenate([layer.weights.ravel() for layer in network.layers])
        assert not found[~mask].any()
        assert np.array_equal(np.concatenate([layer.mask.ravel() for layer in network.layers]), mask)
