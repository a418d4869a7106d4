"""Running a network of any architecture, written down as docs/networks.md describes it; samples are columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.instances import Architecture, Convolution, Convolutional, NetworkInstance, Recurrent, SampleObjective

SAMPLES = 2_000  # run through the network at a time: what a layer of some hundred rows does stays in the cache
NUMBERS = 2**22  # at a time in one array, where samples have many places
FULL = 0.1  # share of the inputs above which rows are multiplied together as a matrix
EPSILON = 1e-5  # of batch normalisation, added to variances
ROUNDING = 1e-20  # a variance below this share of the mean square is that of a constant, computed in floats

Columns = Float[np.ndarray, "_ _"]
Image = Float[np.ndarray, "channels _ _ samples"]


@dataclass(frozen=True, eq=False)
class PlainLayer:
    """One layer of a network, row by row; the constant input of hardware biases is turned into biases.

    Parameters
    ----------
    rows : weight by input, of every row.
    n_inputs : number of inputs, without the constant one.
    biases : what every row adds.
    noise : read-noise variance summed over the rows, of every input.
    constant_noise : the same of the constant input.
    """

    rows: list[dict[int, float]]
    n_inputs: int
    biases: Float[np.ndarray, " rows"]
    noise: Float[np.ndarray, " inputs"]
    constant_noise: float = 0.0

    def sums(self, activity: Columns) -> Columns:
        """What the rows make of this activity; samples are columns, so that a row of few weights costs little."""
        found = np.zeros((len(self.rows), activity.shape[1]))
        full = [i for i, row in enumerate(self.rows) if len(row) > FULL * self.n_inputs]
        if full:
            matrix = np.zeros((len(full), self.n_inputs))
            for at, i in enumerate(full):
                matrix[at, list(self.rows[i])] = list(self.rows[i].values())
            found[full] = matrix @ activity
        for i in set(range(len(self.rows))) - set(full):
            row = self.rows[i]
            found[i] = np.array(list(row.values())) @ activity[list(row)] if row else 0.0
        found += self.biases[:, None]
        return found

    def added(self, activity: Columns) -> float:
        """Variance that read noise adds to the sums, summed over rows and columns."""
        varying = float(self.noise @ np.square(activity).sum(axis=1)) if self.noise.any() else 0.0
        return varying + self.constant_noise * int(activity.shape[1])


def batches(instance: NetworkInstance, samples: SampleObjective) -> Iterator[tuple[Columns, slice]]:
    """What the network receives, a few samples at a time as columns, and which samples they are."""
    net, most = instance.architecture, 1
    if isinstance(net, Convolutional):
        for (rows, inputs), ((_, height, width), _) in zip(net.matrices, net.stages(), strict=False):
            most = max(most, height * width * max(rows, inputs))
    if isinstance(net, Recurrent):
        most = net.frames * 4 * net.hidden
    step = max(1, min(SAMPLES, NUMBERS // most))
    for start in range(0, len(samples.inputs), step):
        part = slice(start, start + step)
        yield np.ascontiguousarray(samples.inputs[part].T, dtype=np.float64) * samples.scale, part


def run(instance: NetworkInstance, network: list[PlainLayer], inputs: Columns) -> Iterator[tuple[Columns, Columns]]:
    """For each layer the activity it receives and the sums it forms, a column for each place of each sample.

    Columns are in the order place, sample.
    """
    net: Architecture = instance.architecture
    if isinstance(net, Recurrent):
        yield from _frames(net, network, inputs)
        return
    activity, first = inputs, 0
    if isinstance(net, Convolutional):
        image = inputs.reshape(*net.image, -1)
        for first, stage in enumerate(net.convolutions, start=1):
            patches, height, width = _patches(image, stage)
            sums = network[first - 1].sums(patches)
            yield patches, sums
            image = _after(stage, first - 1, sums.reshape(stage.filters, height, width, -1), instance.buffers)
        activity = image.reshape(-1, image.shape[-1])
    for layer in network[first:]:
        sums = layer.sums(activity)
        yield activity, sums
        activity = sums * (sums > 0)


def answers(instance: NetworkInstance, sums: Columns) -> Columns:
    """What the sums of the last layer answer: each place for itself, or their mean where the architecture says so."""
    net = instance.architecture
    if isinstance(net, Recurrent) and net.readout == "mean":
        return np.asarray(sums.reshape(len(sums), net.frames, -1).sum(axis=1) / net.frames)
    return sums


def reads(instance: NetworkInstance) -> int:
    """Places of the last layer whose mean is one answer."""
    net = instance.architecture
    return net.frames if isinstance(net, Recurrent) and net.readout == "mean" else 1


def _patches(image: Image, stage: Convolution) -> tuple[Columns, int, int]:
    """What a filter sees at each place, row by row of the image; and how many rows and columns of places there are."""
    channels, height, width, samples = image.shape
    pad, size = stage.padding, stage.size
    wide = np.zeros((channels, height + 2 * pad, width + 2 * pad, samples))
    wide[:, pad : pad + height, pad : pad + width] = image
    tall, across = height + 2 * pad - size + 1, width + 2 * pad - size + 1
    found = np.zeros((channels * size * size, tall * across, samples))
    for y in range(tall):
        for x in range(across):
            found[:, y * across + x] = wide[:, y : y + size, x : x + size].reshape(-1, samples)
    return found.reshape(len(found), -1), tall, across


def _after(stage: Convolution, number: int, image: Image, buffers: Mapping[str, Any]) -> Image:
    """Normalisation, ReLU and pooling."""
    if stage.normalise == "batch":
        for channel in range(stage.filters):
            mean, variance = buffers[f"mean.{number}"][channel], buffers[f"variance.{number}"][channel]
            image[channel] = (image[channel] - mean) / (variance + EPSILON) ** 0.5
    image = image * (image > 0)
    if stage.normalise == "response":
        image = _responses(image)
    if stage.pool:
        image = _pool(image, stage)
    return _responses(image) if stage.normalise == "pooled-response" else image


def _responses(image: Image) -> Image:
    """x / (1 + 0.001 / 9 * (sum of squares of the channel and four on each side))^0.75, as in tf.nn.lrn."""
    found = np.zeros_like(image)
    for channel in range(len(image)):
        near = image[max(0, channel - 4) : channel + 5]
        found[channel] = image[channel] / (1.0 + 0.001 / 9.0 * (near * near).sum(axis=0)) ** 0.75
    return found


def _pool(image: Image, stage: Convolution) -> Image:
    """The largest, or the mean, of the pixels of each window that are in the image."""
    channels, height, width, samples = image.shape
    stride, size = stage.pool_stride or stage.pool, stage.pool
    tall, across = stage.pooled(height), stage.pooled(width)
    found = np.zeros((channels, tall, across, samples))
    for y in range(tall):
        for x in range(across):
            window = image[:, y * stride : y * stride + size, x * stride : x * stride + size]
            found[:, y, x] = window.mean(axis=(1, 2)) if stage.average else window.max(axis=(1, 2))
    return found


def _frames(net: Recurrent, network: list[PlainLayer], inputs: Columns) -> Iterator[tuple[Columns, Columns]]:
    """The gates at every frame, and the output layer at the frames it reads."""
    frames = inputs.reshape(net.frames, net.n_features, -1)
    outputs = [np.zeros((net.hidden, inputs.shape[1]))]
    cell = np.zeros_like(outputs[0])
    heard, gates = [], []
    for frame in frames:
        heard.append(np.vstack([frame, outputs[-1]]))
        gates.append(network[0].sums(heard[-1]))
        enter, forget, candidate, leave = gates[-1].reshape(4, net.hidden, -1)
        cell = cell / (1.0 + np.exp(-forget)) + np.tanh(candidate) / (1.0 + np.exp(-enter))
        outputs.append(np.tanh(cell) / (1.0 + np.exp(-leave)))
    yield np.hstack(heard), np.hstack(gates)
    read = outputs[-1] if net.readout == "last" else np.hstack(outputs[1:])
    yield read, network[1].sums(read)


class Spread:
    """Mean and variance of each row over batches of samples, combined as they come.

    T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", The American
    Statistician 37, 1983, doi:10.1080/00031305.1983.10483115.
    """

    def __init__(self, rows: int) -> None:
        self.count = 0
        self.mean = np.zeros(rows)
        self.squares = np.zeros(rows)  # summed squared distances from the mean

    def add(self, batch: Columns) -> None:
        """Take in the columns of `batch`."""
        size = batch.shape[1]
        mean, both = batch.mean(axis=1), self.count + size
        away = mean - self.mean
        own = np.square(batch - mean[:, None]).sum(axis=1)
        self.squares = self.squares + own + away**2 * self.count * size / both
        self.mean = self.mean + away * size / both
        self.count = both

    def variance(self) -> float:
        """The sum of the rows' variances; 1 where nothing varies."""
        summed = float(self.squares.sum()) / self.count
        size = summed + float((self.mean**2).sum())
        return summed if summed > ROUNDING * size else 1.0
