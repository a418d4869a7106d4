import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.fixed_random import FixedRandom
from matchopt.network.training.starts import matrix_budgets, random_mask, sparse_normal

from .stepping import SEEDS, WIDTHS_AND_DATA, assert_zero_outside, network_and_data, train_watched


@settings(max_examples=10, deadline=None)
@given(WIDTHS_AND_DATA, st.floats(0.1, 1.0), st.sampled_from(["adam", "sgd"]), st.floats(0, 0.1), SEEDS)
def test_the_connections_of_the_start_are_those_of_the_end(found, connectivity, optimiser, decay, seed):
    """Exactly the budget of every layer, full layers included; the same sites and zeros elsewhere after every step."""
    widths, data = network_and_data(found, seed)
    budgets, masks = matrix_budgets(FullyConnected(widths), connectivity), []

    def look(run, at):
        del at
        assert_zero_outside(run.net)
        assert run.counts == budgets
        masks.append(run.net.mask.copy())

    trainer = FixedRandom(connectivity, epochs=2, batch_size=7, optimiser=optimiser, learning_rate=0.1, decay=decay)
    result = train_watched(trainer, data, widths, seed, look)
    assert all(np.array_equal(mask, masks[0]) for mask in masks)
    assert tuple(layer.n_connections for layer in result.network.layers) == budgets
    assert result.connectivity == result.network.connectivity


def test_start_suits_the_fan_in():
    """Weights of a matrix have variance 2 / mean fan-in, biases are zero; sites are distinct."""
    rng = np.random.default_rng(0)
    values = sparse_normal(((200, 300), (100, 200)), [6_000, 100], rng)
    assert values[:60_000].var() == pytest.approx(2 / 30, rel=0.02)
    assert values[60_000:80_000].var() == pytest.approx(2 / 1, rel=0.04)
    assert not values[80_000:].any()
    assert random_mask(50, 20, rng).sum() == 20


def test_learns_real_images(few_images):
    """A tiny run on MNIST is above chance."""
    trainer = FixedRandom(0.1, epochs=3, batch_size=20)
    assert trainer.train(few_images, (784, 30, 10), 1).network.record.validation_accuracy > 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": 0.0}, "connectivity must be a number > 0 and <= 1"),
        ({"epochs": 0}, "epochs must be a whole number >= 1, found 0"),
        ({"decay": float("nan")}, "decay must be a finite number >= 0, found nan"),
    ],
)
def test_impossible_configuration_is_refused(options, message):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=message):
        FixedRandom(**options)
