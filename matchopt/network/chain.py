"""Operations that follow each other, made into a network: exactly what they compute, or a sentence that names one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture, Convolution, Convolutional, FullyConnected, Recurrent
from matchopt.network.sparse_network import MAX_WEIGHTS, SparseNetwork, TrainingRecord
from matchopt.network.steps import WHOLE, Conv, Linear, Lstm, Pool, Read, Relu, Scale, Step, View
from matchopt.parts import Json

MAX_SAMPLE = 2**24  # numbers of one sample: what an `Architecture` admits
Fail = Callable[[str], Exception]
Vectors = tuple[np.ndarray, np.ndarray]


def network_of(steps: Sequence[Step], shape: tuple[int, ...], fail: Fail, notes: Sequence[str] = ()) -> SparseNetwork:
    """The network that these steps are.

    Scales and shifts (batch normalisation) are multiplied into the layer before or behind them wherever that changes
    nothing; every other step must have its place in a `FullyConnected`, `Convolutional` or `Recurrent` architecture. A
    weight of zero is no connection.

    Parameters
    ----------
    steps : in order.
    shape : of one sample; () where the first linear layer tells.
    fail : makes the error to raise from a sentence.
    notes : what was done already, for the record.

    Raises
    ------
    Exception
        made by `fail`, naming the step that has no place.
    """
    if prod(shape) > MAX_SAMPLE or min(shape, default=1) < 1:
        raise fail(f"samples of shape {shape} are not read; 1 to {MAX_SAMPLE} numbers are")
    chain = _Chain(shape, fail, list(notes))
    for step in steps:
        chain.take(step)
    try:
        architecture = chain.architecture()
        config: dict[str, Json] = {"names": list(chain.names)} | ({"notes": list(chain.notes)} if chain.notes else {})
        matrices = [weight.reshape(len(weight), -1) for weight in chain.weights]
        return SparseNetwork.from_arrays(
            matrices, chain.biases, record=TrainingRecord(config=config), architecture=architecture
        )
    except InvalidInstance as cause:
        raise fail(str(cause)) from None


@dataclass
class _Chain:
    """The network so far, and the signal's shape behind it."""

    shape: tuple[int, ...]
    fail: Fail
    notes: list[str]
    names: list[str] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    biases: list[np.ndarray] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)
    input_shape: tuple[int, ...] | None = None
    readout: str = ""
    open: bool = False  # sums of the last layer that have not passed a ReLU
    pooled: str = ""  # what pooled them meanwhile
    pending: tuple[Scale, Vectors] | None = None  # on its way to the next layer

    def take(self, step: Step) -> None:
        """Add one step."""
        handlers: dict[type, Callable[[Any], None]] = {
            **{Linear: self._linear, Conv: self._conv, Scale: self._scale, Relu: self._relu},
            **{Pool: self._pool, View: self._view, Lstm: self._lstm, Read: self._read},
        }
        handlers[type(step)](step)

    def architecture(self) -> Architecture:
        """What it is; raises where it ends too early."""
        if not self.weights:
            raise self.fail("no linear layer, so there is no network")
        if self.pending is not None:
            raise self._stuck("no layer follows that it could be multiplied into")
        if not self.open or (self.stages and len(self.weights) == len(self.stages)):
            raise self.fail(f"the network must end in a linear layer without a ReLU, {self.names[-1]!r} is its last; "
                            "leave out what follows, or add the output layer")  # fmt: skip
        widths = [len(weight) for weight in self.weights]
        start = self.input_shape or ()
        if self.readout:
            return Recurrent(start[1], start[0], widths[0] // 4, widths[-1], self.readout)  # type: ignore[arg-type]
        if not self.stages:
            return FullyConnected((self.weights[0].shape[1], *widths))
        hidden = tuple(widths[len(self.stages) : -1])
        stages = tuple(Convolution(**stage) for stage in self.stages)
        return Convolutional((start[0], start[1], start[2]), stages, hidden, widths[-1])

    # -- layers --

    def _linear(self, step: Linear) -> None:
        units, inputs = step.weight.shape
        if not self.shape:
            self.shape = (inputs,)
        if self.readout == "every" and len(self.shape) == 2:
            self.shape = self.shape[1:]
        if len(self.shape) > 1 and not self.weights and prod(self.shape) == inputs:
            self.shape = (inputs,)  # samples are flattened anyway
        if self.shape != (inputs,):
            advice = "; flatten the signal first" if len(self.shape) > 1 else ""
            raise self.fail(f"{step.name!r} takes {inputs} inputs, and gets a signal of shape {self.shape}{advice}")
        weight, bias = self._absorbed(step.weight.astype(np.float64), step.bias.astype(np.float64), 0)
        self._add(step, weight, bias)
        self.shape = (units,)

    def _conv(self, step: Conv) -> None:
        filters, channels, high, wide = step.weight.shape
        if len(self.weights) > len(self.stages):
            raise self.fail(f"the convolution {step.name!r} follows a linear layer; convolutions come first")
        if len(self.shape) != 3 or self.shape[0] != channels:
            raise self.fail(f"the convolution {step.name!r} takes images of {channels} channels (shape (channels, "
                            f"height, width)), and gets a signal of shape {self.shape or 'unknown'}")  # fmt: skip
        if high != wide:
            raise self.fail(
                f"the convolution {step.name!r} has filters of {high} x {wide}; only square ones are mapped"
            )
        weight, bias = self._absorbed(step.weight.astype(np.float64), step.bias.astype(np.float64), step.padding)
        self._add(step, weight, bias)
        self.stages.append({"filters": filters, "size": high, "padding": step.padding})
        self._measure(step)

    def _add(self, step: Step, weight: np.ndarray, bias: np.ndarray) -> None:
        if self.open:
            raise self.fail(f"no ReLU stands between {self.names[-1]!r} and {step.name!r}; layers that are mapped have "
                            "one between them: multiply two that have none into one")  # fmt: skip
        if sum(map(np.size, self.weights)) + weight.size > MAX_WEIGHTS:
            raise self.fail(f"the weights have more than {MAX_WEIGHTS} entries at {step.name!r}, which are not read")
        if self.input_shape is None:
            self.input_shape = self.shape
        self.names.append(step.name)
        self.weights.append(weight)
        self.biases.append(bias)
        self.open, self.pooled = not self.readout or len(self.weights) > 1, ""

    def _lstm(self, step: Lstm) -> None:
        if self.weights or self.pending is not None:
            raise self.fail(
                f"the LSTM {step.name!r} must come first; one layer of cells and an output layer are mapped"
            )
        if len(self.shape) != 2 or self.shape[1] != step.into.shape[1]:
            found = self.shape or "an unknown one"
            raise self.fail(f"the LSTM {step.name!r} needs samples of fixed shape (frames, {step.into.shape[1]}), and "
                            f"gets {found}; save it with a fixed number of frames")  # fmt: skip
        self.readout, cells = "every", step.back.shape[1]
        self._add(step, np.hstack([step.into, step.back]).astype(np.float64), step.bias.astype(np.float64))
        self.shape = (self.shape[0], cells)

    def _read(self, step: Read) -> None:
        if self.readout != "every" or (step.how == "last" and len(self.weights) > 1):
            raise self.fail(f"{step.name!r} picks or averages frames in a place that is not known here")
        self.readout = step.how
        self.shape = self.shape[-1:]

    # -- what stands between layers --

    def _relu(self, step: Relu) -> None:
        if self.pending is not None:
            raise self._stuck(f"the ReLU {step.name!r} follows it")
        if not self.weights or self.readout:
            raise self.fail(f"the ReLU {step.name!r} has no place: it must follow a linear layer or a convolution")
        if self.open and self.pooled == "average":
            raise self.fail(f"the ReLU {step.name!r} follows average pooling; only the other order is known here")
        self.open = False

    def _pool(self, step: Pool) -> None:
        whole = self.shape[-1] if step.size == WHOLE and len(self.shape) == 3 else step.size
        if not self.stages or len(self.weights) > len(self.stages) or "pool" in self.stages[-1]:
            raise self.fail(f"the pooling {step.name!r} must follow a convolution, one after each at most")
        if step.size == WHOLE and self.shape[1] != self.shape[2]:
            raise self.fail(f"the pooling {step.name!r} is over images of {self.shape[1:]}; only square ones are known")
        if self.pending is not None and not step.average and (self.pending[1][0] < 0).any():
            raise self._stuck(f"the maximum {step.name!r} follows it, and some of its factors are negative")
        self.stages[-1] |= {"pool": whole, "pool_stride": 0 if step.stride in (whole, WHOLE) else step.stride}
        self.stages[-1] |= {"average": step.average, "overhang": step.overhang}
        self.pooled = "average" if step.average else "maximum"
        self._measure(step)

    def _measure(self, step: Step) -> None:
        """The shape behind the last convolution."""
        start = self.input_shape or ()
        try:
            stages = tuple(Convolution(**stage) for stage in self.stages)
            self.shape = Convolutional((start[0], start[1], start[2]), stages).stages()[-1][1]
        except InvalidInstance as cause:
            raise self.fail(f"{step.name!r}: {cause}") from None

    def _view(self, step: View) -> None:
        if not self.shape or (self.shape == step.sizes):
            return
        total, known = prod(self.shape), prod(size for size in step.sizes if size >= 0)
        sizes = tuple(total // max(1, known) if size < 0 else size for size in step.sizes)
        if prod(sizes) != total or sum(size < 0 for size in step.sizes) > 1:
            raise self.fail(f"{step.name!r} makes a signal of shape {self.shape} one of {step.sizes}")
        if self.weights and (len(sizes) > 1 or self.readout):
            raise self.fail(
                f"{step.name!r} gives the signal the shape {sizes}; behind a layer it can only be flattened"
            )
        if self.pending is not None:
            scale, parts = self.pending
            spread = [np.repeat(part, total // len(part)) if len(sizes) == 1 else part for part in parts]
            self.pending = (scale, (spread[0], spread[1]))
        self.shape = sizes

    def _scale(self, step: Scale) -> None:
        count = self.shape[0] if self.shape else max(len(step.scale), len(step.shift))
        if (self.readout and not self.open) or {len(step.scale), len(step.shift)} - {1, count}:
            raise self.fail(f"{step.name!r} scales or shifts by {max(len(step.scale), len(step.shift))} numbers, and "
                            f"the signal has the shape {self.shape}")  # fmt: skip
        if not (np.isfinite(step.scale).all() and np.isfinite(step.shift).all()):
            raise self.fail(f"{step.name!r} scales or shifts by numbers that are not finite")
        self.shape = self.shape or ((count,) if count > 1 else ())
        scale, shift = (np.broadcast_to(np.asarray(part, np.float64), (count,)) for part in (step.scale, step.shift))
        if self.open and self.pending is None and not self.pooled:
            last = self.weights[-1]
            self.weights[-1] = last * scale.reshape(-1, *(1 for _ in last.shape[1:]))
            self.biases[-1] = self.biases[-1] * scale + shift
            self._note(step, f"into {self.names[-1]}, before it")
        elif self.open:
            raise self.fail(f"{step.name!r} stands between a pooling and a ReLU, where it cannot be multiplied into a "
                            "layer; put it directly behind the convolution")  # fmt: skip
        else:
            before = (np.ones(count), np.zeros(count)) if self.pending is None else self.pending[1]
            self.pending = (step, (before[0] * scale, before[1] * scale + shift))

    def _absorbed(self, weight: np.ndarray, bias: np.ndarray, padding: int) -> Vectors:
        """A layer with what is pending multiplied in."""
        if self.pending is None:
            return weight, bias
        step, (scale, shift) = self.pending
        if padding and shift.any():
            raise self._stuck("a convolution with padding follows it, whose zeros it does not shift; subtract it from "
                              "the data (--mean, --std) if it comes first" if not self.weights else
                              "a convolution with padding follows it, whose zeros it does not shift")  # fmt: skip
        self._note(step, "into the layer behind it")
        self.pending = None
        wide = (len(scale), *(1 for _ in weight.shape[2:]))
        shifted: np.ndarray = (weight * shift.reshape(wide)).reshape(len(weight), -1).sum(axis=1)
        return weight * scale.reshape(wide), bias + shifted

    def _note(self, step: Scale, where: str) -> None:
        if (np.asarray(step.scale) != 1.0).any():
            self.notes.append(f"{step.name}: multiplied {where}")

    def _stuck(self, why: str) -> Exception:
        assert self.pending is not None
        return self.fail(f"the normalisation {self.pending[0].name!r} cannot be multiplied into a layer: {why}")
