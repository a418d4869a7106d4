"""What an exported instance minimises: objectives of its layers and of the network, from samples of its inputs."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num

from matchopt.errors import InvalidInstance
from matchopt.instances.objective import LayerObjective
from matchopt.instances.sample_objective import LAYER_OBJECTIVES, NETWORK_OBJECTIVES, OBJECTIVES, SampleObjective
from matchopt.network.sparse_network import SparseNetwork

Biases = Literal["free", "adjustable", "hardware"]
Samples = Num[np.ndarray, "samples inputs"]
CHUNK = 5_000  # samples that run through a fully connected network at a time


def compact_images(images: Float[np.ndarray, "images pixels"]) -> tuple[Samples, float]:
    """Images in 0 .. 1 as bytes and the factor 1/255, where that loses nothing; else as they are, and 1."""
    pixels = np.rint(images * 255.0)
    if bool(((pixels >= 0) & (pixels <= 255)).all()):
        whole = pixels.astype(np.uint8)
        if np.array_equal(np.divide(whole, 255, dtype=images.dtype), images):
            return whole, 1 / 255
    return images, 1.0


def network_objective(
    name: str, inputs: Samples | None, labels: Int[np.ndarray, " samples *frames"] | None, scale: float
) -> SampleObjective | None:
    """The objective of the whole network that goes by `name`; None where the layers' objectives add up.

    Raises InvalidInstance for a name that does not exist, and where samples or labels are missing.
    """
    if name not in OBJECTIVES:
        raise InvalidInstance(f"objective must be one of {', '.join(OBJECTIVES)}, found {name!r}")
    if name in LAYER_OBJECTIVES:
        return None
    if inputs is None:
        raise InvalidInstance(f"sample_inputs: {name} needs at least one sample, found none")
    return NETWORK_OBJECTIVES[name].of_samples(inputs, labels, scale)


def layer_objectives(
    network: SparseNetwork, name: str, biases: Biases, inputs: Samples | None, scale: float = 1.0, centred: bool = False
) -> list[LayerObjective]:
    """The objective of every layer.

    Raises InvalidInstance when samples are missing or do not fit, or `centred` is asked for where it has no meaning.

    Parameters
    ----------
    network : the trained network.
    name : "output-error" takes the second moments E[x x^T] of what each layer receives.
    biases : with "hardware" every layer also receives the constant 1.
    inputs : samples of the network's inputs; needed for "output-error".
    scale : the network receives `inputs * scale`.
    centred : take covariances in place of second moments: what is left of the error once digital biases make up for
        its mean.
    """
    if name not in LAYER_OBJECTIVES:
        raise InvalidInstance(f"layer_objective must be {' or '.join(LAYER_OBJECTIVES)}, found {name!r}")
    kind = LAYER_OBJECTIVES[name]
    if centred and (not kind.samples or biases == "hardware"):
        found = "hardware biases" if kind.samples else name
        raise InvalidInstance(f"centred: belongs to output-error with digital biases, found {found}")
    if not kind.samples:
        return [kind()] * len(network.layers)
    if inputs is None or len(inputs) == 0:
        raise InvalidInstance(f"sample_inputs: {name} needs at least one sample, found none")
    if inputs.shape[1] != network.widths[0]:
        raise InvalidInstance(f"sample_inputs must have {network.widths[0]} columns, found {inputs.shape[1]}")
    moments = [Moments(centred) for _ in network.layers]
    for batch in _batches(network, inputs):
        scaled = np.asarray(batch, np.float64) * scale
        for gathered, received in zip(moments, network.layer_inputs(scaled), strict=True):
            constant = [np.ones((len(received), 1))] if biases == "hardware" else []
            gathered.add(np.hstack([received, *constant]))
    return [kind.of_moments(gathered.matrix()) for gathered in moments]


class Moments:
    """E[x x^T] of rows that come in batches, or their covariance.

    Parameters
    ----------
    centred : whether the mean is taken off.
    """

    def __init__(self, centred: bool) -> None:
        self.centred = centred
        self.count = 0

    def add(self, rows: Float[np.ndarray, "rows columns"]) -> None:
        """Take in a batch."""
        if self.count == 0:
            # From a point near the mean: from 0, a covariance would be a difference of two large numbers.
            self.near = rows.mean(axis=0) if self.centred else np.zeros(rows.shape[1])
            self.first, self.second = np.zeros(rows.shape[1]), np.zeros((rows.shape[1], rows.shape[1]))
        away = rows - self.near if self.centred else rows
        self.first += away.sum(axis=0)
        self.second += away.T @ away
        self.count += len(rows)

    def matrix(self) -> Float[np.ndarray, "columns columns"]:
        """The moments, exactly symmetric, with a diagonal >= 0."""
        product = self.second / self.count
        if self.centred:
            product -= np.outer(self.first, self.first) / self.count**2
        product = (product + product.T) / 2
        np.fill_diagonal(product, np.maximum(product.diagonal(), 0.0))
        return product


def _batches(network: SparseNetwork, inputs: Samples) -> Iterator[Samples]:
    """The samples in batches; all at once where positions are drawn from all of them."""
    size = CHUNK if network.fully_connected else len(inputs)
    return (inputs[start : start + size] for start in range(0, len(inputs), size))
