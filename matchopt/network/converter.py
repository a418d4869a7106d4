"""Output resolution: what analogue-to-digital converters make of the sums of a chip's neurons."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval
from jaxtyping import Float

from matchopt.errors import InvalidInstance, InvalidOption
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.demands import understanding
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network import NetworkInstance, NetworkMapping
from matchopt.instances.passes import times
from matchopt.instances.target import Target
from matchopt.network.realised import UNDERSTOOD, biases_of, one_read
from matchopt.settings import PositiveFloat, check_fields

Matrix = Float[np.ndarray, "_ _"]
ROWS = 5_000  # samples at a time: bounds memory


@dataclass(frozen=True)
class Converter:
    """An analogue-to-digital converter behind every hardware neuron, before its gain and its digital bias.

    B bits give 2^B - 1 levels, evenly spaced from -r to r with 0 among them; sums beyond r saturate.

    Parameters
    ----------
    bits : 2 .. 32.
    ranges : the last level r of each layer, in units of its hardware weights times its inputs, > 0: one for all layers,
        or one each. None: the largest absolute sum on given samples, see `ConvertedNetwork.ranged`.

    Raises
    ------
    InvalidOption
        when a field is out of its range.

    References
    ----------
    The levels are those of IBM/aihwkit (`IOParameters`) where `out_res` is 1 / (2^B - 2) and `out_bound` is r.
    """

    bits: Annotated[int, Interval(ge=2, le=32)]
    ranges: tuple[PositiveFloat, ...] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "converter", InvalidOption)

    def read(self, sums: Matrix, last: float) -> Matrix:
        """The levels nearest to `sums`, from -last to last; all 0 where that is 0."""
        if last == 0.0:
            return np.zeros_like(sums)
        steps = 2 ** (self.bits - 1) - 1
        levels: Matrix = np.rint(np.clip(sums / last, -1.0, 1.0) * steps) * (last / steps)
        return levels


@dataclass(frozen=True, eq=False)
class SummingLayer:
    """A layer whose analogue sums stand apart from what is digital: factors read(sums x) + digital x + biases.

    Parameters
    ----------
    sums : weights of the analogue sums, hardware neurons in use x inputs; the last input is the constant 1 where
        `biases` is None. This and the next two are full, or compressed rows where these are faster.
    factors : what each sum counts in each row, rows x hardware neurons in use.
    digital : weights beside the converter, those that tunable ones serve, rows x inputs.
    biases : digital; None where they are hardware weights.
    converted : whether the sums pass a converter; false for layers that are not on the chip.
    """

    sums: Any
    factors: Any
    digital: Any
    biases: Float[np.ndarray, " rows"] | None
    converted: bool = True

    @classmethod
    def of(
        cls,
        layer: LayerInstance,
        mapping: LayerMapping,
        biases: Float[np.ndarray, " rows"] | None,
        noise: np.random.Generator | None = None,
    ) -> "SummingLayer":
        """The layer that a mapping makes; `noise` as in `matchopt.network.realise`."""
        target, used = layer.target, len(mapping.neuron_of)
        nothing = Target(np.zeros(used + 1, np.int64), np.zeros(0, np.int64), np.zeros(0), target.n_inputs)
        alone = LayerInstance(nothing, layer.hardware)  # a row for every hardware neuron
        none = np.zeros(0, np.int64)
        wires = replace(mapping, row=np.arange(used), gain=np.ones(used), tunable=none, tuned=None)
        places, inputs, weights = one_read(alone, wires, noise)
        e = mapping.tunable
        served = np.isin(target.keys(mapping.row[places], inputs), target.keys(target.row_of[e], target.indices[e]))
        weights[served] = 0.0  # tunable weights take the place of cells
        exact = target.weights[e] if mapping.tuned is None else mapping.tuned
        return cls(
            signals.matrix_of(places, inputs, weights, (used, target.n_inputs)),
            signals.matrix_of(mapping.row, np.arange(used), layer.factors(mapping), (layer.n_rows, used)),
            signals.matrix_of(target.row_of[e], target.indices[e], exact, (layer.n_rows, target.n_inputs)),
            biases,
        )

    @classmethod
    def exact(cls, target: Target, biases: Float[np.ndarray, " rows"]) -> "SummingLayer":
        """A layer that is not on the chip."""
        rows, none, size = np.arange(target.n_rows), np.zeros(0, np.int64), (target.n_rows, target.n_inputs)
        matrix = signals.matrix_of(target.row_of, target.indices, target.weights, size)
        own = signals.matrix_of(rows, rows, np.ones(len(rows)), (len(rows), len(rows)))
        return cls(matrix, own, signals.matrix_of(none, none, np.zeros(0), size), biases, False)

    def run(self, received: Matrix, converter: Converter, last: float | None) -> tuple[Matrix, float]:
        """Pre-activations, and the largest sum before the converter; with `last` of None sums stay exact."""
        if self.biases is None:
            received = np.column_stack([received, np.ones(len(received))])
        sums = times(received, self.sums)
        largest = float(np.abs(sums).max(initial=0.0)) if self.converted else 0.0
        if self.converted and last is not None:
            sums = converter.read(sums, last)
        signal = times(sums, self.factors) + times(received, self.digital)
        return signal if self.biases is None else signal + self.biases, largest


@dataclass(frozen=True, eq=False)
class ConvertedNetwork:
    """A fully connected network, ReLU between layers, whose analogue sums pass converters.

    Parameters
    ----------
    layers : in order.
    converter : of all layers.
    ranges : last level of each layer's converters; None: nothing is converted.
    """

    layers: tuple[SummingLayer, ...]
    converter: Converter
    ranges: tuple[float, ...] | None = None

    def ranged(self, inputs: Matrix) -> "ConvertedNetwork":
        """With the converter's own ranges, or else the largest absolute sums that occur on `inputs` unconverted.

        Raises
        ------
        InvalidOption
            when the converter has neither one range nor as many as layers.
        """
        count, given = len(self.layers), self.converter.ranges
        if given is not None:
            if len(given) not in (1, count):
                raise InvalidOption(f"converter.ranges: give one, or one per layer, {count}, found {len(given)}")
            return replace(self, ranges=given * (count // len(given)))
        starts = range(0, len(inputs), ROWS)
        found = [self._run(inputs[start : start + ROWS], None)[1] for start in starts]
        return replace(self, ranges=tuple(max(part) for part in zip(*found, strict=True)))

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples classes"]:
        """The values before the softmax."""
        return self._run(inputs, self.ranges)[0]

    def _run(self, inputs: Matrix, ranges: tuple[float, ...] | None) -> tuple[Matrix, list[float]]:
        """The same with these ranges, and each layer's largest sum."""
        signal, received, largest = np.zeros((0, 0)), np.asarray(inputs, np.float64), []
        for layer, last in zip(self.layers, ranges or [None] * len(self.layers), strict=True):
            signal, found = layer.run(received, self.converter, last)
            received = np.maximum(signal, 0.0)
            largest.append(found)
        return signal, largest


