"""The variables and rows of one layer inside a program; see `layer_program` for their meaning."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.reduce.builder import ProgramBuilder

NONE = math.nan  # one object, as NaN differs from itself
Place = tuple[int, float, int]  # hardware neuron, gain, and how many copies the row has
Wire = tuple[int, Place, int, int]  # row, place, cell and input


@dataclass(frozen=True)
class Atom:
    """A binary that adds `value` to realised[row, input]; `noise` is what it adds to the error per unit of S[x,x]."""

    variable: int
    input: int
    value: float
    noise: float
    place: Place | None  # None for a tunable connection, which works wherever the row sits
    cell: int
    leaks: bool = False


class LayerBlock:
    """Adds one layer to `builder`; afterwards translates between points and mappings.

    Parameters
    ----------
    builder : the program under construction.
    layer : a layer with a finite set of gains.
    coupled : buses whose lines other layers may drive as well.
    """

    def __init__(self, builder: ProgramBuilder, layer: LayerInstance, coupled: frozenset[int] = frozenset()) -> None:
        self.layer = layer
        self.sits: dict[tuple[int, Place], int] = {}
        self.on: dict[Wire, dict[float, int]] = {}  # by what is written into the cell, NONE for nothing
        self.off: dict[Wire, int] = {}
        self.line: dict[tuple[int, int, int], int] = {}
        self.wired: dict[tuple[int, int], int] = {}  # whether the layer uses a hard-wired line, where others might
        self.tuned: dict[int, int] = {}
        self.many: dict[tuple[int, int], int] = {}
        self.products: list[tuple[int, int, int]] = []
        self._atoms: dict[int, list[Atom]] = defaultdict(list)
        bus, sizes = np.unique(layer.hardware.bus, return_counts=True)
        self._shared = {int(b) for b, size in zip(bus, sizes, strict=True) if size > 1 or int(b) in coupled}
        self._leaks_always = bool(((layer.hardware.input >= 0) & (layer.hardware.off != 0.0)).any())
        self._full = layer.target.dense()
        self._inputs = [self._inputs_of(i) for i in range(layer.n_rows)]
        self._add_places(builder)
        self._add_lines(builder)
        self._add_cells(builder)
        self._add_writes(builder)
        self._add_tunable(builder)
        self._add_connections(builder)
        self._add_driven(builder)
        self._add_objective(builder)

    def _inputs_of(self, i: int) -> list[int]:
        target = self.layer.target
        if self.layer.rules.extra_inputs:
            return list(range(target.n_inputs))
        return [int(x) for x in target.indices[target.row(i)]]

    def _add_places(self, builder: ProgramBuilder) -> None:
        layer, rules = self.layer, self.layer.rules
        every = [
            (j, g, n)
            for j in range(layer.hardware.n_neurons)
            for g in rules.gains.values or ()
            for n in range(1, rules.copies + 1)
        ]
        for i in range(layer.n_rows):
            self.sits |= {(i, place): builder.variable() for place in every}
            if rules.copies == 1:
                builder.row({self.sits[i, place]: 1.0 for place in every}, 1.0, float(rules.neurons_per_row))
                continue
            for n in range(1, rules.copies + 1):
                self.many[i, n] = builder.variable()
                copies = {self.sits[i, place]: 1.0 for place in every if place[2] == n}
                builder.row({**copies, self.many[i, n]: -float(n)}, 0.0, 0.0)
            builder.row({self.many[i, n]: 1.0 for n in range(1, rules.copies + 1)}, 1.0, 1.0)
        for j in range(layer.hardware.n_neurons):
            terms = {v: 1.0 for (_, place), v in self.sits.items() if place[0] == j}
            if terms:
                builder.row(terms, high=1.0)

    def _add_lines(self, builder: ProgramBuilder) -> None:
        used = sorted({x for inputs in self._inputs for x in inputs})
        most = float(self.layer.rules.cells_per_weight)
        for bus in sorted(self._shared):
            j = int(np.argmax(self.layer.hardware.bus == bus))
            cells = np.flatnonzero(self.layer.hardware.input[j] < 0).tolist()  # the others are driven always
            for k in cells:
                for x in used:
                    self.line[bus, k, x] = builder.variable()
                if used:
                    builder.row({self.line[bus, k, x]: 1.0 for x in used}, high=1.0)
            for x in used:
                builder.row({self.line[bus, k, x]: 1.0 for k in cells}, high=most)

    def _add_cells(self, builder: ProgramBuilder) -> None:
        hardware, rules = self.layer.hardware, self.layer.rules
        alone = rules.copies == 1 and (rules.neurons_per_row == 1 or rules.cells_per_weight == 1)
        users: dict[tuple[int, ...], dict[int, float]] = defaultdict(dict)  # of one line, of which one at most is on
        for (i, place), sits in self.sits.items():
            j, g, n = place
            bus, factor, cells = int(hardware.bus[j]), g / n, np.flatnonzero(hardware.usable[j]).tolist()
            for k in cells:
                heard = [x for x in self._inputs[i] if hardware.input[j, k] in (-1, x)]
                for x in heard:
                    ways = self.on[i, place, k, x] = {}
                    for written, value, variance in self._states(j, k, self._full[i, x] / g if g else 0.0):
                        v = ways[written] = builder.variable()
                        self._atoms[i].append(Atom(v, x, factor * value, factor * factor * variance, place, k))
                    if (bus, k, x) in self.line:
                        users[bus, k, x, i, -1 if alone else j] |= dict.fromkeys(ways.values(), 1.0)
                if heard:  # a cell carries at most one input, and none where the row does not sit
                    terms = {v: 1.0 for x in heard for v in self.on[i, place, k, x].values()}
                    builder.row({**terms, sits: -1.0}, high=0.0)
            for x in self._inputs[i] if bus in self._shared and alone else ():
                served = {v: 1.0 for k in cells for v in self.on.get((i, place, k, x), {}).values()}
                builder.row({**served, sits: -float(rules.cells_per_weight)}, high=0.0)
        for (bus, k, x, *_), terms in users.items():
            builder.row({**terms, self.line[bus, k, x]: -1.0}, high=0.0)

    def _states(self, j: int, k: int, aim: float) -> Iterator[tuple[float, float, float]]:
        """What may be written into a cell, NONE for nothing, with what it then reads and the variance of that.

        Of a range the value nearest to `aim` is the best, where the error separates and one cell serves a weight.
        """
        chip = self.layer.hardware
        yield NONE, float(chip.weights[j, k]), float(chip.variance[j, k])
        low, high = float(chip.low[j, k]), float(chip.high[j, k])
        if low <= high:
            value = min(max(aim, low), high)
            yield value, value, float(chip.write_variance[j, k])
        for value, variance in zip(chip.levels[j, k].tolist(), chip.level_variance[j, k].tolist(), strict=True):
            if not math.isnan(value):
                yield value, value, variance

    def _add_writes(self, builder: ProgramBuilder) -> None:
        budget = self.layer.rules.writes
        terms = {v: 1.0 for ways in self.on.values() for written, v in ways.items() if written is not NONE}
        if budget is not None and terms:
            builder.row(terms, high=float(budget))

    def _add_tunable(self, builder: ProgramBuilder) -> None:
        target, budget = self.layer.target, self.layer.rules.tunable
        if budget == 0:
            return
        for e in range(target.n_connections):
            v = builder.variable()
            self.tuned[e] = v
            atom = Atom(v, int(target.indices[e]), float(target.weights[e]), 0.0, None, -1)
            self._atoms[int(target.row_of[e])].append(atom)
        if self.tuned:
            builder.row(dict.fromkeys(self.tuned.values(), 1.0), high=float(budget))

    def _add_connections(self, builder: ProgramBuilder) -> None:
        """Every connection is realised by 1 .. c cells or is tunable, unless it may be dropped; others by 0 .. c.

        Of copies each must do so.
        """
        target, rules = self.layer.target, self.layer.rules
        cells: dict[tuple[int, int, Place | None], dict[int, float]] = defaultdict(dict)
        for (i, place, _, x), ways in self.on.items():
            cells[i, x, place if rules.copies > 1 else None] |= dict.fromkeys(ways.values(), 1.0)
        most = float(rules.cells_per_weight)
        number = {(int(target.row_of[e]), int(target.indices[e])): e for e in range(target.n_connections)}
        if rules.copies == 1:
            cells |= {(i, x, None): {} for i, x in number if (i, x, None) not in cells}
        else:
            cells |= {(i, x, p): {} for i, p in self.sits for x in self._inputs[i] if (i, x, p) not in cells}
        for (i, x, where), terms in cells.items():
            e = number.get((i, x))
            tuned = {} if e is None or e not in self.tuned else {self.tuned[e]: 1.0}
            builder.row({**terms, **{v: most for v in tuned}}, high=most)  # tunable leaves no room for cells
            if e is not None and not rules.drop:
                sits = {} if where is None else {self.sits[i, where]: -1.0}
                builder.row({**terms, **tuned, **sits}, low=1.0 if where is None else 0.0)

    def _add_driven(self, builder: ProgramBuilder) -> None:
        hardware = self.layer.hardware
        users: dict[tuple[int, int, int], dict[int, float]] = defaultdict(dict)
        for (_, (j, _, _), k, x), ways in self.on.items():
            users[int(hardware.bus[j]), k, x] |= dict.fromkeys(ways.values(), -1.0)
        for (bus, k, x), v in self.line.items():  # a line carries an input only if some row listens
            builder.row({v: 1.0, **users[bus, k, x]}, high=0.0)
        leaking = {(int(j), int(k)) for j, k in np.argwhere(hardware.off != 0.0)}
        if not leaking:
            return  # a crossbar has many lines
        own = [(j, k, int(hardware.input[j, k])) for j, k in sorted(leaking) if hardware.input[j, k] >= 0]
        target = self.layer.target
        tuned = {(int(target.row_of[e]), int(target.indices[e])): v for e, v in self.tuned.items()}
        lines: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for bus, k, x in self.line:
            lines[bus].append((k, x))
        for (i, place), sits in self.sits.items():
            bus = int(hardware.bus[place[0]])
            for k, x in lines[bus]:
                if (place[0], k) in leaking:
                    self._add_leak(builder, (i, place, k, x), sits, self.line[bus, k, x], tuned.get((i, x)))
            for j, k, x in own:
                if j == place[0]:
                    self._add_leak(builder, (i, place, k, x), sits, None, tuned.get((i, x)))

    def _add_leak(self, builder: ProgramBuilder, key: Wire, sits: int, line: int | None, tuned: int | None) -> None:
        """The cell is off while its line is driven with x (for None always), and counts where x is not tunable."""
        i, (j, g, n), k, x = key
        v = builder.variable()
        self.off[key] = v
        either = {v: 1.0, **dict.fromkeys(self.on.get(key, {}).values(), 1.0)}
        builder.row({**either, sits: -1.0}, high=0.0)
        driven = {} if line is None else {line: -1.0}
        if driven:
            builder.row({**either, **driven}, high=0.0)
        pardon = {} if tuned is None else {tuned: 1.0}  # a tunable connection is exact: the leak does not count
        builder.row({**either, sits: -1.0, **driven, **pardon}, low=-float(len(driven)))
        if tuned is not None:
            builder.row({v: 1.0, tuned: 1.0}, high=1.0)
        self._atoms[i].append(Atom(v, x, g / n * float(self.layer.hardware.off[j, k]), 0.0, (j, g, n), k, True))

    def users_of_wired_lines(self) -> dict[tuple[int, int], list[int]]:
        """Of each hard-wired line of a shared bus the variables of cells on it that are on."""
        hardware = self.layer.hardware
        users: dict[tuple[int, int], list[int]] = defaultdict(list)
        for (_, (j, _, _), k, _), ways in self.on.items():
            if hardware.input[j, k] >= 0 and int(hardware.bus[j]) in self._shared:
                users[int(hardware.bus[j]), k].extend(ways.values())
        return users

    def _add_objective(self, builder: ProgramBuilder) -> None:
        full = self._full
        for i in range(self.layer.n_rows):
            moments = self.layer.objective.row_quadratic(self.layer.target, i)
            pull = moments @ full[i] if moments.ndim == 2 else moments * full[i]
            diagonal = moments.diagonal() if moments.ndim == 2 else moments
            builder.offset += float(full[i] @ pull)
            atoms = self._atoms[i]
            for atom in atoms:
                x = atom.input
                cost = diagonal[x] * (atom.value**2 + atom.noise) - 2.0 * atom.value * pull[x]
                builder.add_cost(atom.variable, float(cost))
            self._add_products(builder, atoms, moments)

    def _add_products(self, builder: ProgramBuilder, atoms: list[Atom], moments: np.ndarray) -> None:
        rules = self.layer.rules
        if rules.cells_per_weight == 1 and rules.neurons == 1 and not self._leaks_always and moments.ndim == 1:
            return  # at most one atom per (row, input) is 1, and different inputs do not interact
        for n, a in enumerate(atoms):
            for b in atoms[:n]:
                if (a.input == b.input or moments.ndim == 2) and self._together(a, b):
                    between = moments[a.input, b.input] if moments.ndim == 2 else moments[a.input]
                    cost = 2.0 * a.value * b.value * float(between)
                    if cost != 0.0:
                        both = builder.product(a.variable, b.variable, cost)
                        self.products.append((both, a.variable, b.variable))

    def _together(self, a: Atom, b: Atom) -> bool:
        """Whether both can be 1."""
        rules, same = self.layer.rules, a.input == b.input
        if a.place is None or b.place is None:
            return not same
        if a.place == b.place:
            leaking = self._leaks_always and (a.leaks or b.leaks)
            return a.cell != b.cell and (not same or rules.cells_per_weight > 1 or leaking)
        if rules.neurons == 1 or a.place[0] == b.place[0] or a.place[2] != b.place[2]:
            return False
        return not same or rules.copies > 1 or rules.cells_per_weight > 1 or a.leaks or b.leaks

    def mapping(self, chosen: np.ndarray) -> LayerMapping:
        """The mapping that the binaries of a feasible point describe."""
        used = sorted((i, place) for (i, place), v in self.sits.items() if chosen[v])
        number = {key: a for a, key in enumerate(used)}
        found = (
            (number[i, p], x, k, w) for (i, p, k, x), ways in self.on.items() for w, v in ways.items() if chosen[v]
        )
        wires = sorted(found, key=lambda wire: wire[:3])
        counts = np.bincount(np.array([wire[0] for wire in wires], dtype=np.int64), minlength=len(used))
        inputs, cells = (np.array([wire[n] for wire in wires], dtype=np.int64) for n in (1, 2))
        written = np.array([w for *_, w in wires], dtype=np.float64)
        tunable = np.array([e for e, v in self.tuned.items() if chosen[v]], dtype=np.int64)
        row, neuron_of = (np.array(part, np.int64) for part in ([i for i, _ in used], [p[0] for _, p in used]))
        gain = np.array([place[1] for _, place in used], dtype=np.float64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return LayerMapping(neuron_of, starts, cells, inputs, gain, tunable, row=row, written=written)

    def place(self, mapping: LayerMapping, x: np.ndarray) -> None:
        """Set the variables of this layer in `x` to those of a feasible `mapping`."""
        hardware, places = self.layer.hardware, []
        counts = np.bincount(mapping.row) if self.layer.rules.copies > 1 else np.ones(mapping.n_rows, int)
        for i, j, g in zip(mapping.row.tolist(), mapping.neuron_of.tolist(), mapping.gain.tolist(), strict=True):
            places.append((i, (j, g, int(counts[i]))))
            if places[-1] not in self.sits:
                raise Refused(f"the start puts row {i} on neuron {j} with gain {g}, which the rules do not allow")
            x[self.sits[places[-1]]] = 1.0
            if self.many:
                x[self.many[i, int(counts[i])]] = 1.0
        written = np.full(len(mapping.cell), np.nan) if mapping.written is None else mapping.written
        listed = (part.tolist() for part in (mapping.place_of, mapping.cell, mapping.input, written))
        for a, k, source, value in zip(*listed, strict=True):
            i, place = places[a]
            ways = self.on.get((i, place, k, source), {})
            values = [state for state in ways if (state is NONE) == math.isnan(value)]
            if not values:
                raise Refused(f"the start wires input {source} of row {i} to cell {k}, which the rules do not allow")
            nearest = values[0] if math.isnan(value) else min(values, key=lambda state: abs(state - value))
            x[ways[nearest]] = 1.0
            line = (int(hardware.bus[place[0]]), k, source)
            if line in self.line:
                x[self.line[line]] = 1.0
            if line[:2] in self.wired:
                x[self.wired[line[:2]]] = 1.0
        for e in mapping.tunable.tolist():
            x[self.tuned[e]] = 1.0
        self._place_derived(x)

    def _place_derived(self, x: np.ndarray) -> None:
        target, hardware = self.layer.target, self.layer.hardware
        tuned = {(int(target.row_of[e]), int(target.indices[e])) for e, v in self.tuned.items() if x[v]}
        for key, v in self.off.items():
            i, place, k, source = key
            line = self.line.get((int(hardware.bus[place[0]]), k, source))
            driven = (line is None or x[line]) and x[self.sits[i, place]]
            used = any(x[way] for way in self.on.get(key, {}).values())
            x[v] = float(bool(driven) and not used and (i, source) not in tuned)
        for both, first, second in self.products:
            x[both] = x[first] * x[second]
