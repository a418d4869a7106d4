"""Wiring tables: a mapping as a flat list for the tool chain of a chip, and back.

One entry per wire (cell and input), per tunable connection (input only, on the row's first hardware neuron), and one
with neither for a hardware neuron without any. A row may have several hardware neurons where the instance allows it.
Neurons, cells, rows, inputs and layers count from 0.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matchopt.errors import InvalidSolution
from matchopt.formats.numbers import Fail
from matchopt.instances import Instance, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Solution
from matchopt.instances.demands import ANY_AT_0_1, understanding

ROUNDED = 5e-9  # relative error of 9 digits: a spreadsheet keeps 15 of a number, or the 10 that it shows


@dataclass(frozen=True)
class OnChip:
    """What a wiring table says of a measured chip: where the hardware neuron, or the cell of a wire, is.

    Parameters
    ----------
    file, array : where it was read from; `array` is "" in a file that names none.
    chip_row, chip_column : of the cell there, from 0; no column where there is no wire.
    value : what was measured of the cell, in `unit`; None where there is no wire.
    unit : of the value; "" if unknown.
    scale : of the layer, or of the neuron where each has its own: weight = value * scale.
    """

    file: str
    array: str
    chip_row: int
    chip_column: int | None
    value: float | None
    unit: str
    scale: float


@dataclass(frozen=True)
class Wire:
    """One line of a wiring table.

    Parameters
    ----------
    layer, row : the target neuron.
    neuron : a hardware neuron that serves it, by its number on the chip.
    gain : factor at the neuron's output side.
    cell : the cell that listens to the input; None for a tunable connection and for a neuron without wires.
    input : the input; None for a neuron without wires.
    tunable : whether a fully tunable weight serves the connection.
    weight : hardware weight of the cell, or value to program into the tunable weight; None where there is no wire.
    bias : digital bias of the row; None where biases are hardware weights, or the instance is a single layer.
    written : value to write into the cell; None where it is left as it is.
    place : line or entry of the file, for messages.
    on_chip : where it is on the measured chip; None where the hardware has no origin, or the table does not say.
    """

    layer: int
    row: int
    neuron: int
    gain: float
    cell: int | None = None
    input: int | None = None
    tunable: bool = False
    weight: float | None = None
    bias: float | None = None
    written: float | None = None
    place: int | None = None
    on_chip: OnChip | None = None


@understanding(
    "a wiring table",
    ANY_AT_0_1
    | {"several-neurons", "copies", "one-chip", "chained", "programmable-cells"}
    | {"write-budget", "hard-wired"},
)
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
        biases: list[float] | list[None] = [None] * layer.n_rows
        own = (isinstance(solution, NetworkMapping) and solution.biases) or getattr(instance, "biases", None)
        if own is not None:
            if own[number].shape != (layer.n_rows,):
                found = own[number].shape
                raise InvalidSolution(f"layer {number}: biases must have shape {(layer.n_rows,)}, found {found}")
            biases = own[number].tolist()
        for wire in _layer_wires(mapping, layer, number):
            yield wire if biases[wire.row] is None else replace(wire, bias=biases[wire.row])


def _layer_wires(mapping: LayerMapping, layer: LayerInstance, number: int) -> Iterator[Wire]:
    values = layer.target.weights[mapping.tunable] if mapping.tuned is None else mapping.tuned
    tuned: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for e, value in zip(mapping.tunable.tolist(), values.tolist(), strict=True):
        tuned[int(layer.target.row_of[e])].append((e, value))
    used = zip(mapping.row.tolist(), mapping.neuron_of.tolist(), mapping.gain.tolist(), strict=True)
    for a, (i, j, gain) in enumerate(used):
        wires, on_chip, programmed = mapping.wires(a), int(layer.hardware.neuron[j]), tuned.pop(i, [])
        bare = _where(layer, j, None)
        for n, (cell, listened) in enumerate(wires, start=int(mapping.wire_indptr[a])):
            value = math.nan if mapping.written is None else float(mapping.written[n])
            weight, where = float(layer.hardware.weights[j, cell]), _where(layer, j, cell)
            wire = Wire(number, i, on_chip, gain, cell, listened, False, weight, on_chip=where)
            yield wire if math.isnan(value) else replace(wire, written=value)
        for e, value in programmed:
            yield Wire(number, i, on_chip, gain, None, int(layer.target.indices[e]), True, value, on_chip=bare)
        if not wires and not programmed:
            yield Wire(number, i, on_chip, gain, on_chip=bare)


def _where(layer: LayerInstance, j: int, cell: int | None) -> OnChip | None:
    """Where a hardware neuron of the layer, or a cell of it, is on the measured chip."""
    origin, measured = layer.hardware.origin, layer.hardware.measured
    if origin is None:
        return None
    at = origin.cell(int(layer.hardware.neuron[j]), cell)
    values = layer.hardware.weights if measured is None else measured
    value = None if cell is None else float(values[j, cell])
    scale = origin.scale_of(int(layer.hardware.neuron[j]))
    return OnChip(at.file, at.array, at.row, at.column, value, origin.unit, scale)


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


def mapping_from(wires: Iterable[Wire], instance: Instance, fail: Fail) -> LayerMapping | NetworkMapping:
    """Build the mapping of `instance` that a table describes; lines may come in any order.

    Tunable connections of a layer whose values are all the target's come back without values of their own, and so do
    biases that are all the instance's, or that the table does not have.

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
        by_row[wire.layer, wire.row].append(_fitted(wire, layers[wire.layer], fail))
    mappings = tuple(_layer_mapping(number, layer, by_row, fail) for number, layer in enumerate(layers))
    biases = _biases(layers, by_row, fail)
    if isinstance(instance, NetworkInstance):
        return NetworkMapping(mappings, _changed(biases, instance))
    if biases is not None:
        raise fail("the table has biases, and the instance is a single layer, which has none", None)
    return mappings[0]


