"""Wiring tables: a mapping as a flat list for the tool chain of a chip, and back.

One entry per wire (cell and input), per tunable connection (input only), and one with neither for a row without wires.
Neurons, cells, rows, inputs and layers count from 0.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from matchopt.errors import FormatError, InvalidSolution
from matchopt.instances import Instance, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Solution


@dataclass(frozen=True)
class Wire:
    """One line of a wiring table.

    Parameters
    ----------
    layer, row : the target neuron.
    neuron : the hardware neuron that serves it.
    gain : factor at the neuron's output side.
    cell : the cell that listens to the input; None for a tunable connection and for a row without wires.
    input : the input; None for a row without wires.
    tunable : whether a fully tunable weight serves the connection.
    weight : hardware weight of the cell, or target weight to program; None for a row without wires.
    place : line or entry of the file, for messages.
    """

    layer: int
    row: int
    neuron: int
    gain: float
    cell: int | None = None
    input: int | None = None
    tunable: bool = False
    weight: float | None = None
    place: int | None = None


def layers_of(instance: Instance) -> tuple[LayerInstance, ...]:
    """The layers that a wiring table of this instance lists."""
    if isinstance(instance, NetworkInstance):
        return instance.layers
    if isinstance(instance, LayerInstance):
        return (instance,)
    raise InvalidSolution(f"wiring tables belong to layer and network instances, not to {instance.kind} instances")


def wires_of(solution: Solution, instance: Instance) -> Iterator[Wire]:
    """All lines of the table, layer by layer and row by row.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance (number of layers or rows, a neuron, cell or connection beyond it).
    """
    layers = layers_of(instance)
    if isinstance(solution, NetworkMapping) and isinstance(instance, NetworkInstance):
        mappings = solution.layers
    elif isinstance(solution, LayerMapping) and isinstance(instance, LayerInstance):
        mappings = (solution,)
    else:
        raise InvalidSolution(f"a {solution.kind} solution is no mapping of a {instance.kind} instance")
    if len(mappings) != len(layers):
        raise InvalidSolution(f"the mapping has {len(mappings)} layers, the instance {len(layers)}")
    for number, (mapping, layer) in enumerate(zip(mappings, layers, strict=True)):
        _check_fit(mapping, layer, number)
        yield from _layer_wires(mapping, layer, number)


def _layer_wires(mapping: LayerMapping, layer: LayerInstance, number: int) -> Iterator[Wire]:
    tuned: dict[int, list[int]] = defaultdict(list)
    for e in mapping.tunable.tolist():
        tuned[int(layer.target.row_of[e])].append(e)
    for i, (j, gain) in enumerate(zip(mapping.neuron_of.tolist(), mapping.gain.tolist(), strict=True)):
        wires = mapping.wires(i)
        for cell, listened in wires:
            yield Wire(number, i, j, gain, cell, listened, False, float(layer.hardware.weights[j, cell]))
        for e in tuned[i]:
            yield Wire(number, i, j, gain, None, int(layer.target.indices[e]), True, float(layer.target.weights[e]))
        if not wires and not tuned[i]:
            yield Wire(number, i, j, gain)


def _check_fit(mapping: LayerMapping, layer: LayerInstance, number: int) -> None:
    if mapping.n_rows != layer.n_rows:
        raise InvalidSolution(f"layer {number}: the mapping has {mapping.n_rows} rows, the instance {layer.n_rows}")
    limits = (
        ("neuron_of", mapping.neuron_of, layer.hardware.n_neurons),
        ("cell", mapping.cell, layer.hardware.n_cells),
        ("input", mapping.input, layer.target.n_inputs),
        ("tunable", mapping.tunable, layer.target.n_connections),
    )
    for name, values, end in limits:
        wrong = (values < 0) | (values >= end)
        if wrong.any():
            raise InvalidSolution(f"layer {number}: {name} must be in 0 .. {end - 1}, found {values[np.argmax(wrong)]}")


def mapping_from(
    wires: Iterable[Wire], instance: Instance, fail: Callable[[str, int | None], FormatError]
) -> LayerMapping | NetworkMapping:
    """Build the mapping of `instance` that a table describes; lines may come in any order.

    Raises
    ------
    FormatError
        made by `fail`, when lines contradict each other or the instance.
    """
    layers = layers_of(instance)
    by_row: dict[tuple[int, int], list[Wire]] = defaultdict(list)
    for wire in wires:
        if wire.layer >= len(layers) or wire.row >= layers[wire.layer].n_rows:
            raise fail(f"layer {wire.layer}, row {wire.row} is not in the instance", wire.place)
        _check_wire(wire, layers[wire.layer], fail)
        by_row[wire.layer, wire.row].append(wire)
    mappings = tuple(_layer_mapping(number, layer, by_row, fail) for number, layer in enumerate(layers))
    return NetworkMapping(mappings) if isinstance(instance, NetworkInstance) else mappings[0]


def _check_wire(wire: Wire, layer: LayerInstance, fail: Callable[[str, int | None], FormatError]) -> None:
    for name, value, end in (
        ("neuron", wire.neuron, layer.hardware.n_neurons),
        ("cell", wire.cell, layer.hardware.n_cells),
        ("input", wire.input, layer.target.n_inputs),
    ):
        if value is not None and value >= end:
            raise fail(f"{name} must be in 0 .. {end - 1}, found {value}", wire.place)
    if wire.tunable != (wire.input is not None and wire.cell is None) or (wire.cell is not None and wire.input is None):
        raise fail("a line has a cell and an input, or an input and tunable 1, or neither", wire.place)
    true: float | None = None
    if wire.cell is not None:
        true = float(layer.hardware.weights[wire.neuron, wire.cell])
    elif wire.input is not None:
        e = _connection(layer, wire.row, wire.input)
        if e is None:
            raise fail(f"row {wire.row} has no connection to input {wire.input} that could be tunable", wire.place)
        true = float(layer.target.weights[e])
    if wire.weight != true:
        what = f"weight {wire.weight} should be {true}"
        raise fail(f"{what}; the table belongs to another instance", wire.place)


def _layer_mapping(
    number: int,
    layer: LayerInstance,
    by_row: dict[tuple[int, int], list[Wire]],
    fail: Callable[[str, int | None], FormatError],
) -> LayerMapping:
    neuron_of, gains, starts, cells, inputs, tuned = [], [], [0], [], [], []
    for i in range(layer.n_rows):
        lines = by_row.get((number, i))
        if not lines:
            raise fail(f"layer {number}, row {i} is missing", None)
        for wire in lines:
            if (wire.neuron, wire.gain) != (lines[0].neuron, lines[0].gain):
                raise fail(f"row {i} of layer {number} has a second neuron or gain", wire.place)
            if wire.input is None and len(lines) > 1:
                raise fail(f"row {i} of layer {number} has wires and a line without any", wire.place)
        if len({(wire.cell, wire.input) for wire in lines}) < len(lines):
            raise fail(f"row {i} of layer {number} has the same line twice", lines[-1].place)
        neuron_of.append(lines[0].neuron)
        gains.append(lines[0].gain)
        wired = [(wire.cell, wire.input) for wire in lines if wire.cell is not None]
        cells += [cell for cell, _ in wired]
        inputs += [listened for _, listened in wired]
        starts.append(len(cells))
        found = [_connection(layer, i, wire.input) for wire in lines if wire.tunable and wire.input is not None]
        tuned += sorted(e for e in found if e is not None)
    whole = [np.array(values, dtype=np.int64) for values in (neuron_of, starts, cells, inputs, tuned)]
    return LayerMapping(whole[0], whole[1], whole[2], whole[3], np.array(gains, dtype=np.float64), whole[4])


def _connection(layer: LayerInstance, row: int, listened: int) -> int | None:
    """The number of the connection of `row` to the input, None where there is none."""
    part = layer.target.row(row)
    at = part.start + int(np.searchsorted(layer.target.indices[part], listened))
    return at if at < part.stop and int(layer.target.indices[at]) == listened else None
