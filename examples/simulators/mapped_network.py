"""The network that a mapping makes of a chip, as plain arrays for simulators of analog hardware."""

from pathlib import Path

import numpy as np

from matchopt import NetworkInstance, NetworkMapping, read_instance, read_solution
from matchopt.network import ImageData
from matchopt.network.evaluation import data_of


class MappedNetwork:
    """Realised weights (units, inputs) and digital biases of every layer; ReLU between layers."""

    def __init__(self, instance: Path, solution: Path) -> None:
        self.instance = read_instance(instance)
        mapping = read_solution(solution, instance=self.instance)
        assert isinstance(self.instance, NetworkInstance) and isinstance(mapping, NetworkMapping)
        pairs = list(zip(self.instance.layers, mapping.layers, strict=True))
        self.weights = [layer.realised(part).astype(np.float32) for layer, part in pairs]
        self.noise = [np.sqrt(layer.noise(part)).astype(np.float32) for layer, part in pairs]  # of a read, sd
        biases = self.instance.biases if mapping.biases is None else mapping.biases
        self.biases = [bias.astype(np.float32) for bias in biases or ()]

    def data(self) -> ImageData:
        """What the network was trained for."""
        assert isinstance(self.instance, NetworkInstance)
        found = data_of(self.instance.data, self.instance.n_inputs)
        assert found is not None
        return found

    def signals(self, images: np.ndarray) -> np.ndarray:
        """The outputs without a simulator."""
        for n, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            images = (images if n == 0 else np.maximum(images, 0.0)) @ weights.T + bias
        return images
