"""A fully connected ReLU network of which a few entries are trained: loss, gradient, and steps of Adam."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8  # Adam's usual constants (Kingma and Ba, ICLR 2015, arXiv:1412.6980)
LEAST = np.float32(-60.0)  # least logit below the largest: smaller shares would be denormal numbers, which are slow
Entries = Sequence[tuple[np.ndarray, np.ndarray]]  # rows and inputs of the trained weights of each layer


@dataclass(eq=False)
class SmallNetwork:
    """Full weight matrices in float32; everything but `entries`, and the biases where they are trained, is frozen.

    Parameters
    ----------
    weights : matrix of each layer.
    biases : digital biases of each layer; None where every layer's last input is the constant 1.
    entries : the trained weights.
    train_biases : whether the biases are trained too.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray] | None
    entries: Entries
    train_biases: bool

    def received(self, inputs: np.ndarray) -> list[np.ndarray]:
        """What every layer receives, the logits last."""
        found = [self._with_constant(inputs)]
        for n in range(len(self.weights)):
            sums = found[-1] @ self.weights[n].T
            if self.biases is not None:
                sums += self.biases[n]
            last = n == len(self.weights) - 1
            found.append(sums if last else self._with_constant(np.maximum(sums, 0.0, out=sums)))
        return found

    def loss(self, inputs: np.ndarray, labels: np.ndarray, batch: int = 5_000) -> float:
        """Mean cross-entropy."""
        total = 0.0
        for start in range(0, len(labels), batch):
            logits = self.received(inputs[start : start + batch])[-1].astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            chosen = logits[np.arange(len(logits)), labels[start : start + batch]]
            total += float((np.log(np.exp(logits).sum(axis=1)) - chosen).sum())
        return total / len(labels)

    def gradients(self, inputs: np.ndarray, labels: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Gradients of the mean cross-entropy with respect to the trained weights and the biases of every layer."""
        received = self.received(inputs)
        shares = np.exp(np.maximum(received[-1] - received[-1].max(axis=1, keepdims=True), LEAST))
        delta = shares / shares.sum(axis=1, keepdims=True)
        delta[np.arange(len(labels)), labels] -= 1.0
        delta /= len(labels)
        count = len(self.weights)
        weights, biases = [np.zeros(0, np.float32)] * count, [np.zeros(0, np.float32)] * count
        for n in reversed(range(count)):
            rows, columns = self.entries[n]
            if len(rows):
                weights[n] = (delta.T @ received[n])[rows, columns]
            biases[n] = delta.sum(axis=0)
            if n:
                below = received[n] if self.biases is not None else received[n][:, :-1]
                matrix = self.weights[n] if self.biases is not None else self.weights[n][:, :-1]
                delta = (delta @ matrix) * (below > 0)
        return weights, biases

    @property
    def n_trained_biases(self) -> int:
        """Number of biases that are trained."""
        return sum(len(bias) for bias in self._trained_biases())

    @property
    def parameters(self) -> np.ndarray:
        """The trained values, weights first, layer by layer, as one vector."""
        trained = [matrix[place] for matrix, place in zip(self.weights, self.entries, strict=True)]
        return np.concatenate([*trained, *(self._trained_biases())])

    def set_parameters(self, values: np.ndarray) -> None:
        """Put trained values, as `parameters` gives them, into the network."""
        start = 0
        for matrix, place in zip(self.weights, self.entries, strict=True):
            matrix[place] = values[start : start + len(place[0])]
            start += len(place[0])
        for bias in self._trained_biases():
            bias[:] = values[start : start + len(bias)]
            start += len(bias)

    def gradient(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The gradient with respect to `parameters`."""
        weights, biases = self.gradients(inputs, labels)
        return np.concatenate([*weights, *(biases if self._trained_biases() else [])])

    def _trained_biases(self) -> list[np.ndarray]:
        return self.biases if self.train_biases and self.biases is not None else []

    def _with_constant(self, inputs: np.ndarray) -> np.ndarray:
        if self.biases is not None:
            return inputs
        return np.column_stack([inputs, np.ones(len(inputs), inputs.dtype)])


class Adam:
    """Adam on one vector, with a step size for each of its entries.

    In float64, where the moments of entries without gradient do not decay into slow denormal numbers.
    """

    def __init__(self, rates: np.ndarray) -> None:
        self._rates = rates.astype(np.float64)
        self._first = np.zeros(len(rates))
        self._second = np.zeros(len(rates))
        self._steps = 0

    def step(self, gradient: np.ndarray, factor: float) -> np.ndarray:
        """What to add to the parameters; `factor` scales the step sizes."""
        self._steps += 1
        slope = gradient.astype(np.float64)
        self._first += (1 - FIRST) * (slope - self._first)
        self._second += (1 - SECOND) * (slope**2 - self._second)
        first = self._first / (1 - FIRST**self._steps)
        second = self._second / (1 - SECOND**self._steps)
        return -factor * self._rates * first / (np.sqrt(second) + EPSILON)
