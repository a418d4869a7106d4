"""A solution to begin from, made without a solver, so that no exact engine begins with nothing."""

import math

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Solution,
)
from matchopt.reduce.chained import behind
from matchopt.reduce.crossbar import crossbar_beginning
from matchopt.reduce.one_chip import assign_chip, join, not_assignable, not_joinable
from matchopt.reduce.separable import layer_to_assignment, not_separable, wire
from matchopt.reduce.surrogate import surrogate

MOST_PAIRS = 2**24  # of rows and columns; beyond, beginning takes too long


def beginning(instance: Instance, seconds: float = math.inf) -> Solution | None:
    """A solution in which every row in turn takes the cheapest column, or hardware neuron, that is left.

    Of a layer the costs are weight errors under the plainest rules; where neurons share lines, it is searched for a
    second (`crossbar_beginning`). Whoever takes it must check it: what more the rules ask for plays no part.

    Parameters
    ----------
    instance : what is to be solved.
    seconds : for searching, where there is a choice.

    Returns
    -------
    Solution or None
        None where none is found this way, and for programs.
    """
    match instance:
        case AssignmentInstance() if instance.n_rows * instance.n_cols <= MOST_PAIRS:
            col_of = _in_turn(instance.dense)
            return None if col_of is None else Assignment(col_of)
        case LayerInstance():
            return _mapping(instance, seconds)
        case NetworkInstance() if instance.one_chip:
            return _on_one_chip(surrogate(instance), seconds)
        case NetworkInstance() if instance.chained:
            return _array_by_array(instance, seconds)
        case NetworkInstance():
            found = [_mapping(layer, seconds / len(instance.layers)) for layer in instance.layers]
            return NetworkMapping(tuple(part for part in found if part is not None)) if None not in found else None
    return None


def _on_one_chip(plain: NetworkInstance, seconds: float) -> Solution | None:
    """All rows of all layers in turn, as one assignment or one layer."""
    if not_assignable(plain) is not None and not_joinable(plain) is not None:
        return None
    way = assign_chip(plain) if not_assignable(plain) is None else join(plain)
    found = beginning(way.parts[0], seconds)
    return None if found is None else way.lift([found])


def _array_by_array(network: NetworkInstance, seconds: float) -> NetworkMapping | None:
    """The first array as a crossbar, then each on the lines that the neurons before it say."""
    found: list[LayerMapping] = []
    for n, layer in enumerate(network.layers):
        part = _mapping(behind(network, n, found[-1].neuron_of) if n else layer, seconds)
        if part is None:
            return None
        found.append(part)
    return NetworkMapping(tuple(found))


def _in_turn(cost: Float[np.ndarray, "rows cols"]) -> Int[np.ndarray, " rows"] | None:
    """Rows with the fewest finite costs first; where one finds nothing left, the cheapest assignment of all."""
    from matchopt.kernels import assign

    col_of, left = np.full(len(cost), -1), np.array(cost, float)
    for i in np.argsort(np.isfinite(left).sum(axis=1), kind="stable").tolist():
        col_of[i] = int(left[i].argmin()) if left.shape[1] else -1
        if col_of[i] < 0 or left[i, col_of[i]] == np.inf:
            return assign(cost) if left.shape[1] >= len(cost) else None
        left[:, col_of[i]] = np.inf
    return col_of


def _mapping(layer: LayerInstance, seconds: float) -> LayerMapping | None:
    if not layer.hardware.free_routing and not layer.hardware.hard_wired:
        return crossbar_beginning(layer, seconds)
    if layer.n_rows * layer.hardware.n_neurons > MOST_PAIRS or layer.n_rows > layer.hardware.n_neurons:
        return None
    plain = surrogate(layer)
    if not_separable(plain) is not None:
        return None
    pairs = layer_to_assignment(plain).parts[0]
    neuron_of = _in_turn(pairs.dense) if isinstance(pairs, AssignmentInstance) else None
    if neuron_of is None:
        return _in_parts(plain, layer.rules.neurons_per_row) if layer.rules.neurons_per_row > 1 else None
    return wire(plain, Assignment(neuron_of))


def _in_parts(layer: LayerInstance, most: int) -> LayerMapping | None:
    """Rows, those of most connections first, on as many neurons as they need, the widest first, matched to all cells.

    None where that leaves some row without cells, or where cells are hard-wired.
    """
    from matchopt.kernels import assign

    target, chip, gain = layer.target, layer.hardware, layer.rules.gains.default
    left, parts = np.argsort(-chip.n_usable, kind="stable").tolist(), [list[int]() for _ in range(layer.n_rows)]
    cell_of, place_of = np.full(target.n_connections, -1), np.zeros(target.n_connections, np.int64)
    factor, rows = layer.objective.importance(target), np.argsort(-target.fan_in, kind="stable").tolist()
    for turn, i in enumerate(rows):
        spare = len(left) - (layer.n_rows - turn - 1)
        wanted = next(
            (n for n in range(1, min(most, spare) + 1) if chip.n_usable[left[:n]].sum() >= target.fan_in[i]), 0
        )
        parts[i], part = left[: wanted or 1], target.row(i)
        del left[: len(parts[i])]
        at = np.argwhere(chip.usable[parts[i]])
        cells = np.array(parts[i])[at[:, 0]], at[:, 1]
        cost = (target.weights[part, None] - gain * chip.weights[cells]) ** 2 + gain**2 * chip.variance[cells]
        if layer.rules.drop:
            unwired = np.repeat(target.weights[part, None] ** 2, len(cost), axis=1)
            cost = np.concatenate([cost, unwired], axis=1)
        chosen = assign(factor[part, None] * cost)
        if chosen is None or chip.hard_wired:
            return None
        wired = chosen < len(at)
        cell_of[part] = np.where(wired, at[np.where(wired, chosen, 0), 1] if len(at) else -1, -1)
        place_of[part] = at[np.where(wired, chosen, 0), 0] if len(at) else 0
    row = np.repeat(np.arange(layer.n_rows), [len(own) for own in parts])
    first = np.searchsorted(row, np.arange(layer.n_rows))
    neuron_of = np.array([j for own in parts for j in own], np.int64)
    gains, place = np.full(len(row), gain), first[target.row_of] + place_of
    return LayerMapping.from_cells(target, neuron_of, cell_of, gains, row=row, place_of=place)
