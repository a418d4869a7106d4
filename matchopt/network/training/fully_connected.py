"""Fully connected networks in training on a CPU: all weights at once (torch), or a list of connections (compiled)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from matchopt.instances.architecture import FullyConnected
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.connection_kernels import loss_and_gradient, softmax_loss
from matchopt.network.training.model import Batch, Images, Labels, Model, sparse_network, split
from matchopt.parts import Parts

Widths = tuple[int, ...]


def aligned(values: Float32[np.ndarray, " p"]) -> Float32[np.ndarray, " p"]:
    """A copy in memory that torch allocated: always equally aligned, so that products are always the same."""
    copied = torch.empty(len(values)).numpy()
    copied[:] = values
    return copied


class DenseModel(Model):
    """All weights of every layer take part, those outside a mask too: `values` decides what they are."""

    def __init__(self, widths: Widths, values: Float32[np.ndarray, " p"]) -> None:
        self.widths, self.architecture = widths, FullyConnected(widths)
        self.shapes = self.architecture.matrices
        self.values, self.gradient = aligned(values), aligned(np.zeros_like(values))
        self._weights, self._biases = split(torch.from_numpy(self.values), self.shapes)
        self._weight_gradients, self._bias_gradients = split(torch.from_numpy(self.gradient), self.shapes)
        self._make_room(0)

    def _make_room(self, lanes: int) -> None:
        self._inputs = np.zeros((lanes, self.widths[0]), np.float32)
        self._activity = [torch.from_numpy(self._inputs).t(), *(torch.zeros(m, lanes) for m in self.widths[1:])]
        self._delta = [torch.zeros(m, lanes) for m in self.widths[1:]]

    def loss(self, images: Images, labels: Labels, batch: Batch) -> float:
        # Backpropagation by hand into buffers made once: torch's own allocates a megabyte per step, and touching
        # fresh memory then takes longer than the products.
        if len(batch) != len(self._inputs):
            self._make_room(len(batch))
        np.take(images, batch, axis=0, out=self._inputs, mode="clip")
        activity, delta, last = self._activity, self._delta, len(self.shapes) - 1
        for layer, (weights, biases) in enumerate(zip(self._weights, self._biases, strict=True)):
            torch.addmm(biases[:, None], weights, activity[layer], out=activity[layer + 1])
            if layer < last:
                activity[layer + 1].clamp_(min=0.0)
        loss = softmax_loss(activity[-1].numpy(), labels, batch, delta[last].numpy())
        for layer in range(last, -1, -1):
            torch.mm(delta[layer], activity[layer].t(), out=self._weight_gradients[layer])
            torch.sum(delta[layer], dim=1, out=self._bias_gradients[layer])
            if layer:
                torch.mm(self._weights[layer].t(), delta[layer], out=delta[layer - 1])
                delta[layer - 1].mul_(activity[layer] > 0)
        return float(loss)


class ConnectionModel(Model):
    """A list of connections; a step costs time in proportion to their number.

    Parameters
    ----------
    widths : units of each layer, inputs first.
    sites : per layer, the connections as positions unit * inputs + input, no two equal; any order.
    values : weights in the order of `sites`, layer by layer, then the biases.
    """

    def __init__(
        self, widths: Widths, sites: Sequence[Int64[np.ndarray, " _"]], values: Float32[np.ndarray, " p"]
    ) -> None:
        self.widths, self.architecture = widths, FullyConnected(widths)
        self.shapes = self.architecture.matrices
        self.values = aligned(values)
        self.gradient = np.zeros_like(self.values)
        self.first_unit = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        self.first_connection = np.concatenate([[0], np.cumsum([len(s) for s in sites])]).astype(np.int64)
        self.source: Int32[np.ndarray, " k"] = np.zeros(self.first_connection[-1], np.int32)
        self.target: Int32[np.ndarray, " k"] = np.zeros(self.first_connection[-1], np.int32)
        for layer, chosen in enumerate(sites):
            part = self.connections(layer)
            self.source[part] = self.first_unit[layer] + chosen % widths[layer]
            self.target[part] = self.first_unit[layer + 1] + chosen // widths[layer]
        self._counts = tuple(len(chosen) for chosen in sites)
        self._work = np.zeros((2, sum(widths), 0), np.float32)

    def connections(self, layer: int) -> slice:
        """Where the connections of a layer are in `values`, `source` and `target`."""
        return slice(int(self.first_connection[layer]), int(self.first_connection[layer + 1]))

    def sites(self, layer: int) -> Int64[np.ndarray, " k"]:
        """The connections of a layer as positions unit * inputs + input."""
        part = self.connections(layer)
        unit = self.target[part].astype(np.int64) - self.first_unit[layer + 1]
        chosen: Int64[np.ndarray, " k"] = unit * self.widths[layer] + (self.source[part] - self.first_unit[layer])
        return chosen

    def loss(self, images: Images, labels: Labels, batch: Batch) -> float:
        if self._work.shape[2] != len(batch):
            self._work = np.zeros((2, sum(self.widths), len(batch)), np.float32)
        structure = (self.source, self.target, self.first_connection, self.first_unit)
        return float(loss_and_gradient(self.values, *structure, images, labels, batch, self._work, self.gradient))

    def network(self) -> SparseNetwork:
        weights, masks = [], []
        for layer, (n, m) in enumerate(pairwise(self.widths)):
            full, mask = np.zeros(m * n, np.float32), np.zeros(m * n, bool)
            sites = self.sites(layer)
            full[sites], mask[sites] = self.values[self.connections(layer)], True
            weights.append(full)
            masks.append(mask)
        biases = self.values[len(self.source) :]
        return sparse_network(self.architecture, np.concatenate([*weights, biases]), np.concatenate(masks))

    @property
    def counts(self) -> tuple[int, ...]:
        return self._counts

    def state(self) -> Parts:
        return super().state() | Parts({}, {"source": self.source, "target": self.target})

    def restore(self, state: Parts) -> None:
        """See `Model.restore`; the number of connections of each layer must be the same."""
        for name in ("values", "source", "target"):
            getattr(self, name)[:] = state.arrays[name]
