"""Chained arrays: crossbars one behind the other, each neuron of one driving a line of the next."""

from collections.abc import Sequence

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.layer import LayerInstance


def check_chained(layers: Sequence[LayerInstance], architecture: Architecture) -> None:
    """Raise InvalidInstance unless these layers can be arrays one behind the other.

    Each is one bus whose cells can listen to any line's input, a row is one hardware neuron, and there is a line for
    every neuron of the array before; lines beyond those are left to the constant input of hardware biases.
    """
    if not isinstance(architecture, FullyConnected):
        raise InvalidInstance(f"chained: arrays one behind the other are fully connected, found a {architecture.kind} "
                              "architecture")  # fmt: skip
    for n, layer in enumerate(layers):
        chip, buses = layer.hardware, len(set(layer.hardware.bus.tolist()))
        if buses > 1:
            raise InvalidInstance(f"layers.{n}: hardware.bus: chained arrays are one bus each, found {buses} buses")
        if chip.hard_wired:
            raise InvalidInstance(f"layers.{n}: hardware.input: lines of chained arrays are said by the array before, "
                                  "found hard-wired cells")  # fmt: skip
        if layer.rules.neurons > 1:
            raise InvalidInstance(f"layers.{n}: rules: a row of chained arrays is one hardware neuron, found up to "
                                  f"{layer.rules.neurons}")  # fmt: skip
        before = layers[n - 1].hardware.n_neurons if n else 0
        if chip.n_cells < before:
            raise InvalidInstance(f"layers.{n}: hardware.weights: {before} neurons of the array before drive as many "
                                  f"lines, found {chip.n_cells} cells of each neuron")  # fmt: skip
