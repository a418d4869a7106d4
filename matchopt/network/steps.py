"""A network as the operations it runs, one after the other: what torch, ONNX and NIR have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """The operations of a network in double precision, batch normalisations multiplied into filters.

    Parameters
    ----------
    network : a network, trained or realised.
    names : of its layers; where there are not as many different ones, layers are called by their place among the
        steps, as those of `torch.nn.Sequential` are.
    """
    steps = _unnamed(network)
    weighted = [n for n, step in enumerate(steps) if isinstance(step, Linear | Conv | Lstm)]
    if len(set(names)) != len(weighted) or "" in names:
        return [replace(step, name=str(n)) for n, step in enumerate(steps)]
    called, others = dict(zip(weighted, names, strict=True)), "step"
    while any(name.startswith(others) for name in names):
        others += "_"
    return [replace(step, name=called.get(n, f"{others}{n}")) for n, step in enumerate(steps)]


def _unnamed(network: Runnable) -> list[Step]:
    architecture = network.architecture
    layers = [(np.asarray(w, np.float64), np.asarray(b, np.float64))
              for w, b in zip(network.weights, network.biases, strict=True)]  # fmt: skip
    if isinstance(architecture, Recurrent):
        return _recurrent(architecture, layers)
    steps: list[Step] = []
    first = 0
    if isinstance(architecture, Convolutional):
        first = len(architecture.convolutions)
        steps = _convolutions(architecture, layers[:first], network)
    for number, layer in enumerate(layers[first:]):
        steps += [*([Relu("")] if number else []), Linear("", *layer)]
    return steps


def state_of(network: Runnable, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Weights and biases in single precision under the names of PyTorch; `names` as in `steps_of`.

    Without names those of a recurrent network are `lstm` and `out`; the second bias of its cells is zero.
    """
    found: dict[str, np.ndarray] = {}
    recurrent = isinstance(network.architecture, Recurrent)
    for step in steps_of(network, names or (("lstm", "out") if recurrent else ())):
        if isinstance(step, Lstm):
            parts = {"weight_ih": step.into, "weight_hh": step.back, "bias_ih": step.bias, "bias_hh": 0 * step.bias}
            found |= {f"{step.name}.{part}_l0": np.ascontiguousarray(value) for part, value in parts.items()}
        elif isinstance(step, Linear | Conv):
            found |= {f"{step.name}.weight": step.weight, f"{step.name}.bias": step.bias}
    return {name: array.astype(np.float32) for name, array in found.items()}


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


Layers = Sequence[tuple[np.ndarray, np.ndarray]]


def _convolutions(architecture: Convolutional, layers: Layers, network: Runnable) -> list[Step]:
    steps: list[Step] = []
    for number, (stage, (weight, bias)) in enumerate(zip(architecture.convolutions, layers, strict=True)):
        if stage.normalise == "batch":
            mean, variance = (np.asarray(network.buffers[f"{part}.{number}"], np.float64)
                              for part in ("mean", "variance"))  # fmt: skip
            scale = 1.0 / np.sqrt(variance + BATCH_EPSILON)
            weight, bias = weight * scale[:, None], (bias - mean) * scale
        pool = Pool("", stage.pool, stage.pool_stride or stage.pool, stage.average, stage.overhang)
        steps += [Conv("", weight.reshape(stage.filters, -1, stage.size, stage.size), bias, stage.padding), Relu("")]
        steps += [Response("")] if stage.normalise == "response" else []
        steps += [pool] if stage.pool else []
        steps += [Response("")] if stage.normalise == "pooled-response" else []
    return [*steps, View("")]


def _recurrent(architecture: Recurrent, layers: Layers) -> list[Step]:
    gates, bias = layers[0]
    into, back = gates[:, : architecture.n_features], gates[:, architecture.n_features :]
    return [Lstm("", into, back, bias), Read("", architecture.readout), Linear("", *layers[1])]
