"""Layers in training: wishes that move freely, and the wires that their hardware makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from matchopt.kernels import Projection, Wires, adam_step, wired_backward, wired_forward
from matchopt_slots.line_projection import LineProjection

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's usual constants (Kingma and Ba, ICLR 2015, arXiv 1412.6980)


@dataclass(eq=False)
class Moments:
    """Values with what Adam remembers of their gradients; `size` scales the step."""

    values: np.ndarray
    size: float

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.values)
        self._first, self._second = np.zeros_like(self.values), np.zeros_like(self.values)

    def step(self, rate: float, steps: int) -> None:
        """Take Adam's step number `steps`, counted from 1."""
        scale, root = rate * self.size / (1.0 - BETA1**steps), (1.0 - BETA2**steps) ** -0.5
        flat = (part.reshape(-1) for part in (self.values, self.gradient, self._first, self._second))
        adam_step(*flat, *map(np.float32, (scale, root, BETA1, BETA2, EPSILON)))


@dataclass(eq=False)
class TrainedLayer:
    """One layer in training.

    Parameters
    ----------
    wishes : wished weight of every row for every input.
    biases : digital biases; zeros where biases are hardware weights.
    projection : makes wires of the wishes.
    """

    wishes: Moments
    biases: Moments
    projection: Projection

    @property
    def wires(self) -> Wires:
        """The wires of the last projection."""
        return self.projection.wires

    @property
    def listening(self) -> np.ndarray:
        """Which entries of the padded arrays are wires that listen; others are none, or leak."""
        if isinstance(self.projection, LineProjection):
            return np.arange(self.wires.inputs.shape[1]) < self.projection.listening[:, None]
        return self.wires.listed


class Activity:
    """Signals of a network on some samples, side by side, in memory that is made once.

    Parameters
    ----------
    rows : number of rows of each layer.
    n_inputs : number of inputs of the network.
    constant : whether every layer's last input is the constant 1.
    lanes : number of samples.
    """

    def __init__(self, rows: Sequence[int], n_inputs: int, constant: bool, lanes: int) -> None:
        def room(units: int) -> np.ndarray:
            return np.zeros((units, lanes), np.float32)

        self.lanes = lanes
        self.signals = [room(m) for m in rows]  # before rectification
        self.received = [room(n_inputs), *(np.ones((m + constant, lanes), np.float32) for m in rows[:-1])]
        self.deltas = [room(m) for m in rows]  # derivative of the loss by the signals
        self._behind = [room(0), *(room(m + constant) for m in rows[:-1])]

    @property
    def answers(self) -> np.ndarray:
        """What the network answers, a column for each answer."""
        return self.signals[-1]

    @property
    def reads(self) -> int:
        """Columns of the last layer's signals whose mean is one answer."""
        return 1

    def by_signals(self, slopes: np.ndarray) -> np.ndarray:
        """Derivatives by the last layer's signals, from those by the answers."""
        return slopes

    def forward(self, wires: Sequence[Wires], biases: Sequence[np.ndarray], inputs: np.ndarray) -> None:
        """Run the network on `inputs`, shape (samples, inputs)."""
        np.copyto(self.received[0], inputs.T)
        for n, (made, bias) in enumerate(zip(wires, biases, strict=True)):
            wired_forward(made, bias, self.received[n], self.signals[n])
            if n + 1 < len(self.received):
                np.maximum(self.signals[n], 0.0, out=self.received[n + 1][: len(bias)])

    def backward(self, wires: Sequence[Wires], direct: Sequence[np.ndarray | None]) -> None:
        """Fill `deltas` from the derivative of the loss by each layer's own signals (None for none)."""
        for n in range(len(wires) - 1, -1, -1):
            delta, own = self.deltas[n], direct[n]
            if n + 1 < len(wires):
                wired_backward(wires[n + 1], self.deltas[n + 1], self.received[n + 1], self._behind[n + 1])
                np.copyto(delta, self._behind[n + 1][: len(delta)])
            else:
                delta[:] = 0.0
            if own is not None:
                delta += own

    def gradients(self, layers: Sequence[TrainedLayer], inputs: np.ndarray, kept: np.ndarray | None) -> None:
        """Fill the gradients of all wishes, unwired ones too, and of the biases.

        Parameters
        ----------
        layers : the layers.
        inputs : as for `forward`.
        kept : the lanes that count; None for all.
        """
        for n, layer in enumerate(layers):
            delta, received = self.deltas[n], self.received[n]
            if kept is not None:
                delta = delta[:, kept]
                received = received[:, kept] if n else inputs[kept].T
            elif n == 0:
                received = inputs.T
            by_lane = torch.from_numpy(delta)
            torch.mm(by_lane, torch.from_numpy(received.T), out=torch.from_numpy(layer.wishes.gradient))
            torch.sum(by_lane, dim=1, out=torch.from_numpy(layer.biases.gradient))
