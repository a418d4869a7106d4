"""The rules of a layer mapping (docs/mathematics.md), one function per group of rules."""

import math
from collections import defaultdict

from matchopt.checker.report import Violation
from matchopt.instances import LayerInstance, LayerMapping


def layer_violations(instance: LayerInstance, mapping: LayerMapping) -> list[Violation]:
    """Every broken rule of a mapping."""
    if mapping.n_rows != instance.n_rows:
        message = f"the mapping must have one row per target neuron, {instance.n_rows}, found {mapping.n_rows}"
        return [Violation("row-count", message)]
    found = _neurons(instance, mapping) + _gains(instance, mapping) + _tunable(instance, mapping)
    for i in range(instance.n_rows):
        found += _cells(instance, mapping, i) + _inputs(instance, mapping, i)
    tuned = set(mapping.tunable.tolist())
    for i in range(instance.n_rows):
        found += _connections(instance, mapping, i, tuned)
    return found + _lines(instance, mapping)


def _neurons(instance: LayerInstance, mapping: LayerMapping) -> list[Violation]:
    found: list[Violation] = []
    row_on: dict[int, int] = {}
    for i, j in enumerate(mapping.neuron_of.tolist()):
        if not 0 <= j < instance.hardware.n_neurons:
            message = f"row {i}: hardware neuron {j} is not in 0 .. {instance.hardware.n_neurons - 1}"
            found.append(Violation("neuron-range", message, row=i))
        elif j in row_on:
            message = f"row {i}: hardware neuron {j} is taken by row {row_on[j]} already; each row needs one of its own"
            found.append(Violation("neuron-used-twice", message, row=i))
        row_on.setdefault(j, i)
    return found


def _gains(instance: LayerInstance, mapping: LayerMapping) -> list[Violation]:
    found: list[Violation] = []
    gains = instance.rules.gains
    for i, gain in enumerate(mapping.gain.tolist()):
        if not math.isfinite(gain):
            found.append(
                Violation("gain-not-finite", f"row {i}: the gain must be a finite number, found {gain}", row=i)
            )
        elif gains.values is not None and gain not in gains.values:
            allowed = ", ".join(f"{value:g}" for value in gains.values)
            message = f"row {i}: the gain must be one of {allowed}, found {gain!r}"
            found.append(Violation("gain-not-allowed", message, row=i))
        elif gains.low is not None and gains.high is not None and not gains.low <= gain <= gains.high:
            message = f"row {i}: the gain must be in {gains.low:g} .. {gains.high:g}, found {gain!r}"
            found.append(Violation("gain-not-allowed", message, row=i))
    return found


def _tunable(instance: LayerInstance, mapping: LayerMapping) -> list[Violation]:
    found: list[Violation] = []
    target, before = instance.target, -1
    for e in mapping.tunable.tolist():
        if not 0 <= e < target.n_connections:
            message = f"tunable connection {e} is not in 0 .. {target.n_connections - 1}"
            found.append(Violation("tunable-range", message))
            continue
        row = int(target.row_of[e])
        if e == before:
            message = f"row {row}: tunable connection {e} is listed twice"
            found.append(Violation("tunable-repeated", message, row=row))
        elif e < before:
            message = f"row {row}: tunable connection {e} is listed after {before}; list them in ascending order"
            found.append(Violation("tunable-order", message, row=row))
        before = e
    found += _tuned(mapping)
    budget = instance.rules.tunable
    if len(mapping.tunable) > budget:
        message = f"the layer: at most {budget} tunable connections are allowed, found {len(mapping.tunable)}"
        found.append(Violation("tunable-budget", message))
    return found


def _tuned(mapping: LayerMapping) -> list[Violation]:
    if mapping.tuned is None:
        return []
    if len(mapping.tuned) != len(mapping.tunable):
        message = (
            f"the layer: {len(mapping.tunable)} tunable connections need as many values, found {len(mapping.tuned)}"
        )
        return [Violation("tuned-count", message)]
    found: list[Violation] = []
    for e, value in zip(mapping.tunable.tolist(), mapping.tuned.tolist(), strict=True):
        if not math.isfinite(value):
            message = f"tunable connection {e}: its value must be a finite number, found {value}"
            found.append(Violation("tuned-not-finite", message))
    return found


