"""Which network a list of weight matrices makes: fully connected, convolutional or recurrent; pure data.

A matrix row is one neuron: a unit, a filter that is moved over an image, or a gate of a recurrent cell. Weights are
mapped row by row whatever the architecture; it only says what a row listens to and what becomes of its output.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, Lt, MinLen

from matchopt.errors import InvalidInstance
from matchopt.instances.demands import PLAIN, asks
from matchopt.parts import Json, field_values
from matchopt.settings import check_fields, read_object

# Bounded: files cannot announce sizes that overflow products of a few of them.
Size = Annotated[int, Ge(1), Le(2**24)]
SizeOrNone = Annotated[int, Ge(0), Le(2**24)]
Normalisation = Literal["none", "batch", "response", "pooled-response"]
Readout = Literal["last", "mean", "every"]


class Architecture(ABC):
    """Shapes of the weight matrices and how a sample runs through them; every matrix has one bias per row."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_fields(self, "architecture", InvalidInstance)

    @property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`; an architecture other than the fully connected one demands its kind."""
        return asks(self.kind, True)

    @property
    @abstractmethod
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of every weight matrix, in order."""

    @property
    def tensors(self) -> tuple[tuple[int, ...], ...]:
        """Dimensions of every weight matrix, the channels and sides of filters apart."""
        return self.matrices

    @property
    @abstractmethod
    def n_inputs(self) -> int:
        """Length of one flattened sample."""

    if TYPE_CHECKING:  # a field of some architectures, computed by others

        @property
        def n_classes(self) -> int:
            """Number of outputs."""

    @property
    def n_weights(self) -> int:
        """Weights of all matrices, biases not counted."""
        return sum(rows * cols for rows, cols in self.matrices)

    @property
    @abstractmethod
    def activity(self) -> int:
        """Most numbers that one sample takes at any stage; what a batch costs in memory."""

    @property
    def buffers(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the numbers that are neither weights nor biases and are not trained: running statistics."""
        return {}

    def facts(self) -> dict[str, Json]:
        """The architecture as JSON; `architecture_from` reads it."""
        values = field_values(self).items()
        return {"kind": self.kind} | {name: list(x) if isinstance(x, tuple) else x for name, x in values}


@dataclass(frozen=True)
class FullyConnected(Architecture):
    """Layers of units, each connected to the whole layer before, ReLU between layers.

    Parameters
    ----------
    widths : units of each layer, inputs first and classes last, at least two, each >= 0.
    """

    kind = "fully-connected"

    widths: Annotated[tuple[SizeOrNone, ...], MinLen(2)]

    @property
    def demands(self) -> frozenset[str]:
        return PLAIN

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        return tuple((after, before) for before, after in pairwise(self.widths))

    @property
    def n_inputs(self) -> int:
        return self.widths[0]

    @property
    def n_classes(self) -> int:
        """See `Architecture.n_classes`."""
        return self.widths[-1]

    @property
    def activity(self) -> int:
        return max(self.widths)


@dataclass(frozen=True)
class Convolution:
    """One convolution with bias, ReLU, and what follows it before the next.

    The order is: convolution, batch normalisation, ReLU, response normalisation, pooling, or with "pooled-response"
    pooling before response normalisation.

    Parameters
    ----------
    filters : number of filters, >= 1; each is one neuron.
    size : side of a filter, pixels, >= 1.
    padding : zeros put around the image, pixels, 0 .. size - 1.
    pool : side of the pooling window, pixels; 0 for no pooling.
    pool_stride : distance of neighbouring windows, pixels; 0 for windows side by side.
    normalise : "batch" (statistics over the batch in training, running ones otherwise, no scale or shift of its own),
        "response" or "pooled-response" (each value divided by a norm of its neighbours in 9 channels, see
        `matchopt.network.forward`), or "none".
    average : pool by the mean instead of the maximum.
    overhang : whether a last pooling window may reach beyond the image (the rest of it counts), so that no pixel is
        left out; TensorFlow's padding "SAME" for windows of 3 at distance 2 on even sides.
    """

    filters: Size
    size: Size
    padding: SizeOrNone = 0
    pool: SizeOrNone = 0
    pool_stride: SizeOrNone = 0
    normalise: Normalisation = "none"
    average: bool = False
    overhang: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "architecture.convolutions", InvalidInstance)
        if self.padding >= self.size:
            raise InvalidInstance(f"architecture.convolutions: padding must be below the size, found {self.padding}")

    def pooled(self, side: int) -> int:
        """Side of the image after pooling one of this side."""
        if not self.pool:
            return side
        stride, rest = self.pool_stride or self.pool, side - self.pool
        windows = -(-rest // stride) if self.overhang else rest // stride
        if self.overhang and windows * stride >= side:  # a window that begins outside holds nothing
            windows -= 1
        return windows + 1


@dataclass(frozen=True)
class Convolutional(Architecture):
    """Convolutions over an image, then fully connected layers with ReLU between them.

    Parameters
    ----------
    image : channels, height and width of one sample; samples are flattened in this order.
    convolutions : the convolutions in order, at least one.
    hidden : units of the hidden fully connected layers; may be empty.
    n_classes : number of classes.
    dropout : probability, 0 .. 1 (1 excluded), that an input of a hidden fully connected layer is left out in training.

    Raises
    ------
    InvalidInstance
        when a number is out of range or nothing is left of the image.
    """

    kind = "convolutional"

    image: tuple[Size, Size, Size]
    convolutions: Annotated[tuple[Convolution, ...], MinLen(1)]
    hidden: tuple[Size, ...] = ()
    n_classes: Size = 10
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stages()

    def stages(self) -> tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...]:
        """Channels, height and width after each convolution, before and after its pooling."""
        sides = list(self.image[1:])
        sizes = []
        for number, stage in enumerate(self.convolutions):
            before = [side + 2 * stage.padding - stage.size + 1 for side in sides]
            sides = [stage.pooled(side) for side in before]
            if min(before) < max(1, stage.pool) or min(sides) < 1:
                raise InvalidInstance(
                    f"architecture.convolutions.{number}: nothing is left of the image; fewer or smaller convolutions "
                    "or pools are needed"
                )
            sizes.append(((stage.filters, before[0], before[1]), (stage.filters, sides[0], sides[1])))
        return tuple(sizes)

    @property
    def n_flat(self) -> int:
        """Inputs of the first fully connected layer."""
        channels, height, width = self.stages()[-1][1]
        return channels * height * width

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """See `Architecture.matrices`; the columns of a filter are in the order channel, row, column."""
        channels = [self.image[0], *(stage.filters for stage in self.convolutions)]
        filters = [(c.filters, c.size**2 * inputs) for c, inputs in zip(self.convolutions, channels, strict=False)]
        widths = (self.n_flat, *self.hidden, self.n_classes)
        return (*filters, *((after, before) for before, after in pairwise(widths)))

    @property
    def tensors(self) -> tuple[tuple[int, ...], ...]:
        """See `Architecture.tensors`: filters, channels, height and width of a filter."""
        filters = zip(self.convolutions, self.matrices, strict=False)
        of = [(c.filters, columns // c.size**2, c.size, c.size) for c, (_, columns) in filters]
        return (*of, *self.matrices[len(of) :])

    @property
    def n_inputs(self) -> int:
        return self.image[0] * self.image[1] * self.image[2]

    @property
    def activity(self) -> int:
        return max(self.n_inputs, *self.hidden, *(c * h * w for (c, h, w), _ in self.stages()))

    @property
    def buffers(self) -> dict[str, tuple[int, ...]]:
        """See `Architecture.buffers`: running mean and variance of every batch-normalised convolution."""
        normalised = [(n, stage) for n, stage in enumerate(self.convolutions) if stage.normalise == "batch"]
        return {f"{name}.{n}": (stage.filters,) for n, stage in normalised for name in ("mean", "variance")}

    def facts(self) -> dict[str, Json]:
        return super().facts() | {"convolutions": [field_values(stage) for stage in self.convolutions]}


@dataclass(frozen=True)
class Recurrent(Architecture):
    """One layer of long short-term memory cells over a sequence of frames, and an output layer.

    The first matrix holds the gates, 4 * hidden rows: input, forget, candidate and output gate of all cells (PyTorch's
    order); its columns are the frame's features, then the cells' own outputs one frame earlier.

    Parameters
    ----------
    n_features : numbers per frame, >= 1.
    frames : frames per sample, >= 1; samples are flattened frame by frame.
    hidden : number of cells, >= 1.
    n_classes : number of classes, >= 1.
    readout : "last": the output layer reads the cells after the last frame; "mean": after every frame, and its outputs
        are averaged; "every": after every frame, and there is one answer per frame.

    References
    ----------
    Hochreiter and Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000 (forget gate).
    """

    kind = "recurrent"

    n_features: Size
    frames: Size
    hidden: Size
    n_classes: Size
    readout: Readout = "last"

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        return ((4 * self.hidden, self.n_features + self.hidden), (self.n_classes, self.hidden))

    @property
    def n_inputs(self) -> int:
        return self.frames * self.n_features

    @property
    def activity(self) -> int:
        return self.frames * (self.n_features + 5 * self.hidden)


def architecture_from(facts: Any) -> Architecture:
    """Rebuild an architecture from its `facts()`.

    Raises InvalidInstance naming the field that is missing, unknown or out of range.
    """
    if not isinstance(facts, Mapping):
        raise InvalidInstance(f"architecture must be an object, found {facts!r}")
    kinds: dict[str, Any] = {cls.kind: cls for cls in (FullyConnected, Convolutional, Recurrent)}
    kind = facts.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise InvalidInstance(f"architecture.kind must be one of {', '.join(kinds)}, found {kind!r}")
    given = {name: value for name, value in facts.items() if name != "kind"}
    found: Architecture = read_object(kinds[kind], given, "architecture", InvalidInstance)
    return found