def _biases(
    layers: tuple[LayerInstance, ...], by_row: dict[tuple[int, int], list[Wire]], fail: Fail
) -> tuple[np.ndarray, ...] | None:
    """The bias of every row, None where no row has one."""
    with_bias = sum(lines[0].bias is not None for lines in by_row.values())
    if with_bias == 0:
        return None
    for (number, i), lines in by_row.items():
        if lines[0].bias is None:
            raise fail(f"row {i} of layer {number} has no bias, but other rows have; give all or none", lines[0].place)
    return tuple(np.array([by_row[n, i][0].bias for i in range(layer.n_rows)], float) for n, layer in enumerate(layers))


def _changed(biases: tuple[np.ndarray, ...] | None, instance: NetworkInstance) -> tuple[np.ndarray, ...] | None:
    """The biases, those that a spreadsheet has rounded as they were; None where all are the instance's."""
    if biases is None or instance.biases is None:
        return biases
    near = [np.abs(found - own) <= ROUNDED * np.abs(own) for found, own in zip(biases, instance.biases, strict=True)]
    if all(close.all() for close in near):
        return None
    return tuple(np.where(*each) for each in zip(near, instance.biases, biases, strict=True))


def _fitted(wire: Wire, layer: LayerInstance, fail: Fail) -> Wire:
    """The wire, if it fits the layer, with the layer's own numbers where the table has them rounded."""
    on_chip = np.flatnonzero(layer.hardware.neuron == wire.neuron)
    if not len(on_chip):
        numbers = layer.hardware.neuron
        raise fail(
            f"neuron must be in {numbers.min(initial=0)} .. {numbers.max(initial=-1)}, found {wire.neuron}", wire.place
        )
    wire = replace(wire, neuron=int(on_chip[0]))
    for name, value, end in (("cell", wire.cell, layer.hardware.n_cells), ("input", wire.input, layer.target.n_inputs)):
        if value is not None and value >= end:
            raise fail(f"{name} must be in 0 .. {end - 1}, found {value}", wire.place)
    if wire.tunable != (wire.input is not None and wire.cell is None) or (wire.cell is not None and wire.input is None):
        raise fail("a line has a cell and an input, or an input and tunable 1, or neither", wire.place)
    _check_place(wire, layer, fail)
    weight, written = None, wire.written
    if written is not None and wire.cell is None:
        raise fail(f"{written} is to be written, and the line has no cell", wire.place)
    if wire.cell is not None:
        true = float(layer.hardware.weights[wire.neuron, wire.cell])
        weight = _exact(wire.weight, true)
        if weight != true:
            shorter = any(float(f"{true:.{digits}g}") == weight for digits in range(1, 9) if weight is not None)
            what = "numbers have been rounded, save all digits" if shorter else "the table belongs to another instance"
            raise fail(f"weight {weight} should be {true}; {what}", wire.place)
        known = (layer.hardware.low, layer.hardware.high, *np.moveaxis(layer.hardware.levels, 2, 0))
        written = _exact(written, *(float(part[wire.neuron, wire.cell]) for part in known))
    elif wire.input is not None:
        e = _connection(layer, wire.row, wire.input)
        if e is None:
            raise fail(f"row {wire.row} has no connection to input {wire.input} that could be tunable", wire.place)
        if wire.weight is None:
            raise fail("a tunable connection needs the value of its weight", wire.place)
        weight = _exact(wire.weight, float(layer.target.weights[e]))  # any value may be programmed
    elif wire.weight is not None:
        raise fail(f"weight {wire.weight} should be None; the table belongs to another instance", wire.place)
    gains = layer.rules.gains
    return replace(
        wire, weight=weight, written=written, gain=_exact(wire.gain, *(gains.values or (gains.low, gains.high)))
    )


