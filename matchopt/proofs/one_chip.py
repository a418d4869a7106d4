"""Bounds for networks whose layers share one chip: the proof of a layer, on all rows of all layers at once.

Rows of a layer whose hardware weights are r times those of the first are divided by r, and their squared errors count
r^2 times; inputs of different layers are different inputs. That is the same sum of squared errors, row by row.
"""

from dataclasses import replace

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Target
from matchopt.instances.demands import understanding
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.crossbar import certify_crossbar
from matchopt.proofs.effort import Effort
from matchopt.proofs.layer import certify_layer

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"gain-interval", "output-error", "one-chip", "hardware-bias", "adjustable-bias", "convolutional", "recurrent"}
)
ROUNDED = 1e-12  # relative difference between scales of one measured value


@understanding("the proof of a bound on one chip", UNDERSTOOD)
def certify_one_chip(instance: NetworkInstance, mapping: NetworkMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`.

    Raises
    ------
    Refused
        when the layers are not offered the same cells under the same rules, up to a scale; then the layers' own bounds
        add up to one that counts no sharing.
    """
    layer, part = _whole(instance, mapping)
    prove = certify_layer if layer.hardware.free_routing else certify_crossbar
    found = prove(layer, part, effort)
    if not found.duals:
        return found
    index = {number: j for j, number in enumerate(instance.layers[0].hardware.neuron.tolist())}
    places = [np.array([index[n] for n in own.hardware.neuron.tolist()], np.int64) for own in instance.layers]
    return replace(found, duals=found.duals[0].split([own.n_rows for own in instance.layers], places))


def _whole(instance: NetworkInstance, mapping: NetworkMapping) -> tuple[LayerInstance, LayerMapping]:
    """All layers as one."""
    first = instance.layers[0]
    chip, index = first.hardware, {number: j for j, number in enumerate(first.hardware.neuron.tolist())}
    starts, indices, weights, importance, before = [0], [], [], [], 0
    neurons, ends, cells, inputs, gains = [], [0], [], [], []
    for layer, part in zip(instance.layers, mapping.layers, strict=True):
        same = layer.rules == first.rules and set(layer.hardware.neuron.tolist()) == set(index)
        if not same or not layer.objective.is_diagonal:
            raise Refused("layers under different rules, on different neurons or with correlated inputs")
        own = [index[number] for number in layer.hardware.neuron.tolist()]
        ratio = _ratio(chip, layer.hardware, own)
        starts += (starts[-1] + layer.target.indptr[1:]).tolist()
        indices.append(layer.target.indices + before)
        weights.append(layer.target.weights / ratio)
        importance.append(layer.objective.importance(layer.target) * ratio * ratio)
        neurons += [own[j] for j in part.neuron_of.tolist()]
        ends += (ends[-1] + part.wire_indptr[1:]).tolist()
        cells += part.cell.tolist()
        inputs += (part.input + before).tolist()
        gains += part.gain.tolist()
        before += layer.target.n_inputs
    target = Target(
        np.array(starts), np.concatenate(indices), np.concatenate(weights), before, np.concatenate(importance)
    )
    off = None if chip.free_routing else chip.off
    hardware = Hardware(chip.weights, chip.variance, chip.usable, off, chip.bus)  # type: ignore[arg-type]
    on, ends_at, cell, source = (np.array(some, dtype=np.int64) for some in (neurons, ends, cells, inputs))
    return LayerInstance(target, hardware, first.rules), LayerMapping(on, ends_at, cell, source, np.array(gains))


def _ratio(chip: Hardware, other: Hardware, place: list[int]) -> float:
    """How many times the weights of the first layer those of another are, cell by cell."""
    if chip.weights.shape != other.weights.shape or not np.array_equal(chip.usable[place], other.usable):
        raise Refused("layers are offered different cells")
    h, w = np.where(other.usable, chip.weights[place], 0.0), np.where(other.usable, other.weights, 0.0)
    at = np.unravel_index(int(np.argmax(np.abs(h))), h.shape) if h.size else (0, 0)
    ratio = float(w[at] / h[at]) if h.size and h[at] != 0.0 else 1.0
    noise = np.where(other.usable, chip.variance[place], 0.0) * ratio * ratio
    wanted = np.where(other.usable, other.variance, 0.0)
    fits = np.abs(h * ratio - w) <= ROUNDED * np.abs(w)
    fits &= np.abs(noise - wanted) <= ROUNDED * wanted
    leaks = bool(np.any(chip.off) or np.any(other.off)) and not chip.free_routing
    if leaks or ratio <= 0.0 or not bool(fits.all()):
        raise Refused("layers are offered different cells, or cells that leak on shared lines")
    return ratio
