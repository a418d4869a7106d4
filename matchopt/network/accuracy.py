"""How well a network classifies: accuracy and cross-entropy, in batches of bounded memory."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

BATCH = 5_000  # images at a time: some ten megabytes per hidden layer of a few hundred units


@runtime_checkable
class Classifier(Protocol):
    """Anything that gives one row of logits per sample."""

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples classes"]:
        """The values before the softmax."""
        ...


@dataclass(frozen=True)
class Measurement:
    """Quality of a classifier on labelled samples.

    Parameters
    ----------
    accuracy : share of samples classified correctly, 0 .. 1.
    cross_entropy : mean of -log of the probability given to the right class, nats.
    samples : number of samples.
    """

    accuracy: float
    cross_entropy: float
    samples: int


def measure(
    network: Classifier, inputs: Float[np.ndarray, "samples inputs"], labels: Int[np.ndarray, " samples"]
) -> Measurement:
    """Measure `network` on labelled samples; of equal logits the first class counts as the answer.

    Raises
    ------
    ValueError
        when there are no samples, or inputs and labels differ in number.
    """
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise ValueError(f"need as many labels as inputs, at least one, found {len(labels)} and {len(inputs)}")
    correct, loss = 0, 0.0
    for start in range(0, len(inputs), BATCH):
        logits = np.asarray(network.logits(inputs[start : start + BATCH]), np.float64)
        chosen = labels[start : start + BATCH]
        correct += int(np.count_nonzero(logits.argmax(axis=1) == chosen))
        logits = logits - logits.max(axis=1, keepdims=True)
        loss += float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(chosen)), chosen]).sum())
    return Measurement(correct / len(inputs), loss / len(inputs), len(inputs))
