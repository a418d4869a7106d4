"""One run of a network of any architecture, layer by layer, forwards and backwards.

A layer is a matrix product on what it receives: one row for each sample and place. A place is one of an image that a
filter is moved over, or a frame of a sequence; fully connected layers have one. What happens between two layers (ReLU,
pooling, normalisation, the arithmetic of a recurrent cell) is digital and exact.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.instances.architecture import Architecture, Convolutional, FullyConnected
from matchopt.instances.architecture_fit import Buffers
from matchopt.instances.convolution import Flatten, Link, Patches, ReLU
from matchopt.instances.recurrence import Cells
from matchopt.instances.samples import CHUNK

Rows = Float[np.ndarray, "_ _"]
Biases = Sequence[Float[np.ndarray, " rows"]] | None
NUMBERS = 2**22  # at a time in one array, where samples have many places: 32 MiB in double precision


class Pass(ABC):
    """How signals run through an architecture; made once, used for any weights.

    Parameters
    ----------
    architecture : which network it is.
    buffers : running statistics of batch normalisation, by name.

    Attributes
    ----------
    places : rows for each sample of what each layer receives, and of its signals.
    answers : places of the last layer whose mean answers for a sample; 1 where each place gives an answer of its own.
    """

    places: tuple[int, ...]
    answers: int = 1

    def __init__(self, architecture: Architecture, buffers: Buffers) -> None:
        self.architecture, self.buffers = architecture, buffers

    @property
    def step(self) -> int:
        """Samples to run at a time, so that memory is bounded however many there are."""
        if self.plain:
            return CHUNK
        sizes = zip(self.places, self.architecture.matrices, strict=True)
        widest = max(places * max(shape) for places, shape in sizes)
        return max(1, min(CHUNK, NUMBERS // max(1, widest)))

    @property
    def plain(self) -> bool:
        """Whether every layer has one place."""
        return isinstance(self.architecture, FullyConnected)

    def chunks(self, samples: int) -> Iterator[slice]:
        """Slices of at most `step` samples that cover all of them, in order."""
        step = self.step
        return (slice(start, min(start + step, samples)) for start in range(0, samples, step))

    @abstractmethod
    def run(self, matrices: Sequence[Any], biases: Biases, inputs: Rows, first: int = 0) -> Iterator[tuple[Rows, Rows]]:
        """What every layer receives, and its signals (pre-activations), in the type of `inputs`.

        Parameters
        ----------
        matrices : of every layer, dense or compressed rows.
        biases : digital biases of each layer; None where the last input of every layer is the constant 1, which is
            then appended to what the layer receives.
        inputs : of the network, without the constant 1; or the signals of layer `first` - 1.
        first : the layer to begin with; earlier ones are not run.
        """

    @abstractmethod
    def received(self, n: int, before: Rows, matrices: Sequence[Any], biases: Biases) -> Rows:
        """What layer n receives, given the signals of the layer before (the network's inputs, for layer 0)."""

    def hears_itself(self, n: int) -> bool:
        """Whether what layer n receives depends on its own weights."""
        del n
        return False

    @abstractmethod
    def backward(
        self, matrices: Sequence[Any], trace: Sequence[tuple[Rows, Rows]], slopes: Sequence[Any], first: int = 0
    ) -> list[Any]:
        """Derivatives of a loss by the signals of every layer.

        Parameters
        ----------
        matrices : as in `run`, dense.
        trace : what `run` gave, from layer 0 on; of layers before `first` anything.
        slopes : derivatives of the loss by each layer's signals as far as it reads them itself; None for not at all.
        first : the layer to end with; of earlier ones None is returned.
        """

    def shift(self, n: int) -> Float[np.ndarray, " rows"] | float:
        """What layer n's signals are compared with by what follows, such as a mean of batch normalisation."""
        del n
        return 0.0

    def homogeneous(self, n: int) -> bool:
        """Whether a positive factor on layer n's signals (less their shift) comes out as it went in."""
        del n
        return True

    def answered(self, signals: Rows) -> Rows:
        """One row for each answer, from the signals of the last layer."""
        if self.answers == 1:
            return signals
        mean: Rows = signals.reshape(-1, self.answers, signals.shape[1]).mean(axis=1)
        return mean

    def of_answers(self, slopes: Rows) -> Rows:
        """Derivatives by the signals of the last layer, from those by the answers."""
        return slopes if self.answers == 1 else np.repeat(slopes / self.answers, self.answers, axis=0)


class Chain(Pass):
    """Layers one after the other: fully connected ones, or convolutions before them."""

    def __init__(self, architecture: Architecture, buffers: Buffers) -> None:
        super().__init__(architecture, buffers)
        links: list[Link] = [ReLU()] * len(architecture.matrices)
        if isinstance(architecture, Convolutional):
            links[: len(architecture.convolutions) + 1] = _links(architecture, buffers)
        self._links = links
        self.places = tuple(link.places for link in links)

    def run(self, matrices: Sequence[Any], biases: Biases, inputs: Rows, first: int = 0) -> Iterator[tuple[Rows, Rows]]:
        signals = inputs
        for n in range(first, len(matrices)):
            received = self.received(n, signals, matrices, biases)
            signals = times(received, matrices[n])
            if biases is not None:
                signals += biases[n]
            yield received, signals

    def received(self, n: int, before: Rows, matrices: Sequence[Any], biases: Biases) -> Rows:
        found = before if n == 0 and self.plain else self._links[n].forward(before)
        return with_constant(found) if biases is None else found

    def backward(
        self, matrices: Sequence[Any], trace: Sequence[tuple[Rows, Rows]], slopes: Sequence[Any], first: int = 0
    ) -> list[Any]:
        found: list[Any] = [slopes[-1]]
        for n in range(len(matrices) - 1, first, -1):
            received = found[0] @ matrices[n]
            if received.shape[1] > self.architecture.matrices[n][1]:  # the constant
                received = received[:, :-1]
            slope = self._links[n].backward(trace[n - 1][1], received)
            found.insert(0, slope if slopes[n - 1] is None else slope + slopes[n - 1])
        return [None] * first + found

    def shift(self, n: int) -> Float[np.ndarray, " rows"] | float:
        mean: np.ndarray | None = self.buffers.get(f"mean.{n}")
        return 0.0 if mean is None else mean

    def homogeneous(self, n: int) -> bool:
        net = self.architecture
        stages = net.convolutions if isinstance(net, Convolutional) else ()
        return n >= len(stages) or stages[n].normalise in ("none", "batch")


class Recurrence(Pass):
    """A layer of recurrent cells over frames, and an output layer."""

    def __init__(self, architecture: Any, buffers: Buffers) -> None:
        super().__init__(architecture, buffers)
        last = architecture.readout == "last"
        self._cells = Cells(architecture.frames, architecture.n_features, architecture.hidden)
        self.places = (architecture.frames, 1 if last else architecture.frames)
        self.answers = architecture.frames if architecture.readout == "mean" else 1

    def run(self, matrices: Sequence[Any], biases: Biases, inputs: Rows, first: int = 0) -> Iterator[tuple[Rows, Rows]]:
        signals = inputs
        if first == 0:
            bias = None if biases is None else biases[0]
            received, signals = self._cells.run(matrices[0], bias, inputs)
            yield received, signals
        if first <= 1:
            received = self.received(1, signals, matrices, biases)
            signals = times(received, matrices[1])
            if biases is not None:
                signals += biases[1]
            yield received, signals

    def received(self, n: int, before: Rows, matrices: Sequence[Any], biases: Biases) -> Rows:
        if n == 0:
            return self._cells.run(matrices[0], None if biases is None else biases[0], before)[0]
        found = self._cells.outputs(before, every=self.places[1] > 1)
        return with_constant(found) if biases is None else found

    def hears_itself(self, n: int) -> bool:
        return n == 0

    def backward(
        self, matrices: Sequence[Any], trace: Sequence[tuple[Rows, Rows]], slopes: Sequence[Any], first: int = 0
    ) -> list[Any]:
        net = self._cells
        if first == 1:
            return [None, slopes[1]]
        by_outputs = slopes[1] @ matrices[1][:, : net.hidden]
        back = matrices[0][:, net.features : net.features + net.hidden]
        return [net.backward(trace[0][1], back, by_outputs, slopes[0]), slopes[1]]

    def homogeneous(self, n: int) -> bool:
        return n > 0


def pass_of(architecture: Architecture, buffers: Buffers) -> Pass:
    """How signals run through this architecture."""
    chained = isinstance(architecture, FullyConnected | Convolutional)
    return Chain(architecture, buffers) if chained else Recurrence(architecture, buffers)


def times(received: Rows, matrix: Any) -> Rows:
    """The sums that a layer's matrix, dense or of compressed rows, forms of what it receives."""
    if isinstance(matrix, np.ndarray):
        dense: Rows = received @ matrix.T
        return dense
    sparse: Rows = (matrix @ np.ascontiguousarray(received.T)).T
    return sparse


def with_constant(received: Rows) -> Rows:
    """What a layer with hardware biases receives: the same and an input that is always 1."""
    return np.column_stack([received, np.ones(len(received), received.dtype)])


def _links(architecture: Convolutional, buffers: Buffers) -> list[Link]:
    """What leads to each convolution, and to the first fully connected layer."""
    shape, before = architecture.image, None
    links: list[Link] = []
    for n, (stage, (made, pooled)) in enumerate(zip(architecture.convolutions, architecture.stages(), strict=True)):
        links.append(Patches(shape, before, stage.size, stage.padding))
        statistics = (buffers[f"mean.{n}"], buffers[f"variance.{n}"]) if stage.normalise == "batch" else None
        shape, before = pooled, (stage, made, statistics)
    return [*links, Flatten(shape, before)]
