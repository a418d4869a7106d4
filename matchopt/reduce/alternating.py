"""Mappings of layers whose neurons share lines: neurons and lines are assigned in turn, each best for the other."""

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances import LayerInstance, LayerMapping

ROUNDS = 20  # most often five suffice
STARTS = 16
MOST_COSTS = 2**26  # connections times neurons or lines of all rounds; a second or two
Lines = Int[np.ndarray, "buses inputs"]


def alternating(layer: LayerInstance) -> LayerMapping | None:
    """The best of some mappings in which no other neurons serve the lines, and no other lines the neurons, any better.

    What counts is the diagonal of the objective, with one cell per weight, one gain and no leak. None where
    connections find no cell that way, or the layer is too large.
    """
    hardware, target = layer.hardware, layer.target
    work = ROUNDS * target.n_connections * (hardware.n_neurons + hardware.n_cells)
    if work > MOST_COSTS or layer.n_rows > hardware.n_neurons:
        return None
    rng, best, least = np.random.default_rng(0), None, np.inf
    for start in range(max(1, min(STARTS, MOST_COSTS // max(1, work)))):
        order = rng.permutation(hardware.n_neurons) if start else np.arange(hardware.n_neurons)
        value, mapping = _descend(layer, order[: layer.n_rows])
        if value < least:
            least, best = value, mapping
    return best


def _descend(layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"]) -> tuple[float, LayerMapping | None]:
    from matchopt.kernels import assign

    rows, connections = np.arange(layer.n_rows), np.arange(layer.target.n_connections)
    best, least = None, np.inf
    for _ in range(ROUNDS):
        lines = _lines(layer, neuron_of)
        if lines is None:
            break
        line = lines[layer.hardware.bus[None, :], layer.target.indices[:, None]]
        errors = _errors(layer, np.arange(layer.hardware.n_neurons)[None, :], line)
        cost = np.zeros((layer.n_rows, layer.hardware.n_neurons))
        np.add.at(cost, layer.target.row_of, errors)
        found = assign(cost)
        if found is None or not cost[rows, found].sum() < least:
            break
        neuron_of, least = found, float(cost[rows, found].sum())
        served = connections, neuron_of[layer.target.row_of]
        cell_of = np.where(errors[served] < _dropped(layer), line[served], -1) if layer.rules.drop else line[served]
        gain = np.full(layer.n_rows, layer.rules.gains.default)
        best = LayerMapping.from_cells(layer.target, neuron_of, cell_of, gain)
    return least, best


def _lines(layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"]) -> Lines | None:
    """The line of every input on every bus, -1 for none, at least error for these neurons; None where some lack one."""
    from matchopt.kernels import assign

    hardware, target = layer.hardware, layer.target
    lines = np.full((int(hardware.bus.max(initial=0)) + 1, target.n_inputs), -1)
    every, neuron = np.unique(target.indices), neuron_of[target.row_of]
    for bus in np.unique(hardware.bus).tolist():
        here = np.flatnonzero(hardware.bus[neuron] == bus)
        inputs = every if len(every) <= hardware.n_cells else np.unique(target.indices[here])
        spare = max(0, len(inputs) - hardware.n_cells)
        cost = np.zeros((target.n_inputs, hardware.n_cells + spare))
        errors = _errors(layer, neuron[here, None], np.arange(hardware.n_cells)[None, :], here)
        left_out = np.repeat(_dropped(layer)[here, None], spare, axis=1)
        np.add.at(cost, target.indices[here], np.concatenate([errors, left_out], axis=1))
        found = assign(cost[inputs])
        if found is None:
            return None
        lines[bus, inputs] = np.where(found < hardware.n_cells, found, -1)
    return lines


def _errors(
    layer: LayerInstance,
    neuron: Int[np.ndarray, "..."],
    line: Int[np.ndarray, "..."],
    of: Int[np.ndarray, " connections"] | None = None,
) -> Float[np.ndarray, "connections choices"]:
    """The error of (some) connections on these cells, or dropped where that is less; inf where neither goes."""
    hardware, gain, some = layer.hardware, layer.rules.gains.default, slice(None) if of is None else of
    error = (layer.target.weights[some, None] - gain * hardware.weights[neuron, line]) ** 2
    error = (error + gain**2 * hardware.variance[neuron, line]) * layer.objective.importance(layer.target)[some, None]
    error[np.broadcast_to((line < 0) | ~hardware.usable[neuron, line], error.shape)] = np.inf
    return np.asarray(np.minimum(error, _dropped(layer)[some, None]))


def _dropped(layer: LayerInstance) -> Float[np.ndarray, " connections"]:
    """What each connection costs when it is dropped; inf where it must not be."""
    if not layer.rules.drop:
        return np.full(layer.target.n_connections, np.inf)
    return np.asarray(layer.objective.importance(layer.target) * layer.target.weights**2)
