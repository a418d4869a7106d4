"""A mapping on its chip at another time: the same wires, other values; and what can be set anew without rewiring."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.base import Instance, Solution
from matchopt.instances.chip import Chip
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.hardware import Hardware
from matchopt.instances.layer import LayerInstance, LayerMapping
from matchopt.instances.network import NetworkInstance, NetworkMapping
from matchopt.network.realised import UNDERSTOOD
from matchopt.settings import checked

Refit = Literal["layer", "neuron", "outputs"]


@understanding(
    "a chip at another time",
    AT_0_1["network"]
    | {"several-neurons", "copies", "one-chip", "chained", "hard-wired", "programmable-cells", "write-budget"},
)
def on_chips(instance: NetworkInstance | LayerInstance, chips: Sequence[Chip]) -> NetworkInstance | LayerInstance:
    """The instance with the values of its cells taken from chips anew; neurons, buses, faults and scales stay.

    So do the values that can be written: a cell that is written holds what was written, all others what is read now.

    Parameters
    ----------
    instance : whose hardware says where on a chip it is, and at which scale (`Hardware.origin`).
    chips : the same arrays as they are to be found now, such as `Chip.at` another time: one chip for all layers, or one
        for each.

    Raises
    ------
    InvalidInstance
        when the hardware has no origin, or the chips have other sizes or another number.
    """
    if isinstance(instance, LayerInstance):
        return replace(instance, hardware=_values(instance, chips[0], 0))
    given = list(chips) * len(instance.layers) if len(chips) == 1 else list(chips)
    if len(given) != len(instance.layers):
        raise InvalidInstance(f"one chip, or one per layer is needed, {len(instance.layers)}, found {len(chips)}")
    pairs = enumerate(zip(instance.layers, given, strict=True))
    layers = [replace(layer, hardware=_values(layer, chip, n)) for n, (layer, chip) in pairs]
    return replace(instance, layers=tuple(layers))


def _values(layer: LayerInstance, chip: Chip, number: int) -> Hardware:
    before = layer.hardware
    if before.origin is None:
        raise InvalidInstance(f"layers.{number}: its hardware does not say where on a chip it is; export it from the "
                              "chip's file")  # fmt: skip
    sizes = [place.neurons for place in before.origin.places]
    others = [place.neurons for place in chip.origin().places]
    if sizes != others:
        raise InvalidInstance(f"layers.{number}: its chip has arrays of {sizes} neurons, found {others}")
    found = chip.hardware(before.neuron, before.n_cells, before.origin.scale)
    if before.origin.scales:
        found = found.scaled_each(np.array(before.origin.scales)[before.neuron])
    values = {name: getattr(found, name) for name in ("weights", "variance", "off", "measured")}
    return replace(before, **values)


@understanding("the re-fit of a mapping", UNDERSTOOD)
def refitted(
    instance: NetworkInstance,
    mapping: NetworkMapping,
    how: Refit,
    inputs: Float[np.ndarray, "samples inputs"] | None = None,
) -> NetworkMapping:
    """The mapping with gains by least squares for the values that the instance has now, whatever its rules allow.

    Parameters
    ----------
    instance, mapping : a network, and a mapping of it.
    how : "layer": one factor on all gains of a layer, and "neuron": one for each row, so that realised weights are
        nearest to the target's (read noise counts as error). "outputs": a factor for each row, and its bias where
        biases are digital, so that pre-activations on `inputs` are nearest to the target's, layer by layer; no labels.
    inputs : of the network; needed for "outputs".

    Raises
    ------
    InvalidInstance
        when inputs are needed and missing, or the network is not fully connected.
    """
    checked(how, Refit, "refit", InvalidInstance)
    if how != "outputs":
        pairs = zip(instance.layers, mapping.layers, strict=True)
        return replace(mapping, layers=tuple(by_weights(layer, part, how == "layer") for layer, part in pairs))
    if inputs is None:
        raise InvalidInstance("refit: outputs are fitted on sample inputs, found none")
    if not instance.runs.plain:
        raise InvalidInstance("refit: outputs are fitted in fully connected networks only, found a "
                              f"{instance.architecture.kind} one; fit the weights of a layer or a neuron")  # fmt: skip
    wanted, received = instance.target_signals(inputs), np.asarray(inputs, np.float64)
    layers, biases = [], []
    for layer, part, signal in zip(instance.layers, mapping.layers, wanted, strict=True):
        if instance.biases is None:
            received = np.column_stack([received, np.ones(len(received))])
        analogue, digital = _apart(layer, part)
        sums, rest = received @ analogue.T, received @ digital.T
        noise = (received**2).mean(axis=0) @ layer.noise(part).T
        factor, bias = _line(sums, signal - rest, noise, instance.biases is not None)
        layers.append(replace(part, gain=part.gain * factor[part.row]))
        biases.append(bias)
        received = np.maximum(factor * sums + rest + bias, 0.0)
    return NetworkMapping(tuple(layers), tuple(biases) if instance.biases is not None else None)


def refitted_any(
    instance: Instance, mapping: Solution, how: Refit, inputs: Float[np.ndarray, "samples inputs"] | None
) -> NetworkMapping | LayerMapping:
    """The same of a network or of one layer, which has no outputs of its own to fit."""
    if isinstance(instance, NetworkInstance) and isinstance(mapping, NetworkMapping):
        return refitted(instance, mapping, how, inputs)
    if isinstance(instance, LayerInstance) and isinstance(mapping, LayerMapping) and how != "outputs":
        return by_weights(instance, mapping, how == "layer")
    raise InvalidInstance(f"refit: {how} is for whole networks, found an instance of kind {instance.kind}")


@understanding("the re-fit of a mapping", UNDERSTOOD)
def by_weights(layer: LayerInstance, mapping: LayerMapping, whole: bool) -> LayerMapping:
    """One factor on the gains of every row, or of the whole layer, by least squares of the weights."""
    (analogue, digital), target = _apart(layer, mapping), layer.target.dense()
    target[digital != 0.0] = 0.0
    along, across = (analogue * target).sum(axis=1), (analogue**2 + layer.noise(mapping)).sum(axis=1)
    if whole:
        along, across = np.full_like(along, along.sum()), np.full_like(across, across.sum())
    factor = np.divide(along, across, out=np.ones_like(along), where=across > 0)
    return replace(mapping, gain=mapping.gain * factor[mapping.row])


def _apart(layer: LayerInstance, mapping: LayerMapping) -> tuple[np.ndarray, np.ndarray]:
    """Realised weights of cells, and of tunable weights, which stay."""
    full, e = layer.realised(mapping), mapping.tunable
    digital, place = np.zeros_like(full), (layer.target.row_of[e], layer.target.indices[e])
    digital[place], full[place] = full[place], 0.0
    return full, digital


def _line(sums: np.ndarray, wanted: np.ndarray, noise: np.ndarray, shifted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Factor and shift (0 unless `shifted`) of every column of `sums` that bring it nearest to that of `wanted`."""
    middle, goal = (sums.mean(axis=0), wanted.mean(axis=0)) if shifted else (np.zeros(1), np.zeros(1))
    along = ((sums - middle) * (wanted - goal)).mean(axis=0)
    across = ((sums - middle) ** 2).mean(axis=0) + noise
    factor = np.divide(along, across, out=np.ones_like(along), where=across > 0)
    return factor, np.broadcast_to(goal - factor * middle, factor.shape)
