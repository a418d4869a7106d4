"""A network while it is being mapped: what its cells listen to, and what its layers make of the samples."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerMapping, NetworkInstance, NetworkMapping
from matchopt_reroute.tasks import SINGLE, LayerTask


@dataclass(eq=False)
class Mapped:
    """The mapping of one layer and what follows from it; rows are replaced in place.

    Parameters
    ----------
    neuron_of, gain, bias : of every row; the bias is 0 where biases are hardware.
    input_of : column that every cell of the row's neuron listens to, -1 for none.
    weights : realised weights on the columns, gains included.
    noise : read-noise variance on the columns, gains included; without columns where there is none at all.
    signals : pre-activations, (rows, samples).
    """

    neuron_of: np.ndarray
    input_of: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    weights: np.ndarray
    noise: np.ndarray
    signals: np.ndarray


class State:
    """All layers' mappings and activities; `activity[n]` is what layer n receives, (columns, samples)."""

    def __init__(self, instance: NetworkInstance, tasks: list[LayerTask], inputs: np.ndarray) -> None:
        self.instance, self.tasks, self.layers = instance, tasks, list[Mapped]()
        self.hardware_biases = instance.biases is None
        first = np.column_stack([inputs, np.ones(len(inputs))]) if self.hardware_biases else inputs
        self.activity = [np.ascontiguousarray(first[:, tasks[0].columns].T, SINGLE)]

    def append(self, neuron_of: np.ndarray, input_of: np.ndarray, gain: np.ndarray, scale: np.ndarray) -> None:
        """Add the next layer's mapping; `scale` is that of the target signals over the realised ones."""
        task = self.tasks[len(self.layers)]
        wires = [self.row(len(self.layers), j, at, g) for j, at, g in zip(neuron_of, input_of, gain, strict=True)]
        weights = np.array([weights for weights, _ in wires], SINGLE).reshape(len(neuron_of), len(task.columns))
        noise = np.zeros((len(wires), 0), SINGLE)
        if task.layer.hardware.variance.any():
            noise = np.array([noise for _, noise in wires], SINGLE).reshape(weights.shape)
        self.layers.append(Mapped(neuron_of, input_of, gain, np.zeros(len(gain)), weights, noise, weights[:, :0]))
        self.run(len(self.layers) - 1, scale)

    def row(self, n: int, neuron: int, input_of: np.ndarray, gain: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights and read noise of one row on the columns."""
        task = self.tasks[n]
        hardware, heard = task.layer.hardware, input_of >= 0
        weights, noise = np.zeros((2, len(task.columns)), SINGLE)
        weights[input_of[heard]] = gain * hardware.weights[neuron, heard]
        noise[input_of[heard]] = gain**2 * hardware.variance[neuron, heard]
        return weights, noise

    def run(self, n: int, scale: np.ndarray | None = None) -> None:
        """Signals of layer n from its activity, biases that adjust set anew if a `scale` is given; activity after."""
        task, mapped = self.tasks[n], self.layers[n]
        wired = mapped.weights @ self.activity[n]
        if task.given is not None:
            mapped.bias[:] = task.given
        elif task.centred and scale is not None:
            mapped.bias[:] = task.signals.mean(axis=1) / scale - wired.mean(axis=1)
        mapped.signals = wired + mapped.bias.astype(SINGLE)[:, None]
        after = np.maximum(mapped.signals, 0)
        if self.hardware_biases:
            after = np.concatenate([after, np.ones((1, after.shape[1]), SINGLE)])
        self.activity[n + 1 :] = [after]

    def mapping(self) -> NetworkMapping:
        """The mapping as a solution."""
        layers = []
        for task, mapped in zip(self.tasks, self.layers, strict=True):
            rows, cells = np.nonzero(mapped.input_of >= 0)
            starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(mapped.input_of)))])
            inputs = task.columns[mapped.input_of[rows, cells]]
            layers.append(LayerMapping(mapped.neuron_of, starts, cells, inputs, mapped.gain))
        biases = tuple(mapped.bias for mapped in self.layers) if self.instance.adjustable else None
        return NetworkMapping(tuple(layers), biases)

    def begin_with(self, mapping: NetworkMapping) -> bool:
        """Take over a given mapping; False where it uses what is not considered here."""
        for n, (task, part) in enumerate(zip(self.tasks, mapping.layers, strict=True)):
            column = np.full(task.layer.target.n_inputs, -1)
            column[task.columns] = np.arange(len(task.columns))
            if len(part.tunable) or (column[part.input] < 0).any():
                return False
            input_of = np.full((part.n_rows, task.layer.hardware.n_cells), -1)
            input_of[part.row_of, part.cell] = column[part.input]
            self.append(part.neuron_of.copy(), input_of, part.gain.copy(), np.ones(part.n_rows))
            if task.centred and (biases := mapping.biases or self.instance.biases) is not None:
                self.layers[n].bias[:] = biases[n]
                self.run(n)
        return True