def _cells(instance: LayerInstance, mapping: LayerMapping, i: int) -> list[Violation]:
    found: list[Violation] = []
    hardware, j = instance.hardware, int(mapping.neuron_of[i])
    known_neuron = 0 <= j < hardware.n_neurons
    input_on: dict[int, int] = {}
    for k, x in mapping.wires(i):
        if not 0 <= k < hardware.n_cells:
            message = f"row {i}: cell {k} is not in 0 .. {hardware.n_cells - 1}"
            found.append(Violation("cell-range", message, row=i))
            continue
        if known_neuron and not hardware.usable[j, k]:
            message = f"row {i}: cell {k} of hardware neuron {j} cannot be used; take another"
            found.append(Violation("cell-unusable", message, row=i))
        if k in input_on and input_on[k] == x:
            found.append(Violation("wire-twice", f"row {i}: the wire of cell {k} to input {x} is listed twice", row=i))
        elif k in input_on:
            message = f"row {i}: cell {k} listens to input {input_on[k]} and to input {x}; a cell carries one input"
            found.append(Violation("cell-two-inputs", message, row=i))
        input_on.setdefault(k, x)
    return found


def _inputs(instance: LayerInstance, mapping: LayerMapping, i: int) -> list[Violation]:
    found: list[Violation] = []
    n_inputs = instance.target.n_inputs
    support = set(instance.target.indices[instance.target.row(i)].tolist())
    for k, x in mapping.wires(i):
        if not 0 <= x < n_inputs:
            message = f"row {i}: input {x} of cell {k} is not in 0 .. {n_inputs - 1}"
            found.append(Violation("input-range", message, row=i))
        elif x not in support and not instance.rules.extra_inputs:
            message = (
                f"row {i}: cell {k} listens to input {x}, which the target does not have; extra inputs are not allowed"
            )
            found.append(Violation("input-outside-support", message, row=i))
    return found


def _connections(instance: LayerInstance, mapping: LayerMapping, i: int, tuned: set[int]) -> list[Violation]:
    found: list[Violation] = []
    cells_on: dict[int, set[int]] = defaultdict(set)
    for k, x in mapping.wires(i):
        cells_on[x].add(k)
    most, part = instance.rules.cells_per_weight, instance.target.row(i)
    for x, cells in cells_on.items():
        if len(cells) > most:
            message = f"row {i}: input {x} is served by {len(cells)} cells; at most {most} per weight are allowed"
            found.append(Violation("too-many-cells", message, row=i))
    for e, x in enumerate(instance.target.indices[part].tolist(), start=part.start):
        if e in tuned and x in cells_on:
            message = f"row {i}: input {x} (connection {e}) is tunable and has cells as well; leave the cells out"
            found.append(Violation("tunable-has-cells", message, row=i))
        if e not in tuned and x not in cells_on and not instance.rules.drop:
            message = f"row {i}: input {x} (connection {e}) is not realised; dropping connections is not allowed"
            found.append(Violation("connection-unrealised", message, row=i))
    return found


def _lines(instance: LayerInstance, mapping: LayerMapping) -> list[Violation]:
    """What neurons on one bus must agree on; within one row the other rules say the same."""
    found: list[Violation] = []
    line_input: dict[tuple[int, int], tuple[int, int]] = {}  # (bus, line): (input, first row that drives it)
    lines_of: dict[tuple[int, int], set[int]] = defaultdict(set)  # (bus, input): lines
    rows_of: dict[tuple[int, int], set[int]] = defaultdict(set)  # (bus, input): rows
    for i, j in enumerate(mapping.neuron_of.tolist()):
        if not 0 <= j < instance.hardware.n_neurons:
            continue
        bus = int(instance.hardware.bus[j])
        for k, x in mapping.wires(i):
            other, first = line_input.setdefault((bus, k), (x, i))
            if other != x and first != i:
                message = f"row {i}: line {k} of bus {bus} carries input {other} for row {first}, not input {x} as well"
                found.append(Violation("line-two-inputs", message, row=i))
            lines_of[bus, x].add(k)
            rows_of[bus, x].add(i)
    most = instance.rules.cells_per_weight
    for (bus, x), lines in lines_of.items():
        if len(lines) > most and len(rows_of[bus, x]) > 1:
            row, others = max(rows_of[bus, x]), ", ".join(str(i) for i in sorted(rows_of[bus, x])[:-1])
            drives = f"input {x} drives {len(lines)} lines of bus {bus} together with row {others}"
            found.append(Violation("input-many-lines", f"row {row}: {drives}; at most {most} allowed", row=row))
    return found
