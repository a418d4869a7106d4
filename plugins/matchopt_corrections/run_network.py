"""A network of any architecture of which a few entries are trained: loss and gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt_corrections.backpropagation import LEAST, SmallNetwork

UNCOUNTED = -1  # label of a frame that does not count


@dataclass(eq=False)
class RunNetwork(SmallNetwork):
    """The same with filters or gates; labels of frames are an array of their own for each sample.

    Parameters
    ----------
    runs : how samples run through the network, `NetworkInstance.runs`.
    """

    runs: Any

    def received(self, inputs: np.ndarray) -> list[np.ndarray]:
        trace = self._trace(inputs)
        return [*(received for received, _ in trace), self.runs.answered(trace[-1][1])]

    def loss(self, inputs: np.ndarray, labels: np.ndarray, batch: int = 0) -> float:
        total, step = 0.0, batch or self.runs.step
        for start in range(0, len(labels), step):
            logits = self.runs.answered(self._trace(inputs[start : start + step])[-1][1]).astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            own = labels[start : start + step].ravel()
            losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(own)), own]
            total += float(losses[own != UNCOUNTED].sum())
        return total / np.count_nonzero(labels != UNCOUNTED)

    def gradients(self, inputs: np.ndarray, labels: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        trace, own = self._trace(inputs), labels.ravel()
        logits = self.runs.answered(trace[-1][1])
        shares = np.exp(np.maximum(logits - logits.max(axis=1, keepdims=True), LEAST))
        delta = shares / shares.sum(axis=1, keepdims=True)
        delta[np.arange(len(own)), own] -= 1.0
        delta[own == UNCOUNTED] = 0.0
        delta /= max(1, np.count_nonzero(own != UNCOUNTED))
        direct = [*([None] * (len(trace) - 1)), self.runs.of_answers(delta)]
        slopes = self.runs.backward(self.weights, trace, direct)
        weights, biases = [], []
        for slope, (received, _), (rows, columns) in zip(slopes, trace, self.entries, strict=True):
            weights.append((slope.T @ received)[rows, columns] if len(rows) else np.zeros(0, np.float32))
            biases.append(slope.sum(axis=0))
        return weights, biases

    def _trace(self, inputs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(self.runs.run(self.weights, self.biases, inputs))