def _check_place(wire: Wire, layer: LayerInstance, fail: Fail) -> None:
    found, true = wire.on_chip, _where(layer, wire.neuron, wire.cell)
    for name in () if found is None else ("file", "array", "chip_row", "chip_column", "unit"):
        if getattr(found, name) != getattr(true, name, None):
            raise fail(f"{name} {getattr(found, name)!r} should be {getattr(true, name, None)!r}; the table belongs to "
                       "another instance", wire.place)  # fmt: skip


def _exact(value: Any, *known: Any) -> Any:
    """The known number that a spreadsheet has rounded to `value`, or `value` itself."""
    return next((n for n in known if value is not None and abs(value - n) <= ROUNDED * abs(n)), value)


def _layer_mapping(
    number: int, layer: LayerInstance, by_row: dict[tuple[int, int], list[Wire]], fail: Fail
) -> LayerMapping:
    neuron_of, gains, starts, wired, tuned, row = [], [], [0], [], [], []
    most = layer.rules.neurons
    for i in range(layer.n_rows):
        lines = by_row.get((number, i))
        if not lines:
            raise fail(f"layer {number}, row {i} is missing", None)
        by_neuron: dict[int, list[Wire]] = defaultdict(list)
        for wire in lines:
            by_neuron[wire.neuron].append(wire)
            second = wire.bias != lines[0].bias or wire.gain != by_neuron[wire.neuron][0].gain
            if second or len(by_neuron) > most:
                many = "a second neuron," if most == 1 else f"more than {most} neurons, or a second"
                raise fail(f"row {i} of layer {number} has {many} gain or bias", wire.place)
        tuned += sorted(_tuned(layer, i, lines))
        for neuron, own in by_neuron.items():
            if len(own) > 1 and any(wire.input is None for wire in own):
                raise fail(f"row {i} of layer {number} has wires and a line without any", own[-1].place)
            if len({(wire.cell, wire.input) for wire in own}) < len(own):
                raise fail(f"row {i} of layer {number} has the same line twice", own[-1].place)
            row.append(i)
            neuron_of.append(neuron)
            gains.append(own[0].gain)
            wired += [wire for wire in own if wire.cell is not None]
            starts.append(len(wired))
    numbers, values = [e for e, _ in tuned], np.array([value for _, value in tuned], dtype=np.float64)
    lists = (neuron_of, starts, [wire.cell for wire in wired], [wire.input for wire in wired], numbers, row)
    whole = [np.array(listed, dtype=np.int64) for listed in lists]
    changed = None if np.array_equal(values, layer.target.weights[whole[4]]) else values
    written = np.array([math.nan if wire.written is None else wire.written for wire in wired], dtype=np.float64)
    gain = np.array(gains, dtype=np.float64)
    return LayerMapping(whole[0], whole[1], whole[2], whole[3], gain, whole[4], changed, whole[5], written)


def _tuned(layer: LayerInstance, row: int, lines: list[Wire]) -> Iterator[tuple[int, float]]:
    """Number and value of the tunable connections among the lines of a row."""
    for wire in lines:
        if wire.tunable and wire.input is not None and wire.weight is not None:
            e = _connection(layer, row, wire.input)
            if e is not None:
                yield e, wire.weight


def _connection(layer: LayerInstance, row: int, listened: int) -> int | None:
    """The number of the connection of `row` to the input, None where there is none."""
    part = layer.target.row(row)
    at = part.start + int(np.searchsorted(layer.target.indices[part], listened))
    return at if at < part.stop and int(layer.target.indices[at]) == listened else None
