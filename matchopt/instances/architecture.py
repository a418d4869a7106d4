"""Which network a list of weight matrices makes: fully connected, convolutional or recurrent; pure data.

A matrix row is one neuron: a unit, a filter that is moved over an image, or a gate of a recurrent cell. Weights are
mapped row by row whatever the architecture; it only says what a row listens to and what becomes of its output.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from matchopt.errors import InvalidInstance
from matchopt.instances.demands import PLAIN, asks
from matchopt.parts import Json, exact_keys, field_values

MAX_SIZE = 2**24  # of any whole number here: files cannot announce sizes that overflow products of a few of them

Normalisation = Literal["none", "batch", "response", "pooled-response"]
NORMALISATIONS: tuple[Normalisation, ...] = ("none", "batch", "response", "pooled-response")
Readout = Literal["last", "mean", "every"]
READOUTS: tuple[Readout, ...] = ("last", "mean", "every")


class Architecture(ABC):
    """Shapes of the weight matrices and how a sample runs through them; every matrix has one bias per row."""

    kind: ClassVar[str]

    @property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`; an architecture other than the fully connected one demands its kind."""
        return asks(self.kind, True)

    @property
    @abstractmethod
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of every weight matrix, in order."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """A short name for every matrix, such as "conv1"."""

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

    @abstractmethod
    def facts(self) -> dict[str, Json]:
        """The architecture as JSON; `architecture_from` reads it."""


@dataclass(frozen=True)
class FullyConnected(Architecture):
    """Layers of units, each connected to the whole layer before, ReLU between layers.

    Parameters
    ----------
    widths : units of each layer, inputs first and classes last, at least two, each >= 0.
    """

    kind = "fully-connected"

    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", _sizes(self.widths, "widths", least=0))
        if len(self.widths) < 2:
            raise InvalidInstance(f"architecture.widths must be at least two numbers, found {self.widths}")

    @property
    def demands(self) -> frozenset[str]:
        """See `Architecture.demands`."""
        return PLAIN

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """See `Architecture.matrices`."""
        return tuple((after, before) for before, after in pairwise(self.widths))

    @property
    def names(self) -> tuple[str, ...]:
        """See `Architecture.names`."""
        return tuple(f"fc{n}" for n in range(1, len(self.widths)))

    @property
    def n_inputs(self) -> int:
        """See `Architecture.n_inputs`."""
        return self.widths[0]

    @property
    def n_classes(self) -> int:
        """See `Architecture.n_classes`."""
        return self.widths[-1]

    @property
    def activity(self) -> int:
        """See `Architecture.activity`."""
        return max(self.widths)

    def facts(self) -> dict[str, Json]:
        """See `Architecture.facts`."""
        return {"kind": self.kind, "widths": list(self.widths)}


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

    filters: int
    size: int
    padding: int = 0
    pool: int = 0
    pool_stride: int = 0
    normalise: Normalisation = "none"
    average: bool = False
    overhang: bool = False

    def __post_init__(self) -> None:
        for name, least in (("filters", 1), ("size", 1), ("padding", 0), ("pool", 0), ("pool_stride", 0)):
            _size(getattr(self, name), f"convolutions.{name}", least)
        if self.padding >= self.size:
            raise InvalidInstance(f"architecture.convolutions.padding must be below the size, found {self.padding}")
        if self.normalise not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise InvalidInstance(f"architecture.convolutions.normalise must be one of {known}, "
                                  f"found {self.normalise!r}")  # fmt: skip
        for name in ("average", "overhang"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInstance(f"architecture.convolutions.{name} must be true or false, "
                                      f"found {getattr(self, name)!r}")  # fmt: skip

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

    image: tuple[int, int, int]
    convolutions: tuple[Convolution, ...]
    hidden: tuple[int, ...] = ()
    n_classes: int = 10
    dropout: float = 0.0

    def __post_init__(self) -> None:
        image = _sizes(self.image, "image", least=1)
        if len(image) != 3:
            raise InvalidInstance(f"architecture.image must be channels, height and width, found {image}")
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "hidden", _sizes(self.hidden, "hidden", least=1))
        object.__setattr__(self, "convolutions", tuple(self.convolutions))
        if not self.convolutions or not all(isinstance(stage, Convolution) for stage in self.convolutions):
            raise InvalidInstance("architecture.convolutions must be one or more convolutions")
        _size(self.n_classes, "n_classes", 1)
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise InvalidInstance(f"architecture.dropout must be in 0 .. 1, 1 excluded, found {self.dropout!r}")
        object.__setattr__(self, "dropout", float(self.dropout))
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
    def names(self) -> tuple[str, ...]:
        """See `Architecture.names`."""
        filters = [f"conv{n}" for n in range(1, len(self.convolutions) + 1)]
        return (*filters, *(f"fc{n}" for n in range(1, len(self.hidden) + 2)))

    @property
    def n_inputs(self) -> int:
        """See `Architecture.n_inputs`."""
        return self.image[0] * self.image[1] * self.image[2]

    @property
    def activity(self) -> int:
        """See `Architecture.activity`."""
        return max(self.n_inputs, *self.hidden, *(c * h * w for (c, h, w), _ in self.stages()))

    @property
    def buffers(self) -> dict[str, tuple[int, ...]]:
        """See `Architecture.buffers`: running mean and variance of every batch-normalised convolution."""
        normalised = [(n, stage) for n, stage in enumerate(self.convolutions) if stage.normalise == "batch"]
        return {f"{name}.{n}": (stage.filters,) for n, stage in normalised for name in ("mean", "variance")}

    def facts(self) -> dict[str, Json]:
        """See `Architecture.facts`."""
        facts: dict[str, Json] = {"kind": self.kind, **field_values(self)}
        return facts | {
            "image": list(self.image),
            "hidden": list(self.hidden),
            "convolutions": [field_values(stage) for stage in self.convolutions],
        }


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

    n_features: int
    frames: int
    hidden: int
    n_classes: int
    readout: Readout = "last"

    def __post_init__(self) -> None:
        for name in ("n_features", "frames", "hidden", "n_classes"):
            _size(getattr(self, name), name, 1)
        if self.readout not in READOUTS:
            raise InvalidInstance(f"architecture.readout must be last, mean or every, found {self.readout!r}")

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """See `Architecture.matrices`."""
        return ((4 * self.hidden, self.n_features + self.hidden), (self.n_classes, self.hidden))

    @property
    def names(self) -> tuple[str, ...]:
        """See `Architecture.names`."""
        return ("gates", "fc1")

    @property
    def n_inputs(self) -> int:
        """See `Architecture.n_inputs`."""
        return self.frames * self.n_features

    @property
    def activity(self) -> int:
        """See `Architecture.activity`."""
        return self.frames * (self.n_features + 5 * self.hidden)

    def facts(self) -> dict[str, Json]:
        """See `Architecture.facts`."""
        return {"kind": self.kind, **field_values(self)}


def architecture_from(facts: Any) -> Architecture:
    """Rebuild an architecture from its `facts()`.

    Raises
    ------
    InvalidInstance
        naming the field that is missing, unknown or out of range.
    """
    if not isinstance(facts, Mapping):
        raise InvalidInstance(f"architecture must be an object, found {facts!r}")
    kinds: dict[str, Any] = {cls.kind: cls for cls in (FullyConnected, Convolutional, Recurrent)}
    kind = facts.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise InvalidInstance(f"architecture.kind must be one of {', '.join(kinds)}, found {kind!r}")
    made = kinds[kind]
    exact_keys(facts, {"kind", *made.__dataclass_fields__}, set(), "architecture", InvalidInstance)
    fields = {name: value for name, value in facts.items() if name != "kind"}
    if made is Convolutional:
        stages = fields["convolutions"]
        if not isinstance(stages, list) or not all(isinstance(stage, Mapping) for stage in stages):
            raise InvalidInstance(f"architecture.convolutions must be a list of objects, found {stages!r}")
        for number, stage in enumerate(stages):
            known = set(Convolution.__dataclass_fields__)
            exact_keys(stage, known, set(), f"architecture.convolutions.{number}", InvalidInstance)
        fields["convolutions"] = tuple(Convolution(**stage) for stage in stages)
    found: Architecture = made(**fields)
    return found


def _size(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SIZE:
        raise InvalidInstance(f"architecture.{name} must be a whole number in {least} .. {MAX_SIZE}, found {value!r}")
    return value


def _sizes(values: Any, name: str, least: int) -> tuple[int, ...]:
    if not isinstance(values, list | tuple):
        raise InvalidInstance(f"architecture.{name} must be a list of whole numbers, found {values!r}")
    return tuple(_size(value, name, least) for value in values)
