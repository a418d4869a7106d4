import numpy as np
import pytest

from matchopt.network.methods.dense import DenseTraining

from .conftest import WIDTHS


def test_learns_real_images_and_repeats_bit_by_bit(few_images):
    """A tiny run on MNIST ends well above chance, with falling loss, and the same seed gives the same network."""
    trainer = DenseTraining(epochs=4, batch_size=50)
    first, again = (trainer.train(few_images, WIDTHS, 1) for _ in range(2))
    assert first.network.record.validation_accuracy > 0.7
    assert first.network.connectivity == 1.0
    losses = [record.loss for record in first.history]
    assert losses == sorted(losses, reverse=True)
    assert np.array_equal(first.network.layers[0].weights, again.network.layers[0].weights)


def test_any_depth(few_images):
    """Networks of one layer and of four layers train."""
    for widths in ((784, 10), (784, 12, 11, 12, 10)):
        network = DenseTraining(epochs=3, batch_size=20, learning_rate=5e-3).train(few_images, widths, 0).network
        assert network.widths == widths
        assert network.record.validation_accuracy > 0.4


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"threads": 0}])
def test_impossible_configuration_is_refused(options):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match="must be >= 1"):
        DenseTraining(**options)
