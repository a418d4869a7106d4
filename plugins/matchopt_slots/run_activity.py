"""Signals of a convolutional or recurrent network in training: columns are samples x places."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from matchopt.kernels import Wires
from matchopt_slots.layers import Activity, TrainedLayer


class RunActivity(Activity):
    """The same as `Activity` for rows that are seen at many places; matrices are full.

    Parameters
    ----------
    runs : how samples run through the network, `NetworkInstance.runs`.
    constant : whether every layer's last input is the constant 1.
    lanes : number of samples.
    """

    def __init__(self, runs: Any, constant: bool, lanes: int) -> None:
        self.lanes, self._runs, self._constant = lanes, runs, constant
        self._matrices: list[np.ndarray] = []
        self._trace: list[tuple[np.ndarray, np.ndarray]] = []

    @property
    def answers(self) -> np.ndarray:
        return np.ascontiguousarray(self._runs.answered(self._trace[-1][1]).T)

    @property
    def reads(self) -> int:
        found: int = self._runs.answers
        return found

    def by_signals(self, slopes: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._runs.of_answers(slopes.T).T
        return found

    def forward(self, wires: Sequence[Wires], biases: Sequence[np.ndarray], inputs: np.ndarray) -> None:
        shapes = self._runs.architecture.matrices
        self._matrices = [
            _full(made, columns + self._constant) for made, (_, columns) in zip(wires, shapes, strict=True)
        ]
        self._trace = list(self._runs.run(self._matrices, None if self._constant else biases, inputs))
        self.received, self.signals = ([pair[side].T for pair in self._trace] for side in (0, 1))

    def backward(self, wires: Sequence[Wires], direct: Sequence[np.ndarray | None]) -> None:
        own = [None if slopes is None else slopes.T for slopes in direct]
        self.deltas = [slopes.T for slopes in self._runs.backward(self._matrices, self._trace, own)]

    def gradients(self, layers: Sequence[TrainedLayer], inputs: np.ndarray, kept: np.ndarray | None) -> None:
        for layer, delta, received in zip(layers, self.deltas, self.received, strict=True):
            if kept is not None:
                delta, received = (_of_lanes(columns, self.lanes, kept) for columns in (delta, received))
            np.matmul(delta, received.T, out=layer.wishes.gradient)
            np.sum(delta, axis=1, out=layer.biases.gradient)


def _full(wires: Wires, columns: int) -> np.ndarray:
    """The weights of wires as a matrix."""
    found = np.zeros((len(wires.count), columns), np.float32)
    rows, _ = np.nonzero(wires.listed)
    np.add.at(found, (rows, wires.inputs[wires.listed]), wires.weights[wires.listed])
    return found


def _of_lanes(columns: np.ndarray, lanes: int, kept: np.ndarray) -> np.ndarray:
    """The columns of some samples."""
    found: np.ndarray = columns.reshape(len(columns), lanes, -1)[:, kept].reshape(len(columns), -1)
    return found
