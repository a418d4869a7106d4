"""Fully connected networks in training: all weights at once (torch), or a list of connections (compiled loops)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, Int64

from matchopt.network.connection_kernels import loss_and_gradient, softmax_loss
from matchopt.network.sparse_network import SparseNetwork

Widths = tuple[int, ...]


class Model(ABC):
    """A network in training; its parameters are one flat vector, weights in layer order, then all biases.

    Parameters
    ----------
    widths : units of each layer, inputs first.
    values : the parameters, changed in place by training.
    gradient : derivative of the last batch's loss, same shape.
    """

    widths: Widths
    values: Float32[np.ndarray, " p"]
    gradient: Float32[np.ndarray, " p"]

    @abstractmethod
    def loss(
        self,
        images: Float32[np.ndarray, "images pixels"],
        labels: Int64[np.ndarray, " images"],
        batch: Int64[np.ndarray, " lanes"],
    ) -> float:
        """Mean cross-entropy of the images numbered in `batch`; fills `gradient`."""

    @abstractmethod
    def magnitudes(self) -> list[Float32[np.ndarray, " _"]]:
        """Magnitude of the weights of every layer, in the order of `values`; -1 where a weight is out of use."""

    @abstractmethod
    def network(self) -> SparseNetwork:
        """What has been trained so far, without a record."""

    @property
    @abstractmethod
    def connectivity(self) -> float:
        """Share of the possible connections in use, 0 .. 1."""


class DenseModel(Model):
    """All weights of every layer, and a mask of those in use.

    Weights outside the mask take part in forward and backward; `apply_mask` after every optimiser step keeps them zero
    whatever the optimiser remembers.
    """

    def __init__(self, widths: Widths, rng: np.random.Generator, lanes: int) -> None:
        """Draw He-normal weights, N(0, 2 / inputs), and zero biases."""
        self.widths = widths
        self.shapes = [(after, before) for before, after in pairwise(widths)]
        drawn = [rng.standard_normal((m, n), np.float32) * np.float32((2.0 / n) ** 0.5) for m, n in self.shapes]
        self.n_weights = sum(m * n for m, n in self.shapes)
        self.values = np.concatenate([*(w.ravel() for w in drawn), np.zeros(sum(widths[1:]), np.float32)])
        self.gradient = np.zeros_like(self.values)
        self.set_mask(np.ones(self.n_weights, bool))
        self._inputs = np.zeros((lanes, widths[0]), np.float32)
        self._activity = [torch.from_numpy(self._inputs).t(), *(torch.zeros(m, lanes) for m in widths[1:])]
        self._delta = [torch.zeros(m, lanes) for m in widths[1:]]
        self._weights, self._biases = _views(self.values, self.shapes)
        self._weight_gradients, self._bias_gradients = _views(self.gradient, self.shapes)

    def loss(
        self,
        images: Float32[np.ndarray, "images pixels"],
        labels: Int64[np.ndarray, " images"],
        batch: Int64[np.ndarray, " lanes"],
    ) -> float:
        """See `Model.loss`."""
        # Backpropagation by hand into buffers made once: torch's own allocates a megabyte per step, and touching
        # fresh memory then takes longer than the products.
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

    def set_mask(self, mask: Bool[np.ndarray, " weights"]) -> None:
        """Choose the weights in use, in the order of `values`, and set all others to zero."""
        self.mask = mask.astype(np.float32)  # float, as masking is then one vector operation
        self._connectivity = float(np.count_nonzero(mask)) / self.n_weights
        self.apply_mask()

    def apply_mask(self) -> None:
        """Set every weight outside the mask to zero."""
        self.values[: self.n_weights] *= self.mask

    def magnitudes(self) -> list[Float32[np.ndarray, " _"]]:
        """See `Model.magnitudes`."""
        sizes = np.where(self.mask != 0, np.abs(self.values[: self.n_weights]), np.float32(-1))
        return np.split(sizes, np.cumsum([m * n for m, n in self.shapes])[:-1])

    def network(self) -> SparseNetwork:
        """See `Model.network`."""
        weights, biases = _split(self.values, self.shapes)
        masks, _ = _split(np.concatenate([self.mask != 0, np.zeros(sum(self.widths[1:]), bool)]), self.shapes)
        return SparseNetwork.from_arrays(weights, biases, masks)

    @property
    def connectivity(self) -> float:
        """See `Model.connectivity`."""
        return self._connectivity


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
        self.widths = widths
        self.values = np.array(values, np.float32)
        self.gradient = np.zeros_like(self.values)
        self.first_unit = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        self.first_connection = np.concatenate([[0], np.cumsum([len(s) for s in sites])]).astype(np.int64)
        self.source: Int32[np.ndarray, " k"] = np.zeros(self.first_connection[-1], np.int32)
        self.target: Int32[np.ndarray, " k"] = np.zeros(self.first_connection[-1], np.int32)
        for layer, chosen in enumerate(sites):
            part = self.connections(layer)
            self.source[part] = self.first_unit[layer] + chosen % widths[layer]
            self.target[part] = self.first_unit[layer + 1] + chosen // widths[layer]
        self._work = np.zeros((2, sum(widths), 0), np.float32)

    @classmethod
    def from_dense(cls, dense: DenseModel) -> tuple["ConnectionModel", Int64[np.ndarray, " kept"]]:
        """The connections inside the mask, and the parameters of `dense` that they and the biases are."""
        kept = np.flatnonzero(np.concatenate([dense.mask != 0, np.ones(sum(dense.widths[1:]), bool)]))
        starts = np.concatenate([[0], np.cumsum([m * n for m, n in dense.shapes])])
        sites = [kept[(kept >= a) & (kept < b)] - a for a, b in pairwise(starts)]
        return cls(dense.widths, sites, dense.values[kept]), kept

    def connections(self, layer: int) -> slice:
        """Where the connections of a layer are in `values`, `source` and `target`."""
        return slice(int(self.first_connection[layer]), int(self.first_connection[layer + 1]))

    def sites(self, layer: int) -> Int64[np.ndarray, " k"]:
        """The connections of a layer as positions unit * inputs + input."""
        part = self.connections(layer)
        unit = self.target[part].astype(np.int64) - self.first_unit[layer + 1]
        chosen: Int64[np.ndarray, " k"] = unit * self.widths[layer] + (self.source[part] - self.first_unit[layer])
        return chosen

    def loss(
        self,
        images: Float32[np.ndarray, "images pixels"],
        labels: Int64[np.ndarray, " images"],
        batch: Int64[np.ndarray, " lanes"],
    ) -> float:
        """See `Model.loss`."""
        if self._work.shape[2] != len(batch):
            self._work = np.zeros((2, sum(self.widths), len(batch)), np.float32)
        structure = (self.source, self.target, self.first_connection, self.first_unit)
        return float(loss_and_gradient(self.values, *structure, images, labels, batch, self._work, self.gradient))

    def magnitudes(self) -> list[Float32[np.ndarray, " _"]]:
        """See `Model.magnitudes`."""
        return [np.abs(self.values[self.connections(layer)]) for layer in range(len(self.widths) - 1)]

    def keep(self, kept: Bool[np.ndarray, " k"]) -> Int64[np.ndarray, " kept"]:
        """Go on with these connections only; returns which of the parameters are left, biases included."""
        self.first_connection = np.concatenate([[0], np.cumsum(kept)])[self.first_connection].astype(np.int64)
        self.source, self.target = self.source[kept], self.target[kept]
        chosen = np.flatnonzero(np.concatenate([kept, np.ones(sum(self.widths[1:]), bool)]))
        self.values = self.values[chosen]
        self.gradient = np.zeros_like(self.values)
        return chosen

    def network(self) -> SparseNetwork:
        """See `Model.network`."""
        weights, masks = [], []
        for layer, (n, m) in enumerate(pairwise(self.widths)):
            full, mask = np.zeros(m * n, np.float32), np.zeros(m * n, bool)
            sites = self.sites(layer)
            full[sites], mask[sites] = self.values[self.connections(layer)], True
            weights.append(full.reshape(m, n))
            masks.append(mask.reshape(m, n))
        biases = np.split(self.values[len(self.source) :], np.cumsum(self.widths[1:])[:-1])
        return SparseNetwork.from_arrays(weights, biases, masks)

    @property
    def connectivity(self) -> float:
        """See `Model.connectivity`."""
        return len(self.source) / sum(m * n for n, m in pairwise(self.widths))


@contextmanager
def steady_arithmetic(threads: int) -> Iterator[None]:
    """Train inside this: a fixed number of threads, and numbers too small for full precision become zero.

    Moments of units that stopped learning become such numbers and slow every operation three to five times.
    Threads are put back on leaving.
    """
    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def _split(flat: np.ndarray, shapes: Sequence[tuple[int, int]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Views of a flat parameter vector: weight matrices and biases of every layer."""
    ends = np.cumsum([*(m * n for m, n in shapes), *(m for m, _ in shapes)])
    parts = np.split(flat, ends[:-1])
    matrices = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
    return matrices, parts[len(shapes) :]


def _views(
    flat: Float32[np.ndarray, " p"], shapes: Sequence[tuple[int, int]]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    matrices, biases = _split(flat, shapes)
    return [torch.from_numpy(matrix) for matrix in matrices], [torch.from_numpy(bias) for bias in biases]
