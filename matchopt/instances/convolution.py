"""What lies between a convolution and the next layer: normalisation, ReLU, pooling, and the patches of filters.

Signals have one row for each sample and place, and a column for each channel; images here are (samples, height, width,
channels).
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from matchopt.instances.architecture import Convolution

Rows = Float[np.ndarray, "_ _"]
Images = Float[np.ndarray, "_ _ _ _"]
Shape = tuple[int, int, int]  # channels, height, width
Statistics = tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]] | None  # mean and variance

# Response normalisation of TensorFlow's CIFAR-10 tutorial, which DEEP R's network has: x / (1 + alpha * sum)^beta, the
# sum of squares over the channel and `REACH` channels before and after it.
REACH, ALPHA, BETA = 4, 0.001 / 9, 0.75
BATCH_EPSILON = 1e-5  # added to variances before dividing by their root


class Link(Protocol):
    """What becomes of a layer's signals until the next layer receives them."""

    places: int

    def forward(self, signals: Rows) -> Rows:
        """What the next layer receives."""
        ...

    def backward(self, signals: Rows, slopes: Rows) -> Rows:
        """Derivatives by `signals`, from those by what the next layer receives."""
        ...


class ReLU(Link):
    """Between fully connected layers."""

    places = 1

    def forward(self, signals: Rows) -> Rows:
        positive: Rows = np.maximum(signals, 0.0)
        return positive

    def backward(self, signals: Rows, slopes: Rows) -> Rows:
        return np.asarray(slopes * (signals > 0))


class Stage:
    """What follows a convolution: normalisation, ReLU and pooling, in the order of `Convolution`.

    Parameters
    ----------
    stage : the convolution.
    shape : of its images, before pooling.
    statistics : of batch normalisation; None without.
    """

    def __init__(self, stage: Convolution, shape: Shape, statistics: Statistics) -> None:
        self.stage, self.shape, self._statistics = stage, shape, statistics
        channel = np.arange(shape[0])
        self._near = (np.abs(channel[:, None] - channel) <= REACH).astype(np.float64)

    def forward(self, signals: Rows) -> Images:
        """The images that come out."""
        return self._stages(signals)[-1]

    def backward(self, signals: Rows, slopes: Images) -> Rows:
        """Derivatives by the signals, from those by the images."""
        stage, (positive, normal, pooled, _) = self.stage, self._stages(signals)
        if stage.normalise == "pooled-response":
            slopes = self._response_back(pooled, slopes)
        if stage.pool:
            slopes = self._pool_back(normal, pooled, slopes)
        if stage.normalise == "response":
            slopes = self._response_back(positive, slopes)
        slopes = slopes * (positive > 0)
        if self._statistics is not None:
            slopes = slopes * self._factor(slopes.dtype)
        return slopes.reshape(-1, self.shape[0])

    def _stages(self, signals: Rows) -> tuple[Images, Images, Images, Images]:
        """After ReLU, after what normalises before pooling, after pooling, and at the end."""
        channels, height, width = self.shape
        image = signals.reshape(-1, height, width, channels)
        if self._statistics is not None:
            image = (image - self._statistics[0].astype(image.dtype)) * self._factor(image.dtype)
        positive = np.maximum(image, 0.0)
        normal = self._response(positive) if self.stage.normalise == "response" else positive
        pooled = self._pool(normal) if self.stage.pool else normal
        return positive, normal, pooled, self._response(pooled) if self.stage.normalise == "pooled-response" else pooled

    def _factor(self, dtype: Any) -> Float[np.ndarray, " channels"]:
        assert self._statistics is not None
        factor: np.ndarray = (1.0 / np.sqrt(self._statistics[1] + BATCH_EPSILON)).astype(dtype)
        return factor

    def _response(self, image: Images) -> Images:
        return np.asarray(image * self._norm(image) ** -BETA)

    def _norm(self, image: Images) -> Images:
        norm: Images = 1.0 + ALPHA * (np.square(image) @ self._near.astype(image.dtype))
        return norm

    def _response_back(self, image: Images, slopes: Images) -> Images:
        norm = self._norm(image)
        others = (slopes * image * norm ** (-BETA - 1.0)) @ self._near.astype(image.dtype)
        return np.asarray(slopes * norm**-BETA - 2.0 * ALPHA * BETA * image * others)

    def _windows(self, image: Images, fill: float) -> Iterator[tuple[Images, Any]]:
        """For each pixel of a window, those of all windows, and where they are in the padded image."""
        size, stride = self.stage.pool, self.stage.pool_stride or self.stage.pool
        tall, wide = (self.stage.pooled(side) for side in image.shape[1:3])
        beyond = [
            max(0, (n - 1) * stride + size - side) for n, side in zip((tall, wide), image.shape[1:3], strict=True)
        ]
        if any(beyond):
            image = np.pad(image, ((0, 0), (0, beyond[0]), (0, beyond[1]), (0, 0)), constant_values=fill)
        for y in range(size):
            for x in range(size):
                at = np.s_[:, y : y + (tall - 1) * stride + 1 : stride, x : x + (wide - 1) * stride + 1 : stride]
                yield image[at], at

    def _counts(self, image: Images) -> Images:
        """How many pixels each window holds."""
        ones = np.ones((1, *image.shape[1:3], 1), image.dtype)
        return np.asarray(np.sum([part for part, _ in self._windows(ones, 0.0)], axis=0))

    def _pool(self, image: Images) -> Images:
        parts = (part for part, _ in self._windows(image, 0.0 if self.stage.average else -np.inf))
        found = next(parts).copy()
        for part in parts:
            (np.add if self.stage.average else np.maximum)(found, part, out=found)
        return found / self._counts(image) if self.stage.average else found

    def _pool_back(self, image: Images, pooled: Images, slopes: Images) -> Images:
        if self.stage.average:
            slopes = slopes / self._counts(image)
        left = np.ones(pooled.shape, bool)  # windows whose largest pixel is still to come: of equal ones the first
        found = np.zeros_like(image)
        for part, at in self._windows(image, 0.0 if self.stage.average else -np.inf):
            own = left & (part == pooled) if not self.stage.average else left
            into = found[at]  # less than the windows where they reach beyond the image
            into += np.where(own, slopes, 0.0)[:, : into.shape[1], : into.shape[2]]
            if not self.stage.average:
                left &= ~own
        return found


