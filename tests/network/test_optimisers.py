import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.network.models import ConnectionModel, DenseModel
from matchopt.network.optimisers import Adam, Sgd

OPTIMISERS = {
    "adam": lambda n: Adam(n),
    "adam, other rates": lambda n: Adam(n, 0.5, 0.9, 1e-4, 0.1),
    "sgd": lambda n: Sgd(n),
    "momentum and decay": lambda n: Sgd(n, 0.9, 0.1),
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


def sgd_by_its_sum(values, gradients, rate, momentum, decay):
    """Every gradient acts in all later steps, momentum^age times."""
    seen = []
    for gradient in gradients:
        seen.append(gradient + decay * values)
        values = values - rate * sum(momentum**age * g for age, g in enumerate(reversed(seen)))
    return values


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda v, g: adam_by_the_paper(v, g, 0.01, 0.9, 0.999, 1e-8, 0.0)),
        ("adam, other rates", lambda v, g: adam_by_the_paper(v, g, 0.01, 0.5, 0.9, 1e-4, 0.1)),
        ("sgd", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.0, 0.0)),
        ("momentum and decay", lambda v, g: sgd_by_its_sum(v, g, 0.01, 0.9, 0.1)),
    ],
)
def test_steps_are_those_of_the_definition(name, reference):
    """Fifty steps on random gradients end where the definition in double precision ends."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(300).astype(np.float32)
    gradients = rng.standard_normal((50, 300)).astype(np.float32)
    expected = reference(values.astype(np.float64), gradients.astype(np.float64))
    ours = OPTIMISERS[name](300)
    for gradient in gradients:
        ours.step(values, gradient, 0.01)
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_selection_of_parameters_changes_nothing_for_them(name):
    """Training a selection from step 10 on gives the selected parameters what training all would have."""
    rng = np.random.default_rng(1)
    start, gradients = rng.standard_normal(40).astype(np.float32), rng.standard_normal((20, 40)).astype(np.float32)
    chosen = np.flatnonzero(rng.random(40) < 0.5)
    whole, part = start.copy(), start.copy()
    all_of_them, selected = OPTIMISERS[name](40), OPTIMISERS[name](40)
    for step, gradient in enumerate(gradients):
        all_of_them.step(whole, gradient, 0.01)
        if step == 10:
            selected.keep(chosen)
            part = part[chosen]
        selected.step(part, gradient if step < 10 else gradient[chosen], 0.01)
    assert np.array_equal(part, whole[chosen])


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(sorted(OPTIMISERS)), st.tuples(*[st.integers(2, 8)] * 3), st.integers(0, 2**32), st.booleans())
def test_zeros_stay_zero(name, widths, seed, as_list):
    """After every step of every optimiser, weights outside the mask are zero, whatever it remembers of them."""
    rng = np.random.default_rng(seed)
    images, labels = rng.random((20, widths[0]), np.float32), rng.integers(0, widths[-1], 20)
    model = dense = DenseModel(widths, rng, 20)
    optimiser = OPTIMISERS[name](model.values.size)
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
        if as_list and step >= 3:
            assert len(model.values) == mask.sum() + sum(widths[1:])
        else:
            assert not model.values[: len(mask)][~mask].any()
    found = model.network()
    assert np.array_equal(np.concatenate([layer.mask.ravel() for layer in found.layers]), mask)
    assert not np.concatenate([layer.weights.ravel() for layer in found.layers])[~mask].any()
