"""Small data for training in a second: the first images of real MNIST, and a toy problem."""

import numpy as np
import pytest
import torch

from matchopt.instances.network import DataReference
from matchopt.network.data import ImageData, load_mnist

WIDTHS = (784, 30, 20, 10)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny products on two threads wait for each other a hundred times longer than they compute."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist():
    return load_mnist()


@pytest.fixture(scope="session")
def few_images(mnist):
    return mnist.first(2_000, 500, 500)


def toy_data(pixels=6, classes=3, train=40, seed=0):
    rng = np.random.default_rng(seed)

    def part(count):
        return rng.random((count, pixels), np.float32), rng.integers(0, classes, count)

    return ImageData(*part(train), *part(10), *part(10), classes, DataReference("toy", "0" * 64))
