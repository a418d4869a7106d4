"""Data sets for training and accuracy: one module each, all loaded as `ImageData`."""

from matchopt.network.data.images import ImageData as ImageData
from matchopt.network.data.mnist import load_mnist as load_mnist
