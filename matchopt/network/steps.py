"""A network as the operations it runs, one after the other: what torch, ONNX and NIR have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture, Convolutional, Readout, Recurrent
from matchopt.instances.convolution import BATCH_EPSILON
from matchopt.network.running import Runnable
from matchopt.network.sparse_network import MAX_WEIGHTS

WHOLE = 0  # as the size of a pool: all of the image


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Parameters
    ----------
    name : how its file calls it, for messages and for the names of weights.
    """

    name: str


@dataclass(frozen=True, eq=False)
class Linear(Step):
    """Weights (units, inputs) and biases."""

    weight: Float[np.ndarray, "units inputs"]
    bias: Float[np.ndarray, " units"]


@dataclass(frozen=True, eq=False)
class Conv(Step):
    """Filters (filters, channels, height, width) moved by one pixel, and biases; `padding` zeros on each side."""

    weight: Float[np.ndarray, "filters channels high wide"]
    bias: Float[np.ndarray, " filters"]
    padding: int = 0


@dataclass(frozen=True, eq=False)
class Scale(Step):
    """Every channel (or unit) times its `scale`, plus its `shift`; one number stands for all."""

    scale: Float[np.ndarray, " scales"]
    shift: Float[np.ndarray, " shifts"]


@dataclass(frozen=True, eq=False)
class Relu(Step):
    """The positive part."""


@dataclass(frozen=True, eq=False)
class Response(Step):
    """Response normalisation, see `matchopt.network.forward`; only written."""


@dataclass(frozen=True, eq=False)
class Pool(Step):
    """Maximum or mean over windows of `size`, `stride` apart; `overhang` as in `Convolution`."""

    size: int
    stride: int
    average: bool = False
    overhang: bool = False


@dataclass(frozen=True, eq=False)
class View(Step):
    """A sample gets another shape; one size may be -1, the rest."""

    sizes: tuple[int, ...] = (-1,)


@dataclass(frozen=True, eq=False)
class Lstm(Step):
    """One layer of cells over frames; rows are the gates in the order of `Recurrent`."""

    into: Float[np.ndarray, "gates features"]
    back: Float[np.ndarray, "gates cells"]
    bias: Float[np.ndarray, " gates"]


@dataclass(frozen=True, eq=False)
class Read(Step):
    """Which frames of a recurrent network are answered: the last, or the mean over all."""

    how: Readout


def steps_of(network: Runnable, names: Sequence[str] = ()) -> list[Step]:
    """The operations of a network; weights, of the type they have, in the steps called `names`, or by number.

    Batch normalisations become scales and shifts of their own, one step each.
    """
    architecture = network.architecture
    called = list(names) if len(names) == len(network.weights) else [f"layers.{n}" for n in range(len(network.weights))]
    layers = list(zip(called, network.weights, network.biases, strict=True))
    if isinstance(architecture, Recurrent):
        return _recurrent(architecture, layers)
    steps: list[Step] = []
    first = 0
    if isinstance(architecture, Convolutional):
        first = len(architecture.convolutions)
        steps = _convolutions(architecture, layers[:first], network)
    for number, (name, weight, bias) in enumerate(layers[first:]):
        steps += [*([Relu(f"{name}.relu")] if number else []), Linear(name, weight, bias)]
    return steps


def sample_shape(architecture: Architecture) -> tuple[int, ...]:
    """The shape in which others hand a sample to it."""
    if isinstance(architecture, Convolutional):
        return architecture.image
    if isinstance(architecture, Recurrent):
        return (architecture.frames, architecture.n_features)
    return (architecture.n_inputs,)


def ungrouped(weight: np.ndarray, groups: int) -> np.ndarray:
    """Filters that see some channels only, as filters that see all with zero weights.

    Raises InvalidInstance when the groups do not fit, or there are more than `MAX_WEIGHTS`.
    """
    if groups == 1:
        return weight
    if groups < 1 or len(weight) % groups or weight.size * groups > MAX_WEIGHTS:
        raise InvalidInstance(f"{groups} groups of filters of shape {weight.shape} are not read")
    filters, channels = len(weight) // groups, weight.shape[1]
    full = np.zeros((len(weight), channels * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * filters, (group + 1) * filters)
        full[rows, group * channels : (group + 1) * channels] = weight[rows]
    return full


Layers = Sequence[tuple[str, np.ndarray, np.ndarray]]


def _convolutions(architecture: Convolutional, layers: Layers, network: Runnable) -> list[Step]:
    steps: list[Step] = []
    for number, (stage, (name, weight, bias)) in enumerate(zip(architecture.convolutions, layers, strict=True)):
        steps.append(Conv(name, weight.reshape(stage.filters, -1, stage.size, stage.size), bias, stage.padding))
        if stage.normalise == "batch":
            mean, variance = (np.asarray(network.buffers[f"{part}.{number}"], np.float64)
                              for part in ("mean", "variance"))  # fmt: skip
            scale = 1.0 / np.sqrt(variance + BATCH_EPSILON)
            steps.append(Scale(f"{name}.norm", scale.astype(weight.dtype), (-mean * scale).astype(weight.dtype)))
        steps.append(Relu(f"{name}.relu"))
        pool = Pool(f"{name}.pool", stage.pool, stage.pool_stride or stage.pool, stage.average, stage.overhang)
        respond = Response(f"{name}.response")
        steps += [respond] if stage.normalise == "response" else []
        steps += [pool] if stage.pool else []
        steps += [respond] if stage.normalise == "pooled-response" else []
    return [*steps, View("flatten")]


def _recurrent(architecture: Recurrent, layers: Layers) -> list[Step]:
    (name, gates, bias), (last, weight, shift) = layers
    into, back = gates[:, : architecture.n_features], gates[:, architecture.n_features :]
    return [Lstm(name, into, back, bias), Read("readout", architecture.readout), Linear(last, weight, shift)]
