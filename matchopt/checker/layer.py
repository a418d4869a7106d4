"""The rules of a layer mapping (docs/mathematics.md), one function per group of rules."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from matchopt.checker.report import Violation
from matchopt.instances import LayerInstance, LayerMapping


def layer_violations(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    """Every broken rule of a mapping."""
    if mapping.n_rows != instance.n_rows:
        message = f"the mapping must have one row per target neuron, {instance.n_rows}, found {mapping.n_rows}"
        yield Violation("row-count", message)
        return
    for rule in (_neurons, _parts, _gains, _tunable):
        yield from rule(instance, mapping)
    for a, i in enumerate(mapping.row.tolist()):
        yield from _cells(instance, mapping, a, i)
        yield from _inputs(instance, mapping, a, i)
    yield from _written(instance, mapping)
    tuned = set(mapping.tunable.tolist())
    places: dict[int, list[int]] = defaultdict(list)
    for a, i in enumerate(mapping.row.tolist()):
        places[i].append(a)
    for i in range(instance.n_rows):
        together = [places[i]] if instance.rules.copies == 1 else [[a] for a in places[i]]  # each copy serves all
        for group in together:
            yield from _connections(instance, mapping, i, group, tuned)
    yield from _lines(instance, mapping)


def _neurons(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    row_on: dict[int, int] = {}
    for i, j in zip(mapping.row.tolist(), mapping.neuron_of.tolist(), strict=True):
        if not 0 <= j < instance.hardware.n_neurons:
            message = f"hardware neuron {j} is not in 0 .. {instance.hardware.n_neurons - 1}"
            yield Violation.of_row("neuron-range", i, message)
        elif j in row_on:
            message = f"hardware neuron {j} is taken by row {row_on[j]} already; each row needs one of its own"
            yield Violation.of_row("neuron-used-twice", i, message)
        row_on.setdefault(j, i)


def _parts(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    rules, rows = instance.rules, mapping.row.tolist()
    counts = Counter(rows)
    most = max(rules.neurons_per_row, rules.copies)
    for i in range(instance.n_rows):
        if counts[i] == 0:
            yield Violation.of_row("row-without-neuron", i, "the row has no hardware neuron; each row needs one")
        elif counts[i] > most:
            message = f"the row has {counts[i]} hardware neurons; at most {most} per row are allowed"
            yield Violation.of_row("too-many-neurons", i, message)


def _gains(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    gains = instance.rules.gains
    for i, gain in zip(mapping.row.tolist(), mapping.gain.tolist(), strict=True):
        if not math.isfinite(gain):
            yield Violation.of_row("gain-not-finite", i, f"the gain must be a finite number, found {gain}")
        elif gains.values is not None and gain not in gains.values:
            allowed = ", ".join(f"{value:g}" for value in gains.values)
            yield Violation.of_row("gain-not-allowed", i, f"the gain must be one of {allowed}, found {gain!r}")
        elif gains.low is not None and gains.high is not None and not gains.low <= gain <= gains.high:
            message = f"the gain must be in {gains.low:g} .. {gains.high:g}, found {gain!r}"
            yield Violation.of_row("gain-not-allowed", i, message)


def _tunable(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    target, before = instance.target, -1
    for e in mapping.tunable.tolist():
        if not 0 <= e < target.n_connections:
            yield Violation("tunable-range", f"tunable connection {e} is not in 0 .. {target.n_connections - 1}")
            continue
        row = int(target.row_of[e])
        if e == before:
            yield Violation.of_row("tunable-repeated", row, f"tunable connection {e} is listed twice")
        elif e < before:
            message = f"tunable connection {e} is listed after {before}; list them in ascending order"
            yield Violation.of_row("tunable-order", row, message)
        before = e
    yield from _tuned(mapping)
    budget = instance.rules.tunable
    if len(mapping.tunable) > budget:
        message = f"the layer: at most {budget} tunable connections are allowed, found {len(mapping.tunable)}"
        yield Violation("tunable-budget", message)


def _tuned(mapping: LayerMapping) -> Iterator[Violation]:
    if mapping.tuned is None:
        return
    if len(mapping.tuned) != len(mapping.tunable):
        needed = f"{len(mapping.tunable)} tunable connections need as many values, found {len(mapping.tuned)}"
        yield Violation("tuned-count", f"the layer: {needed}")
        return
    for e, value in zip(mapping.tunable.tolist(), mapping.tuned.tolist(), strict=True):
        if not math.isfinite(value):
            message = f"tunable connection {e}: its value must be a finite number, found {value}"
            yield Violation("tuned-not-finite", message)


def _cells(instance: LayerInstance, mapping: LayerMapping, a: int, i: int) -> Iterator[Violation]:
    hardware, j = instance.hardware, int(mapping.neuron_of[a])
    known_neuron = 0 <= j < hardware.n_neurons
    input_on: dict[int, int] = {}
    for k, x in mapping.wires(a):
        if not 0 <= k < hardware.n_cells:
            yield Violation.of_row("cell-range", i, f"cell {k} is not in 0 .. {hardware.n_cells - 1}")
            continue
        if known_neuron and not hardware.usable[j, k]:
            yield Violation.of_row("cell-unusable", i, f"cell {k} of hardware neuron {j} cannot be used; take another")
        if known_neuron and hardware.input[j, k] not in (-1, x):
            message = f"cell {k} of hardware neuron {j} is hard-wired to input {hardware.input[j, k]}, not to input {x}"
            yield Violation.of_row("cell-hard-wired", i, message)
        if k in input_on and input_on[k] == x:
            yield Violation.of_row("wire-twice", i, f"the wire of cell {k} to input {x} is listed twice")
        elif k in input_on:
            message = f"cell {k} listens to input {input_on[k]} and to input {x}; a cell carries one input"
            yield Violation.of_row("cell-two-inputs", i, message)
        input_on.setdefault(k, x)


def _written(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    if mapping.written is None:
        return
    chip, count = instance.hardware, 0
    for n, value in enumerate(mapping.written.tolist()):
        a, i, k = int(mapping.place_of[n]), int(mapping.row_of[n]), int(mapping.cell[n])
        j = int(mapping.neuron_of[a])
        if math.isnan(value):
            continue
        count += 1
        if not (0 <= j < chip.n_neurons and 0 <= k < chip.n_cells):
            continue
        low, high = float(chip.low[j, k]), float(chip.high[j, k])
        levels = [level for level in chip.levels[j, k].tolist() if not math.isnan(level)]
        cell = f"cell {k} of hardware neuron {j}"
        if not levels and math.isnan(low):
            yield Violation.of_row("cell-not-programmable", i, f"{cell} cannot be written; {value!r} is to be")
        elif levels and value not in levels:
            listed = ", ".join(f"{level:g}" for level in levels)
            yield Violation.of_row("written-level", i, f"{cell} can be written to {listed}, found {value!r}")
        elif not levels and not low <= value <= high:
            yield Violation.of_row("written-range", i, f"{cell} can be written to {low:g} .. {high:g}, found {value!r}")
    budget = instance.rules.writes
    if budget is not None and count > budget:
        yield Violation("write-budget", f"the layer: at most {budget} cells may be written, found {count}")


def _inputs(instance: LayerInstance, mapping: LayerMapping, a: int, i: int) -> Iterator[Violation]:
    n_inputs = instance.target.n_inputs
    support = set(instance.target.indices[instance.target.row(i)].tolist())
    for k, x in mapping.wires(a):
        if not 0 <= x < n_inputs:
            yield Violation.of_row("input-range", i, f"input {x} of cell {k} is not in 0 .. {n_inputs - 1}")
        elif x not in support and not instance.rules.extra_inputs:
            message = f"cell {k} listens to input {x}, which the target does not have; extra inputs are not allowed"
            yield Violation.of_row("input-outside-support", i, message)


def _connections(
    instance: LayerInstance, mapping: LayerMapping, i: int, places: list[int], tuned: set[int]
) -> Iterator[Violation]:
    """Whether the hardware neurons at `places` together serve all that row `i` needs."""
    cells_on: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for a in places:
        for k, x in mapping.wires(a):
            cells_on[x].add((a, k))
    most, part = instance.rules.cells_per_weight, instance.target.row(i)
    for x, cells in cells_on.items():
        if len(cells) > most:
            message = f"input {x} is served by {len(cells)} cells; at most {most} per weight are allowed"
            yield Violation.of_row("too-many-cells", i, message)
    for e, x in enumerate(instance.target.indices[part].tolist(), start=part.start):
        if e in tuned and x in cells_on:
            message = f"input {x} (connection {e}) is tunable and has cells as well; leave the cells out"
            yield Violation.of_row("tunable-has-cells", i, message)
        if e not in tuned and x not in cells_on and not instance.rules.drop:
            message = f"input {x} (connection {e}) is not realised; dropping connections is not allowed"
            yield Violation.of_row("connection-unrealised", i, message)


def _lines(instance: LayerInstance, mapping: LayerMapping) -> Iterator[Violation]:
    """What neurons on one bus must agree on; within one neuron the other rules say the same."""
    line_input: dict[tuple[int, int], tuple[int, int]] = {}  # (bus, line): (input, first neuron that drives it)
    lines_of: dict[tuple[int, int], set[int]] = defaultdict(set)  # (bus, input): lines
    users_of: dict[tuple[int, int], set[int]] = defaultdict(set)  # (bus, input): places of neurons
    known = [j for j in mapping.neuron_of.tolist() if 0 <= j < instance.hardware.n_neurons]
    sharing = Counter(instance.hardware.bus[known].tolist())
    for a, (i, j) in enumerate(zip(mapping.row.tolist(), mapping.neuron_of.tolist(), strict=True)):
        if not 0 <= j < instance.hardware.n_neurons:
            continue
        bus = int(instance.hardware.bus[j])
        if sharing[bus] == 1:
            continue
        for k, x in mapping.wires(a):
            other, first = line_input.setdefault((bus, k), (x, a))
            if other != x and first != a:
                here = f"input {other} for row {mapping.row[first]}"
                message = f"line {k} of bus {bus} carries {here}, not input {x} as well"
                yield Violation.of_row("line-two-inputs", i, message)
            if 0 <= k < instance.hardware.n_cells and instance.hardware.input[j, k] >= 0:
                continue  # driven whoever listens, so that no one drives it
            lines_of[bus, x].add(k)
            users_of[bus, x].add(a)
    most = instance.rules.cells_per_weight
    for (bus, x), lines in lines_of.items():
        if len(lines) > most and len(users_of[bus, x]) > 1:
            users = [int(mapping.row[a]) for a in sorted(users_of[bus, x])]
            row, others = users[-1], ", ".join(str(i) for i in users[:-1])
            drives = f"input {x} drives {len(lines)} lines of bus {bus} together with row {others}"
            yield Violation.of_row("input-many-lines", row, f"{drives}; at most {most} allowed")
