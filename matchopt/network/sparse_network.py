"""A trained sparse network: the target that is to be mapped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Float32, Int64

from matchopt.errors import InvalidInstance
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.architecture_fit import completed, frozen_buffers
from matchopt.instances.arrays import frozen, is_constant
from matchopt.instances.network import DataReference
from matchopt.instances.target import Target
from matchopt.network.running import Runnable
from matchopt.parts import Json
from matchopt.settings import check_fields

MAX_WEIGHTS = 2**28  # of a full matrix, zeros included: a gigabyte in single precision
Accuracy = Annotated[float, Ge(0), Le(1)]


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
    validation_accuracy: Accuracy | None = None
    test_accuracy: Accuracy | None = None
    data: DataReference | None = None

    def __post_init__(self) -> None:
        check_fields(self, "record", InvalidInstance)


@dataclass(frozen=True, eq=False)
class SparseLayer:
    """One weight matrix of which some connections exist; a row is a unit, a filter, or a gate of a recurrent cell.

    Parameters
    ----------
    target : the connections and their weights, kept in single precision; of importance 1.
    biases : bias of every unit; kept in single precision.

    Raises
    ------
    InvalidInstance
        when there is not one bias per unit, a value does not fit single precision, or connections count unequally.
    """

    target: Target
    biases: Float[np.ndarray, " units"]

    def __post_init__(self) -> None:
        target = self.target
        weights = _single(target.weights, "weights")
        if not np.array_equal(weights, target.weights):
            object.__setattr__(self, "target", replace(target, weights=weights))
        if not is_constant(target.importance, 1.0):
            raise InvalidInstance("target.importance: the connections of a trained layer all count alike")
        biases = _single(frozen(self.biases, "biases", float, 1, shape=(target.n_rows,)), "biases")
        object.__setattr__(self, "biases", biases)

    @classmethod
    def from_dense(cls, weights: Any, mask: Any = None, biases: Any = None) -> "SparseLayer":
        """Build from full matrices; without a mask a zero weight is no connection, without biases they are zero.

        Parameters
        ----------
        weights : weight of every connection, shape (units, inputs); zero where there is none.
        mask : whether a connection exists, shape (units, inputs); its weight may still be zero.
        biases : bias of every unit.

        Raises
        ------
        InvalidInstance
            when shapes differ, a value is not finite, or a weight without a connection is not zero.
        """
        full = _single(frozen(weights, "weights", float, 2), "weights")
        present = full != 0 if mask is None else frozen(mask, "mask", bool, 2, shape=full.shape)
        stray = (full != 0) & ~present
        if stray.any():
            row, column = np.argwhere(stray)[0]
            raise InvalidInstance(
                f"weights, row {row}: input {column} has weight {full[row, column]} and no connection in the mask"
            )
        given = np.zeros(len(full)) if biases is None else frozen(biases, "biases", float, 1)
        return cls(Target.from_dense(full, present), given)

    @cached_property
    def weights(self) -> Float32[np.ndarray, "units inputs"]:
        """The weights as a full matrix, zero where there is no connection."""
        return self._full(self.target.weights, np.float32)

    @cached_property
    def matrix(self) -> Any:
        """The weights as they are held; see `Runnable.matrices`."""
        target = self.target
        return signals.matrix_of(target.row_of, target.indices, target.weights.astype(np.float32), self.shape)

    @cached_property
    def mask(self) -> Bool[np.ndarray, "units inputs"]:
        """Whether a connection exists, as a full matrix; its weight may still be zero."""
        return self._full(True, np.bool_)

    def _full(self, values: Any, dtype: Any) -> np.ndarray:
        if math.prod(self.shape) > MAX_WEIGHTS:
            raise InvalidInstance(
                f"a layer of shape {self.shape} has no full matrix here, which ends at {MAX_WEIGHTS} weights"
            )
        full = np.zeros(self.shape, dtype)
        full[self.target.row_of, self.target.indices] = values
        full.flags.writeable = False
        return full

    @property
    def shape(self) -> tuple[int, int]:
        """Number of units and of inputs."""
        return self.target.n_rows, self.target.n_inputs

    @property
    def n_connections(self) -> int:
        """Number of connections."""
        return self.target.n_connections

    @property
    def fan_in(self) -> Int64[np.ndarray, " units"]:
        """Number of connections of every unit."""
        return self.target.fan_in


@dataclass(frozen=True, eq=False)
class SparseNetwork(Runnable):
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
        completed(self.architecture, [layer.shape for layer in self.layers])
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
                mask, bias = (given if given is None else given[number] for given in (masks, biases))
                layers.append(SparseLayer.from_dense(matrix, mask, bias))
            except InvalidInstance as cause:
                raise InvalidInstance(f"layers.{number}.{cause}") from None
            except IndexError:
                raise InvalidInstance(f"layers.{number}: biases or mask missing, {len(weights)} layers given") from None
        whole = completed(architecture, [layer.shape for layer in layers])
        return cls(tuple(layers), whole, record or TrainingRecord(), buffers or {})

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Rows of each layer, before them the length of one flattened sample."""
        return (self.architecture.n_inputs, *(layer.shape[0] for layer in self.layers))

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
    def matrices(self) -> tuple[Any, ...]:
        """See `Runnable`."""
        return tuple(layer.matrix for layer in self.layers)

    @property
    def biases(self) -> tuple[Float32[np.ndarray, " _"], ...]:
        """The biases of every layer."""
        return tuple(layer.biases for layer in self.layers)

    @property
    def connectivity(self) -> float:
        """Connections as a share of all possible ones, 0 .. 1; biases not counted."""
        return self.n_connections / self.architecture.n_weights

    @property
    def fan_in(self) -> tuple[Int64[np.ndarray, " _"], ...]:
        """Number of connections of every unit, per layer."""
        return tuple(layer.fan_in for layer in self.layers)

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
