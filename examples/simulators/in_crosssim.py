"""A mapped network on the cores of CrossSim: `python in_crosssim.py INSTANCE SOLUTION`.

`CrossSimParameters` has the errors, converters and wires to simulate; the default is exact. CrossSim's cores are
matrices to NumPy: three lines make a network of them.
"""

import sys
from pathlib import Path

import numpy as np
from mapped_network import MappedNetwork
from simulator import AnalogCore, CrossSimParameters


def outputs(network: MappedNetwork, images: np.ndarray, parameters: CrossSimParameters) -> np.ndarray:
    """Of all images."""
    cores = [AnalogCore(weights, parameters) for weights in network.weights]
    for n, (core, bias) in enumerate(zip(cores, network.biases, strict=True)):
        images = (core @ (images if n == 0 else np.maximum(images, 0.0)).T).T + bias
    return images


def main() -> None:
    network = MappedNetwork(*map(Path, sys.argv[1:3]))
    data = network.data()
    images, labels = data.test_images, data.test_labels
    own, found = network.signals(images), outputs(network, images, CrossSimParameters())
    print(f"matchopt {np.mean(own.argmax(axis=1) == labels):.4f}")
    print(f"CrossSim {np.mean(found.argmax(axis=1) == labels):.4f}  largest difference {np.abs(own - found).max():.1e}")


if __name__ == "__main__":
    main()