def converted(
    instance: NetworkInstance,
    mapping: NetworkMapping,
    converter: Converter,
    inputs: Matrix,
    noise: np.random.Generator | None = None,
) -> ConvertedNetwork:
    """The network that `mapping` makes, read by converters; what `matchopt.network.measure` takes.

    Parameters
    ----------
    instance, mapping, noise : see `matchopt.network.realise`.
    converter : of every hardware neuron.
    inputs : samples whose largest sums are the ranges, where the converter has none.

    Raises
    ------
    InvalidInstance
        when the network is not fully connected.
    InvalidOption
        when there are neither one range nor as many as layers.
    """
    mean = ConvertedNetwork(summing_layers(instance, mapping), converter).ranged(inputs)
    return mean if noise is None else replace(mean, layers=summing_layers(instance, mapping, noise))


@understanding("output converters", UNDERSTOOD)
def summing_layers(
    instance: NetworkInstance, mapping: NetworkMapping, noise: np.random.Generator | None = None
) -> tuple[SummingLayer, ...]:
    """The layers that a feasible mapping makes; see `matchopt.network.realise`.

    Raises
    ------
    InvalidInstance
        when the network is not fully connected.
    """
    check_chain(instance.architecture)
    biases = biases_of(instance, mapping) or (None,) * len(instance.layers)
    triples = zip(instance.layers, mapping.layers, biases, strict=True)
    return tuple(SummingLayer.of(layer, part, bias, noise) for layer, part, bias in triples)


def check_chain(architecture: Architecture) -> None:
    """Raise InvalidInstance unless layers are fully connected."""
    if not isinstance(architecture, FullyConnected):
        raise InvalidInstance(f"converters are modelled behind fully connected layers, found a {architecture.kind} "
                              "network; leave them out")  # fmt: skip
