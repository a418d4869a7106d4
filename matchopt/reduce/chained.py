"""Chained arrays one after the other: what an array of known lines leaves to choose."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from matchopt.instances import LayerInstance, NetworkInstance


def behind(network: NetworkInstance, n: int, neuron_of: Int[np.ndarray, " rows"]) -> LayerInstance:
    """Layer n as a layer of hard-wired cells, once the rows before it have these hardware neurons.

    A constant input takes the first line that no neuron drives. Where cells leak they do so on every line of a row,
    listened to or not.
    """
    layer, driven = network.layers[n], network.layers[n - 1].hardware.n_neurons
    heard = np.full(layer.hardware.n_cells, -1)
    heard[neuron_of] = np.arange(len(neuron_of))
    if layer.target.n_inputs > len(neuron_of):
        heard[driven : driven + 1] = len(neuron_of)
    chip = layer.hardware
    wired = replace(
        chip,
        usable=chip.usable & (heard >= 0),
        off=np.where(heard >= 0, chip.off, 0.0),
        bus=np.arange(chip.n_neurons),
        input=np.broadcast_to(heard, chip.weights.shape),
    )
    return replace(layer, hardware=wired)
