"""A trained sparse network: the target that is to be mapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from matchopt.errors import InvalidInstance, MissingExtra
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.arrays import frozen
from matchopt.instances.buffers import frozen_buffers
from matchopt.instances.network import DataReference
from matchopt.parts import Json

CHAIN = FullyConnected((1, 1))  # stands for fully connected layers of whatever widths the layers have


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
    record : how it was made.
    architecture : how a sample runs through the layers; `CHAIN` for fully connected ones, whose widths are filled in.
    buffers : running statistics of batch normalisation by name, as `architecture.buffers` lists them; kept in single
        precision.

    Raises
    ------
    InvalidInstance
        when the layers do not follow each other, or layers or buffers are not those of the architecture.
    """

    layers: tuple[SparseLayer, ...]
    record: TrainingRecord = TrainingRecord()
    architecture: Architecture = CHAIN
    buffers: Mapping[str, Float[np.ndarray, " _"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise InvalidInstance("layers: a network needs at least one layer, found none")
        if isinstance(self.architecture, FullyConnected):
            for number, (before, after) in enumerate(pairwise(self.layers), start=1):
                if after.weights.shape[1] != before.weights.shape[0]:
                    raise InvalidInstance(
                        f"layers.{number}.weights must have {before.weights.shape[0]} columns, one per unit of the "
                        f"layer before, found {after.weights.shape[1]}"
                    )
        if self.architecture is CHAIN:
            widths = (self.layers[0].weights.shape[1], *(layer.weights.shape[0] for layer in self.layers))
            if min(widths) < 1:
                raise InvalidInstance(f"layers: every layer needs a unit and an input, found widths {widths}")
            object.__setattr__(self, "architecture", FullyConnected(widths))
        found = tuple(layer.weights.shape for layer in self.layers)
        if found != self.architecture.matrices:
            raise InvalidInstance(f"layers must have the shapes {self.architecture.matrices}, found {found}")
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
        return cls(tuple(layers), record or TrainingRecord(), architecture or CHAIN, buffers or {})

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
        if not self.fully_connected:
            weights, biases = zip(*((layer.weights, layer.biases) for layer in self.layers), strict=True)
            return run_forward(self.architecture, weights, biases, inputs, self.buffers)
        hidden = np.asarray(inputs, np.float32)
        for number, layer in enumerate(self.layers):
            hidden = hidden @ layer.weights.T + layer.biases
            if number < len(self.layers) - 1:
                np.maximum(hidden, 0.0, out=hidden)
        return hidden

    def with_record(self, record: TrainingRecord) -> "SparseNetwork":
        """The same network with another record."""
        return replace(self, record=record)

    def save(self, path: Path) -> None:
        """Write it as a safetensors file; see `matchopt.network.network_file`."""
        from matchopt.network.network_file import write_network

        write_network(path, self)

    @classmethod
    def load(cls, path: Path) -> "SparseNetwork":
        """Read what `save` wrote; for networks of other origin see `matchopt.network.foreign.read_network`."""
        from matchopt.network.network_file import load_network

        return load_network(path)


def run_forward(
    architecture: Architecture,
    weights: Sequence[Float[np.ndarray, "_ _"]],
    biases: Sequence[Float[np.ndarray, " _"]],
    inputs: Float[np.ndarray, "samples inputs"],
    buffers: Mapping[str, np.ndarray],
) -> Float[np.ndarray, "samples *frames classes"]:
    """What `matchopt.network.forward.predict` gives; raises MissingExtra where torch is missing."""
    found: np.ndarray = _forward().predict(architecture, weights, biases, inputs, buffers)
    return found


def received_by(
    network: SparseNetwork, inputs: Float[np.ndarray, "samples inputs"], most: int
) -> tuple[Float[np.ndarray, "_ _"], ...]:
    """What `matchopt.network.forward.layer_inputs` gives for `network`, in double precision.

    Raises
    ------
    MissingExtra
        where torch is missing.
    """
    forward = _forward()
    parts = ([layer.weights for layer in network.layers], [layer.biases for layer in network.layers], network.buffers)
    weights, biases, buffers = forward.as_tensors(*parts)
    rows = forward.as_tensors([np.asarray(inputs, np.float32)], [])[0][0]
    received = forward.layer_inputs(network.architecture, weights, biases, rows, most, buffers=buffers)
    return tuple(part.numpy().astype(np.float64) for part in received)


def _forward() -> Any:
    try:
        from matchopt.network import forward
    except ModuleNotFoundError as cause:
        if cause.name != "torch":
            raise
        raise MissingExtra("running a convolutional or recurrent network", "torch", "torch") from None
    return forward


def _single(array: Float[np.ndarray, "..."], name: str) -> Float32[np.ndarray, "..."]:
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if not np.isfinite(single).all():
        raise InvalidInstance(f"{name} must fit single precision, found {np.abs(array).max()}")
    single.flags.writeable = False
    return single
