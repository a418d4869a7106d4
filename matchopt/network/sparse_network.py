"""A trained sparse network: the target that is to be mapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.architecture_fit import completed, frozen_buffers
from matchopt.instances.arrays import frozen
from matchopt.instances.network import DataReference
from matchopt.network import running
from matchopt.parts import Json


@dataclass(frozen=True)
class TrainingRecord:
    """How a network was made and what it reached.

    Parameters
    ----------
    method : name of the training method; empty if unknown.
    config : the method's configuration, as JSON values.
    seed : seed of the training, None if unknown.
    validation_accuracy, test_accuracy : share of images classified correctly, 0 .. 1; None where not measured.
    data : the data set it was trained on; None if unknown.

    Raises
    ------
    InvalidInstance
        when an accuracy is outside 0 .. 1.
    """

    method: str = ""
    config: Mapping[str, Json] = field(default_factory=dict)
    seed: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    data: DataReference | None = None

    def __post_init__(self) -> None:
        for name in ("validation_accuracy", "test_accuracy"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InvalidInstance(f"record.{name} must be in 0 .. 1, found {value!r}")


@dataclass(frozen=True, eq=False)
class SparseLayer:
    """One weight matrix of which some connections exist; a row is a unit, a filter, or a gate of a recurrent cell.

    Parameters
    ----------
    weights : weight of every connection, shape (units, inputs); zero where there is none; kept in single precision.
    mask : whether a connection exists, shape (units, inputs); its weight may still be zero.
    biases : bias of every unit; kept in single precision.

    Raises
    ------
    InvalidInstance
        when shapes differ, a value is not finite, or a weight without a connection is not zero.
    """

    weights: Float[np.ndarray, "units inputs"]
    mask: Bool[np.ndarray, "units inputs"]
    biases: Float[np.ndarray, " units"]

    def __post_init__(self) -> None:
        mask = frozen(self.mask, "mask", bool, 2)
        weights = _single(frozen(self.weights, "weights", float, 2, shape=mask.shape), "weights")
        biases = _single(frozen(self.biases, "biases", float, 1, shape=mask.shape[:1]), "biases")
        stray = (weights != 0) & ~mask
        if stray.any():
            row, column = np.argwhere(stray)[0]
            raise InvalidInstance(
                f"weights, row {row}: input {column} has weight {weights[row, column]} and no connection in the mask"
            )
        for name, value in (("weights", weights), ("mask", mask), ("biases", biases)):
            object.__setattr__(self, name, value)

    @property
    def n_connections(self) -> int:
        """Number of connections."""
        return int(np.count_nonzero(self.mask))

    @property
    def fan_in(self) -> Int64[np.ndarray, " units"]:
        """Number of connections of every unit."""
        return np.asarray(self.mask.sum(axis=1), np.int64)


@dataclass(frozen=True, eq=False)
class SparseNetwork:
    """A network of which some connections exist: fully connected layers with ReLU between them, or as its architecture.

    Parameters
    ----------
    layers : the layers in order, at least one; each takes as many inputs as the one before has units, or has the shape
        that the architecture says.
    architecture : how a sample runs through the layers.
    record : how it was made.
    buffers : running statistics of batch normalisation by name, as `architecture.buffers` lists them; kept in single
        precision.

    Raises
    ------
    InvalidInstance
        when the layers do not follow each other, or layers or buffers are not those of the architecture.
    """

    layers: tuple[SparseLayer, ...]
    architecture: Architecture
    record: TrainingRecord = TrainingRecord()
    buffers: Mapping[str, Float[np.ndarray, " _"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        completed(self.architecture, [layer.weights.shape for layer in self.layers])
        if min(self.widths) < 1:
            raise InvalidInstance(f"layers: every layer needs a unit and an input, found widths {self.widths}")
        buffers = frozen_buffers(self.architecture, self.buffers)
        object.__setattr__(self, "buffers", {name: _single(x, f"buffers.{name}") for name, x in buffers.items()})

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[Any],
        biases: Sequence[Any] | None = None,
        masks: Sequence[Any] | None = None,
        record: TrainingRecord | None = None,
        architecture: Architecture | None = None,
        buffers: Mapping[str, Any] | None = None,
    ) -> "SparseNetwork":
        """Build from one array per layer; no biases mean zeros, without masks a zero weight is no connection."""
        layers = []
        for number, matrix in enumerate(weights):
            try:
                full = frozen(matrix, "weights", float, 2)
                bias = np.zeros(full.shape[0]) if biases is None else biases[number]
                bias = frozen(bias, "biases", float, 1, shape=full.shape[:1])
                mask = _single(full, "weights") != 0 if masks is None else masks[number]
                layers.append(SparseLayer(full, frozen(mask, "mask", bool, 2, shape=full.shape), bias))
            except InvalidInstance as cause:
                raise InvalidInstance(f"layers.{number}.{cause}") from None
            except IndexError:
                raise InvalidInstance(f"layers.{number}: biases or mask missing, {len(weights)} layers given") from None
        whole = completed(architecture, [layer.weights.shape for layer in layers])
        return cls(tuple(layers), whole, record or TrainingRecord(), buffers or {})

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Rows of each layer, before them the length of one flattened sample."""
        return (self.architecture.n_inputs, *(layer.weights.shape[0] for layer in self.layers))

    @property
    def fully_connected(self) -> bool:
        """Whether the layers form a chain with ReLU between them."""
        return isinstance(self.architecture, FullyConnected)

    @cached_property
    def n_connections(self) -> int:
        """Number of connections of the whole network."""
        return sum(layer.n_connections for layer in self.layers)

    @property
    def weights(self) -> tuple[Float32[np.ndarray, "_ _"], ...]:
        """The weights of every layer as full matrices."""
        return tuple(layer.weights for layer in self.layers)

    @property
    def biases(self) -> tuple[Float32[np.ndarray, " _"], ...]:
        """The biases of every layer."""
        return tuple(layer.biases for layer in self.layers)

    @property
    def connectivity(self) -> float:
        """Connections as a share of all possible ones, 0 .. 1; biases not counted."""
        return self.n_connections / max(1, sum(layer.mask.size for layer in self.layers))

    @property
    def fan_in(self) -> tuple[Int64[np.ndarray, " _"], ...]:
        """Number of connections of every unit, per layer."""
        return tuple(layer.fan_in for layer in self.layers)

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float32[np.ndarray, "samples *frames classes"]:
        """The values before the softmax, one row per sample, or per sample and frame.

        Raises
        ------
        MissingExtra
            when the layers are not fully connected and torch is not installed.
        """
        return running.logits(self.architecture, self.weights, self.biases, inputs, self.buffers)

    def with_record(self, record: TrainingRecord) -> "SparseNetwork":
        """The same network with another record."""
        return replace(self, record=record)


def _single(array: Float[np.ndarray, "..."], name: str) -> Float32[np.ndarray, "..."]:
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if not np.isfinite(single).all():
        raise InvalidInstance(f"{name} must fit single precision, found {np.abs(array).max()}")
    single.flags.writeable = False
    return single
