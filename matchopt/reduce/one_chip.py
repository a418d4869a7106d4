"""The layers of a network on one chip as one assignment, or as one layer: all rows below each other.

As an assignment where nothing but the chip's neurons couples the rows; as a layer, in which each layer has inputs of
its own, where the layers differ in no more than the scale of their hardware.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Hardware,
    LayerInstance,
    LayerMapping,
    LayerObjective,
    NetworkInstance,
    NetworkMapping,
    Provenance,
    Solution,
    Target,
    WeightError,
)
from matchopt.instances.demands import AT_0_1, not_understood
from matchopt.instances.places import numbered
from matchopt.reduce.reduction import Reduction
from matchopt.reduce.separable import layer_to_assignment, not_separable

UNDERSTOOD = AT_0_1["network"] - {"task-loss", "functional-error", "score-error", "tunable", "network-tunable"} | {
    "one-chip",
    "several-neurons",
    "copies",
}
ASSIGNED = UNDERSTOOD - {"several-neurons", "copies"} | {"programmable-cells", "hard-wired"}
SAME = 1e-12  # relative difference of weights that rounding leaves between scales
MOST_MOMENTS = 2**26  # entries of the joined second moments: 512 MiB


def not_joinable(network: NetworkInstance) -> str | None:
    """Why the layers of `network` on one chip make no single layer, or None."""
    strange = not_understood(network, UNDERSTOOD, "one layer for all layers of the chip")
    if strange is not None:
        return strange
    first, *others = network.layers
    if any(layer.rules != first.rules for layer in others):
        return "the layers on one chip have different rules"
    if len({layer.objective.name for layer in network.layers}) > 1:
        return "the layers on one chip have different objectives"
    if _is_full(network) and sum(layer.target.n_inputs for layer in network.layers) ** 2 > MOST_MOMENTS:
        return f"the joined second moments of the layers on one chip have more than {MOST_MOMENTS} entries"
    if not first.hardware.free_routing and any(np.any(layer.hardware.off) for layer in network.layers):
        return "cells leak on lines that layers share, but only while their own layer is read"
    if any(_aligned(first.hardware, layer.hardware) is None for layer in network.layers):
        return "the layers on one chip are not offered the same cells, up to a scale"
    return None


def not_assignable(network: NetworkInstance) -> str | None:
    """Why the layers of `network` on one chip make no single assignment of rows to its neurons, or None."""
    strange = not_understood(network, ASSIGNED, "one assignment for all layers of the chip")
    reasons = [strange] if strange else [not_separable(layer) for layer in network.layers]
    if coupled_buses(network):
        reasons.append("neurons of the chip share lines")
    return next((reason for reason in reasons if reason is not None), None)


def assign_chip(network: NetworkInstance) -> Reduction:
    """Reduce a network on one chip to the assignment of all its rows to the chip's neurons.

    Raises
    ------
    Refused
        when more than its neurons couples the rows.
    """
    reason = not_assignable(network)
    if reason is not None:
        raise Refused(reason)
    steps = [layer_to_assignment(layer) for layer in network.layers]
    rows = numbered([layer.n_rows for layer in network.layers])
    numbers = np.unique(np.concatenate([layer.hardware.neuron for layer in network.layers]))
    places = [np.searchsorted(numbers, layer.hardware.neuron) for layer in network.layers]
    cost = np.full((rows[-1].stop, len(numbers)), np.inf)
    for own, place, step in zip(rows, places, steps, strict=True):
        (pairs,) = step.parts
        assert isinstance(pairs, AssignmentInstance)
        cost[own, place] = pairs.dense
    name = Provenance(name=network.provenance.name, source=f"pair costs of network {network.digest} on one chip")

    def lift(solutions: Sequence[Solution]) -> NetworkMapping:
        (whole,) = solutions
        if not isinstance(whole, Assignment) or len(whole.col_of) != len(cost):
            raise Refused(f"expected an assignment of {len(cost)} rows")
        found = []
        for own, place, step in zip(rows, places, steps, strict=True):
            at = np.full(len(numbers), -1)
            at[place] = np.arange(len(place))
            found.append(step.lift([Assignment(at[whole.col_of[own]])]))
        return NetworkMapping(tuple(part for part in found if isinstance(part, LayerMapping)))

    def lower(solution: Solution) -> tuple[Assignment]:
        parts = _parts(solution)
        return (Assignment(np.concatenate([p[part.neuron_of] for p, part in zip(places, parts, strict=True)])),)

    return Reduction("one chip > assignment", (AssignmentInstance(cost, provenance=name),), lift, lower)


def join(network: NetworkInstance) -> Reduction:
    """Join the layers of a network on one chip.

    With s the scale of a layer's hardware against that of the first, (w - s h)^2 = s^2 (w / s - h)^2: targets are
    divided by s, importances multiplied by s^2.

    Raises
    ------
    Refused
        when the layers differ in more than their scale, or something couples them besides.
    """
    reason = not_joinable(network)
    if reason is not None:
        raise Refused(reason)
    layers, hardware = network.layers, network.layers[0].hardware
    fits = [fit for layer in layers if (fit := _aligned(hardware, layer.hardware)) is not None]
    rows, inputs = numbered([layer.n_rows for layer in layers]), numbered([layer.target.n_inputs for layer in layers])
    target, objective = _stacked(network, [scale for _, scale in fits])
    rules = layers[0].rules
    if objective.is_diagonal:  # extra inputs never help there, and would have to be scaled as well
        rules = replace(rules, extra_inputs=False)
    if hardware.free_routing:
        hardware = replace(hardware, off=None)  # type: ignore[arg-type]  # no line is driven that is not used
    name = Provenance(name=network.provenance.name, source=f"layers on one chip of network {network.digest}")
    joined = LayerInstance(target, hardware, rules, objective, name)

    def lift(solutions: Sequence[Solution]) -> NetworkMapping:
        (whole,) = solutions
        if not isinstance(whole, LayerMapping) or whole.n_rows != joined.n_rows:
            raise Refused(f"expected a layer mapping of {joined.n_rows} rows")
        found = []
        for own, heard, (order, _) in zip(rows, inputs, fits, strict=True):
            used = slice(*np.searchsorted(whole.row, [own.start, own.stop]).tolist())
            starts = whole.wire_indptr[used.start : used.stop + 1]
            wires = slice(int(starts[0]), int(starts[-1]))
            neurons = np.argsort(order)[whole.neuron_of[used]]
            found.append(
                LayerMapping(
                    neurons,
                    starts - starts[0],
                    whole.cell[wires],
                    whole.input[wires] - heard.start,
                    whole.gain[used],
                    row=whole.row[used] - own.start,
                )
            )
        return NetworkMapping(tuple(found))

    def lower(solution: Solution) -> tuple[LayerMapping]:
        parts = _parts(solution)
        for layer, part in zip(layers, parts, strict=True):
            if (
                rules != layer.rules
                and not np.isin(
                    layer.target.keys(part.row_of, part.input),
                    layer.target.keys(layer.target.row_of, layer.target.indices),
                ).all()
            ):
                raise Refused("the mapping uses extra inputs, which the joined layer leaves out")
        starts = np.cumsum([0, *(count for part in parts for count in np.diff(part.wire_indptr).tolist())])
        return (
            LayerMapping(
                np.concatenate([order[part.neuron_of] for part, (order, _) in zip(parts, fits, strict=True)]),
                starts,
                np.concatenate([part.cell for part in parts]),
                np.concatenate([part.input + heard.start for part, heard in zip(parts, inputs, strict=True)]),
                np.concatenate([part.gain for part in parts]),
                row=np.concatenate([part.row + own.start for part, own in zip(parts, rows, strict=True)]),
            ),
        )

    return Reduction("one chip", (joined,), lift, lower)


def _parts(solution: Solution) -> tuple[LayerMapping, ...]:
    if not isinstance(solution, NetworkMapping):
        raise Refused(f"expected a network mapping, found a {solution.kind} solution")
    return solution.layers


def coupled_buses(network: NetworkInstance) -> frozenset[int]:
    """Buses of the one chip that several of its neurons are on, in one layer or in several."""
    neurons_of: dict[int, set[int]] = defaultdict(set)
    for layer in network.layers:
        for neuron, bus in zip(layer.hardware.neuron.tolist(), layer.hardware.bus.tolist(), strict=True):
            neurons_of[bus].add(neuron)
    return frozenset(bus for bus, neurons in neurons_of.items() if len(neurons) > 1)


def _is_full(network: NetworkInstance) -> bool:
    return not all(layer.objective.is_diagonal for layer in network.layers)


def _aligned(first: Hardware, other: Hardware) -> tuple[np.ndarray, float] | None:
    """Where in `first` each neuron of `other` is, and the scale of its weights against those there.

    None where they are not the same cells.
    """
    order = np.argsort(first.neuron)
    at = np.searchsorted(first.neuron[order], other.neuron)
    if first.weights.shape != other.weights.shape or not np.array_equal(np.sort(first.neuron), np.sort(other.neuron)):
        return None
    place = order[at]
    if not np.array_equal(first.usable[place], other.usable):
        return None
    used = other.usable
    sizes = [float(np.abs(part[used]).max(initial=0.0)) for part in (first.weights[place], other.weights)]
    scale = sizes[1] / sizes[0] if min(sizes) > 0.0 else 1.0
    for field, power in (("weights", 1), ("variance", 2)):
        own, wanted = getattr(first, field)[place] * scale**power, getattr(other, field)
        if bool((np.abs(own - wanted)[used] > SAME * np.abs(wanted)[used]).any()):
            return None
    return place, scale


def _stacked(network: NetworkInstance, scales: Sequence[float]) -> tuple[Target, LayerObjective]:
    """Targets below each other in units of the first layer, and the objective that weighs their errors as before."""
    layers, full = network.layers, _is_full(network)
    inputs = numbered([layer.target.n_inputs for layer in layers])
    importance = [
        np.ones(layer.target.n_connections) if full else layer.objective.importance(layer.target) * scale**2
        for layer, scale in zip(layers, scales, strict=True)
    ]
    target = Target(
        np.cumsum([0, *(count for layer in layers for count in layer.target.fan_in.tolist())]),
        np.concatenate([layer.target.indices + own.start for layer, own in zip(layers, inputs, strict=True)]),
        np.concatenate([layer.target.weights / scale for layer, scale in zip(layers, scales, strict=True)]),
        inputs[-1].stop,
        np.concatenate(importance),
    )
    if not full:
        return target, WeightError()
    moments = np.zeros((target.n_inputs, target.n_inputs))
    for layer, own, scale in zip(layers, inputs, scales, strict=True):
        shared = layer.objective.shared_quadratic
        assert shared is not None  # forms that are not diagonal are those of the output error
        moments[own, own] = shared * scale**2
    return target, layers[0].objective.of_moments(moments)
