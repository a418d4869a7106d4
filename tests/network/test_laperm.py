from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture_names import architecture_named
from matchopt.kernels import adam_step
from matchopt.network.methods.laperm import LaPerm, initial_values

from .conftest import toy_data
from .selecting import AsOnAnotherDevice, flat_weights, image_data
from .stepping import SEEDS, WIDTHS_AND_DATA, network_and_data, train_watched

TINY = LaPerm(interval=3, epochs=2, batch_size=7, learning_rate=0.02)


def rows_of(flat, shapes):
    """All rows of all matrices."""
    found, begin = [], 0
    for m, n in shapes:
        found.extend(flat[begin : begin + m * n].reshape(m, n))
        begin += m * n
    return found


@settings(max_examples=7, deadline=None)
@given(
    WIDTHS_AND_DATA,
    st.integers(1, 8),
    st.floats(0.0, 0.9),
    st.sampled_from(["normal", "uniform", "signed-constant"]),
    SEEDS,
)
def test_every_row_is_a_permutation_of_its_start(found, interval, zeros, weights, seed):
    """The network, at every step: row by row the initial values, bit by bit, in the rank order of the free weights."""
    widths, data = network_and_data(found, seed)
    frozen = []

    def look(run, at):
        if not frozen:
            frozen.append(run.fixed.copy())
        assert np.array_equal(run.fixed, frozen[0])
        network = flat_weights(run.net.network())
        rows = (rows_of(flat, run.net.shapes) for flat in (network, frozen[0], run.net.values))
        for row, own, free in zip(*rows, strict=True):
            assert np.array_equal(np.sort(row), np.sort(own))
            assert (np.diff(row[np.argsort(free, kind="stable")]) >= 0).all()
        if at.number % interval == 0:
            assert np.array_equal(run.net.values, network)

    trainer = LaPerm(interval, zeros, weights, epochs=2, batch_size=9, learning_rate=0.02)
    result = train_watched(trainer, data, widths, seed, look)
    for layer in result.network.layers:
        assert layer.n_connections == layer.mask.size - round(zeros * layer.mask.size)
    assert result.connectivity == 1.0  # between two synchronisations
    assert not any(layer.biases.any() for layer in result.network.layers)


def test_between_synchronisations_it_is_adam():
    """Free weights follow Adam, which a synchronisation does not make forget; they go on from the synchronised ones."""
    seen, data, moments = [], toy_data(), np.zeros((2, 45), np.float32)

    def look(run, at):
        if seen:
            rates = (0.02 / (1 - 0.9**at.number), 1 / (1 - 0.999**at.number) ** 0.5)
            constants = map(np.float32, (*rates, 0.9, 0.999, 1e-8, 0.0))
            adam_step(seen[-1], run.net.gradient, moments[0], moments[1], *constants)
            if at.number % 3:
                np.testing.assert_allclose(run.net.values, seen[-1], atol=1e-6)
        else:
            moments[0], moments[1] = 0.1 * run.net.gradient, 0.001 * run.net.gradient**2
        seen.append(run.net.values.copy())

    train_watched(replace(TINY, schedule="constant"), data, (6, 5, 3), 0, look)
    assert len(seen) == 10


def test_tensors_train_as_arrays():
    """All as on another device: the same permutations."""
    data, trainer = toy_data(), replace(TINY, zeros=0.3)
    wanted = flat_weights(trainer.train(data, (6, 5, 3), 0).network)
    with AsOnAnotherDevice():
        found = flat_weights(trainer.train(data, (6, 5, 3), 0).network)
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", ["cnn:3c3-m2-5-3", "cnn:2c3p1b-m2-4c3p1b-a2-3"])
def test_filters_are_permuted(name):
    """A filter is a row, over all its channels."""
    data, fixed = image_data((2, 8, 8)), []
    architecture = architecture_named(name, (2, 8, 8), 3)
    network = train_watched(
        replace(TINY, batch_size=4), data, architecture, 0, lambda run, at: fixed.append(run.fixed)
    ).network
    for row, own in zip(
        *(rows_of(flat, architecture.matrices) for flat in (flat_weights(network), fixed[0])), strict=True
    ):
        assert np.array_equal(np.sort(row), np.sort(own))


@pytest.mark.parametrize("weights", ["normal", "uniform", "signed-constant"])
def test_initial_values_have_the_deviation_of_he(weights):
    """sqrt(2 / inputs) but for the zeros, whose number is exact."""
    values = initial_values(LaPerm(weights=weights, zeros=0.25), ((100, 200),), np.random.default_rng(0))
    assert (values == 0).sum() == 5_000
    assert values[values != 0].std() == pytest.approx(0.1, rel=0.03)


def test_learns_real_images(few_images):
    """A tiny run on MNIST is far above chance with the values it began with."""
    trainer = LaPerm(interval=20, epochs=4, batch_size=20)
    assert trainer.train(few_images, (784, 30, 20, 10), 1).network.record.validation_accuracy > 0.7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": 0}, "interval must be a whole number >= 1, found 0"),
        ({"zeros": 1.0}, "zeros must be a number >= 0 and < 1, found 1.0"),
        ({"zeros": float("nan")}, "zeros must be a number >= 0 and < 1, found nan"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        LaPerm(**options)
