import numpy as np
import pytest
from scipy.special import softmax

from matchopt.network.methods.dense import DenseTraining
from matchopt.network.training.starts import he_normal
from matchopt.network.training.streams import Streams

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


def test_gradient_descent_as_rewiring_is_compared_with(few_images):
    """Plain gradient descent at a constant rate, one image after the other, is a loop of three lines."""
    trainer = DenseTraining(1, 1, "sgd", learning_rate=0.05, rate_end=0.05, momentum=0.0)
    data = few_images.first(20, 10, 10)
    found, order = trainer.train(data, (784, 10), 3).network.layers[0], Streams.of(3).order.permutation(20)
    weights, biases = he_normal(((10, 784),), Streams.of(3).start)[:-10].reshape(10, 784), np.zeros(10)
    for image, label in zip(data.train_images[order], data.train_labels[order], strict=True):
        delta = softmax(weights @ image + biases) - np.eye(10)[label]
        weights, biases = weights - 0.05 * np.outer(delta, image), biases - 0.05 * delta
    np.testing.assert_allclose(found.weights, weights, atol=1e-5)
    np.testing.assert_allclose(found.biases, biases, atol=1e-5)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": -1.0}, {"threads": 0}])
def test_impossible_configuration_is_refused(options):
    """Configurations check themselves."""
    with pytest.raises(ValueError, match=r"must be a .*number >= [01].*, found"):
        DenseTraining(**options)