Before = tuple[Convolution, Shape, Statistics] | None


class Imaged(Link):
    """What reads images, those of a stage or the network's inputs.

    Parameters
    ----------
    shape : of the images.
    before : the stage that makes them; None where they are the network's inputs.
    """

    def __init__(self, shape: Shape, before: Before) -> None:
        self.shape, self._stage = shape, None if before is None else Stage(*before)

    def images(self, signals: Rows) -> Images:
        """The images that signals, or the network's inputs, become."""
        if self._stage is not None:
            return self._stage.forward(signals)
        return signals.reshape(-1, *self.shape).transpose(0, 2, 3, 1)

    def to_signals(self, signals: Rows, slopes: Images) -> Rows:
        """Derivatives by the signals, from those by the images."""
        assert self._stage is not None
        return self._stage.backward(signals, slopes)


class Patches(Imaged):
    """What a filter sees at every place: the pixels of a square in the order channel, row, column."""

    def __init__(self, shape: Shape, before: Before, size: int, padding: int) -> None:
        super().__init__(shape, before)
        self._size, self._padding = size, padding
        self._sides = [side + 2 * padding - size + 1 for side in shape[1:]]
        self.places = self._sides[0] * self._sides[1]

    def forward(self, signals: Rows) -> Rows:
        pad, image = self._padding, self.images(signals)
        if pad:
            image = np.pad(image, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        seen = np.lib.stride_tricks.sliding_window_view(image, (self._size, self._size), axis=(1, 2))
        return seen.reshape(len(image) * self.places, -1)

    def backward(self, signals: Rows, slopes: Rows) -> Rows:
        size, pad, (channels, height, width) = self._size, self._padding, self.shape
        tall, wide = self._sides
        seen = slopes.reshape(-1, tall, wide, channels, size, size)
        image = np.zeros((len(seen), height + 2 * pad, width + 2 * pad, channels), slopes.dtype)
        for y in range(size):
            for x in range(size):
                image[:, y : y + tall, x : x + wide] += seen[..., y, x]
        return self.to_signals(signals, image[:, pad : pad + height, pad : pad + width])


class Flatten(Imaged):
    """A whole image for the first fully connected layer, in the order channel, row, column."""

    places = 1

    def forward(self, signals: Rows) -> Rows:
        image = self.images(signals).transpose(0, 3, 1, 2)
        return image.reshape(len(image), -1)

    def backward(self, signals: Rows, slopes: Rows) -> Rows:
        return self.to_signals(signals, slopes.reshape(-1, *self.shape).transpose(0, 2, 3, 1))
