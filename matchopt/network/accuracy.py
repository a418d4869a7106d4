"""How well a network classifies: accuracy and cross-entropy, in batches of bounded memory."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from matchopt.network.data.images import IGNORED

BATCH = 5_000  # images at a time: some ten megabytes per hidden layer of a few hundred units


@runtime_checkable
class Classifier(Protocol):
    """Anything that gives one row of logits per sample, or one per sample and frame."""

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples *frames classes"]:
        """The values before the softmax."""
        ...


@dataclass(frozen=True)
class Measurement:
    """Quality of a classifier on labelled samples.

    Parameters
    ----------
    accuracy : share of samples (or of labelled frames) classified correctly, 0 .. 1.
    cross_entropy : mean of -log of the probability given to the right class, nats.
    samples : number of samples (or of labelled frames).
    """

    accuracy: float
    cross_entropy: float
    samples: int


def measure(
    network: Classifier, inputs: Float[np.ndarray, "samples inputs"], labels: Int[np.ndarray, " samples *frames"]
) -> Measurement:
    """Measure `network` on labelled samples; of equal logits the first class counts as the answer.

    A label -1 marks a frame that does not count.

    Raises
    ------
    ValueError
        when there are no samples, inputs and labels differ in number, or the network does not answer once per label.
    """
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise ValueError(f"need as many labels as inputs, at least one, found {len(labels)} and {len(inputs)}")
    correct, loss, count = 0, 0.0, 0
    for start in range(0, len(inputs), BATCH):
        logits = np.asarray(network.logits(inputs[start : start + BATCH]), np.float64)
        wanted = labels[start : start + BATCH]
        if logits.shape[:-1] != wanted.shape:
            raise ValueError(
                f"the network's answers have shape {logits.shape[1:-1]} per sample, the labels {wanted.shape[1:]}; "
                "labels per frame need an architecture that answers after every frame"
            )
        logits, wanted = logits[wanted != IGNORED], wanted[wanted != IGNORED]
        correct += int(np.count_nonzero(logits.argmax(axis=1) == wanted))
        logits = logits - logits.max(axis=1, keepdims=True)
        loss += float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(wanted)), wanted]).sum())
        count += len(wanted)
    if count == 0:
        raise ValueError("need at least one labelled frame, all labels are -1")
    return Measurement(correct / count, loss / count, count)
