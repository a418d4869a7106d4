"""The contract of a network in training: one flat vector of parameters, its gradient, and the loss of a batch."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.network.accuracy import Classifier
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.tensors import on_cpu, put
from matchopt.parts import Parts as Parts

Shapes = tuple[tuple[int, int], ...]
Images = Float32[np.ndarray, "images values"]
Labels = Int64[np.ndarray, " images *frames"]
Batch = Int64[np.ndarray, " lanes"]  # numbers of samples


class Model(ABC):
    """A network in training.

    Parameters
    ----------
    architecture : which network it is.
    shapes : rows and columns of every weight matrix.
    values : the parameters, weights matrix by matrix and then all biases; changed in place by training. A numpy array
        in single precision on a CPU, a torch tensor on other devices.
    gradient : derivative of the last batch's loss, alike.
    """

    architecture: Architecture
    shapes: Shapes
    values: Any
    gradient: Any

    @abstractmethod
    def loss(self, images: Images, labels: Labels, batch: Batch) -> Any:
        """Mean cross-entropy of the samples numbered in `batch`, a number; fills `gradient`."""

    def probe(self, images: Images, labels: Labels, batch: Batch) -> Float32[np.ndarray, " p"]:
        """The gradient that `loss` would fill in, on the CPU; the model stays as it is."""
        before = on_cpu(self.gradient).copy()
        self.loss(images, labels, batch)
        found = on_cpu(self.gradient).copy()
        put(self.gradient, before)
        return found

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of connections in use, per matrix; all, unless a model says otherwise."""
        return tuple(m * n for m, n in self.shapes)

    @property
    def buffers(self) -> dict[str, np.ndarray]:
        """Running statistics, by name; none, unless a model says otherwise."""
        return {}

    def network(self) -> SparseNetwork:
        """What has been trained so far, without a record."""
        return sparse_network(self.architecture, on_cpu(self.values), np.ones(sum(self.counts), bool), self.buffers)

    def state(self) -> Parts:
        """All that `restore` needs; may share memory with the model."""
        return Parts({}, {"values": on_cpu(self.values), **Parts({}, self.buffers).prefixed("buffers")})

    def restore(self, state: Parts) -> None:
        """Go back to `state`, which a model made in the same way gave."""
        put(self.values, state.arrays["values"])

    def classifier(self) -> Classifier:
        """What validation measures: the network, or a quicker way to the same logits."""
        return self.network()


def split(flat: Any, shapes: Shapes) -> tuple[list[Any], list[Any]]:
    """Views of a flat parameter vector, numpy or torch: weight matrices, and the biases of each."""
    ends = np.cumsum([0, *(m * n for m, n in shapes), *(m for m, _ in shapes)]).tolist()
    parts = [flat[a:b] for a, b in pairwise(ends)]
    matrices = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
    return matrices, parts[len(shapes) :]


def segments(shapes: Shapes) -> tuple[slice, ...]:
    """Where each matrix is in the flat vector of all weights."""
    ends = np.cumsum([0, *(m * n for m, n in shapes)]).tolist()
    return tuple(slice(a, b) for a, b in pairwise(ends))


def as_architecture(found: Architecture | Sequence[int]) -> Architecture:
    """An architecture as it is; widths as a fully connected one."""
    return found if isinstance(found, Architecture) else FullyConnected(tuple(found))


def sparse_network(
    architecture: Architecture,
    values: Float32[np.ndarray, " p"],
    mask: np.ndarray,
    buffers: Mapping[str, np.ndarray] | None = None,
) -> SparseNetwork:
    """The network of a flat parameter vector and a flat mask of its weights."""
    weights, biases = split(values, architecture.matrices)
    masks, _ = split(np.concatenate([mask, np.zeros(len(values) - len(mask), bool)]), architecture.matrices)
    return SparseNetwork.from_arrays(weights, biases, masks, architecture=architecture, buffers=buffers)
