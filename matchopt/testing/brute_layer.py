"""Layers by enumeration: every injection of rows, every wiring, every choice of tunable connections and of writes.

Written from docs/mathematics.md alone; it shares nothing with the checker, the kernels or the reductions, which are
tested against it.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matchopt.instances import LayerInstance, LayerMapping

Wires = tuple[tuple[int, int], ...]  # (cell, input) pairs of one row
Lines = dict[tuple[int, int], int]  # (bus, cell) -> the input that drives this line
Footprint = tuple[frozenset[int], frozenset[tuple[int, int]]]  # neurons, and (bus, cell) of lines

NO_LINES: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class RowChoice:
    """One row, decided: hardware neurons, the wires of each, tunable connections, what is written, and the gains."""

    neurons: tuple[int, ...]
    wires: tuple[Wires, ...]
    tuned: tuple[int, ...]
    written: tuple[tuple[float, ...], ...]  # into the cell of each wire of each neuron; NaN for nothing
    gains: tuple[float, ...] = ()

    @property
    def writes(self) -> int:
        """How many cells are written."""
        return sum(not np.isnan(value) for part in self.written for value in part)


Best = tuple[float, tuple[RowChoice, ...]]


def best_layers(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """The cheapest mapping with exactly t tunable connections, for t = 0 .. most_tuned; None where there is none."""
    search = _free if instance.hardware.free_routing else _shared
    return search(instance, most_tuned)


def by_footprint(instance: LayerInstance) -> dict[Footprint, Best]:
    """The cheapest mapping for each set of neurons and of lines, by their numbers on the chip; none is tunable."""
    found: dict[Footprint, Best] = {}
    prices = _Prices(instance)
    for rows, lines, _ in _states(instance, 0):
        neurons = frozenset(int(instance.hardware.neuron[j]) for row in rows for j in row.neurons)
        pairs = [
            (int(instance.hardware.bus[j]), wires)
            for row in rows
            for j, wires in zip(row.neurons, row.wires, strict=True)
        ]
        used = {(bus, k) for bus, wires in pairs for k, _ in wires}  # hard-wired lines among them
        key = (neurons, frozenset(lines) | used)
        found[key] = _better(found.get(key), *prices.together(rows, lines))
    return found


def by_lines(instance: LayerInstance) -> dict[tuple[tuple[int, ...], frozenset[tuple[int, int]]], Best]:
    """On one bus, the cheapest mapping for each neuron of every row and each (line, input) driven; none is tunable."""
    found: dict[Any, Best] = {}
    prices = _Prices(instance)
    for rows, lines, _ in _states(instance, 0):
        key = tuple(row.neurons[0] for row in rows), frozenset((k, x) for (_, k), x in lines.items())
        found[key] = _better(found.get(key), *prices.together(rows, lines))
    return found


def mapping_of(instance: LayerInstance, rows: tuple[RowChoice, ...]) -> LayerMapping:
    """The mapping that `rows` describe."""
    parts = [part for row in rows for part in row.wires]
    wires = [wire for part in parts for wire in part]
    return LayerMapping(
        neuron_of=np.array([j for row in rows for j in row.neurons], np.int64),
        wire_indptr=np.cumsum([0] + [len(part) for part in parts]),
        cell=np.array([k for k, _ in wires], np.int64),
        input=np.array([x for _, x in wires], np.int64),
        gain=np.array([gain for row in rows for gain in row.gains or [1.0] * len(row.neurons)], np.float64),
        tunable=np.array(sorted(e for row in rows for e in row.tuned), np.int64),
        row=np.array([i for i, row in enumerate(rows) for _ in row.neurons], np.int64),
        written=np.array([value for row in rows for part in row.written for value in part], np.float64),
    )


def all_layers(instance: LayerInstance) -> Iterator[LayerMapping]:
    """Every feasible mapping of an instance with free routing and a fixed gain."""
    choices = _table(instance, instance.rules.tunable)

    def extend(rows: tuple[RowChoice, ...]) -> Iterator[LayerMapping]:
        if len(rows) == instance.n_rows:
            written = sum(row.writes for row in rows)
            if sum(len(row.tuned) for row in rows) <= instance.rules.tunable and written <= _most_writes(instance):
                yield mapping_of(instance, rows)
            return
        for neurons in _sets(instance, rows):
            for row in choices[len(rows), neurons]:
                yield from extend((*rows, row))

    return extend(())


def _sets(instance: LayerInstance, rows: tuple[RowChoice, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every set of hardware neurons that a further row may have."""
    left = sorted(set(range(instance.hardware.n_neurons)) - {j for row in rows for j in row.neurons})
    for count in range(1, max(instance.rules.neurons_per_row, instance.rules.copies) + 1):
        yield from itertools.combinations(left, count)


def _table(instance: LayerInstance, most_tuned: int) -> dict[tuple[int, tuple[int, ...]], list[RowChoice]]:
    pairs = itertools.product(range(instance.n_rows), _sets(instance))
    return {(i, neurons): list(_choices(instance, i, neurons, most_tuned)) for i, neurons in pairs}


def _choices(instance: LayerInstance, i: int, neurons: tuple[int, ...], most_tuned: int) -> Iterator[RowChoice]:
    """Every way to serve row `i` with these neurons, their gains left open."""
    target, rules = instance.target, instance.rules
    span = target.row(i)
    support = target.indices[span].tolist()
    everywhere = range(target.n_inputs)
    for count in range(min(most_tuned, len(support)) + 1):
        for tuned in itertools.combinations(range(span.start, span.stop), count):
            exact = {int(target.indices[e]) for e in tuned}
            served = [x for x in support if x not in exact]
            heard = [x for x in (everywhere if rules.extra_inputs else support) if x not in exact]
            for wires in itertools.product(*(list(_wirings(instance, j, heard)) for j in neurons)):
                whole = [[part] for part in wires] if rules.copies > 1 else [list(wires)]
                counts = [Counter(x for part in parts for _, x in part) for parts in whole]
                if all(max(each.values(), default=0) <= rules.cells_per_weight for each in counts) and (
                    rules.drop or all(each[x] for each in counts for x in served)
                ):
                    parts = zip(neurons, wires, strict=True)
                    written = [_written(instance, i, j, part) for j, part in parts]
                    yield from (RowChoice(neurons, wires, tuned, each) for each in itertools.product(*written))


def _written(instance: LayerInstance, i: int, j: int, wires: Wires) -> list[tuple[float, ...]]:
    """Every way to write the cells of these wires of a neuron."""
    return list(itertools.product(*(_values(instance, i, j, k, x) for k, x in wires)))


def _values(instance: LayerInstance, i: int, j: int, k: int, x: int) -> list[float]:
    """What may be best to write into a cell that listens to `x`: nothing (NaN), a level, the nearest of a range."""
    target, chip, gains = instance.target, instance.hardware, instance.rules.gains
    found = [level for level in chip.levels[j, k].tolist() if level == level]
    if not np.isnan(chip.low[j, k]):
        wanted = target.dense()[i, x]
        tried = gains.values if gains.values is not None else (gains.low, gains.high, gains.default)
        aims = {wanted / gain for gain in tried if gain}
        found = sorted({float(np.clip(aim, chip.low[j, k], chip.high[j, k])) for aim in aims or {0.0}})
    return [np.nan, *found]


def _most_writes(instance: LayerInstance) -> float:
    return np.inf if instance.rules.writes is None else instance.rules.writes


def _wirings(instance: LayerInstance, j: int, heard: list[int]) -> Iterator[Wires]:
    """Every way to wire the cells of a neuron to these inputs."""
    cells = np.flatnonzero(instance.hardware.usable[j]).tolist()
    hearing = [[None, *(x for x in heard if instance.hardware.input[j, k] in (-1, x))] for k in cells]
    for inputs in itertools.product(*hearing):
        counts = Counter(x for x in inputs if x is not None)
        if max(counts.values(), default=0) <= instance.rules.cells_per_weight:
            yield tuple((k, x) for k, x in zip(cells, inputs, strict=True) if x is not None)


class _Prices:
    """What rows cost at their best gains; the same row is priced once for all that others drive but for what leaks."""

    def __init__(self, instance: LayerInstance) -> None:
        hardware, target = instance.hardware, instance.target
        self.instance, self.input, self.off = instance, hardware.input.tolist(), hardware.off.tolist()
        self.bus = hardware.bus.tolist()
        self.leaking = {(self.bus[j], k) for j, k in np.argwhere(hardware.off != 0.0).tolist()}
        self.wanted = target.dense()
        forms = [instance.objective.row_quadratic(target, i) for i in range(instance.n_rows)]
        self.forms = [np.diag(form) if form.ndim == 1 else form for form in forms]
        self.known: dict[Any, tuple[float, RowChoice]] = {}

    def together(self, rows: tuple[RowChoice, ...], lines: Lines) -> Best:
        """What the rows cost with all lines that they drive."""
        leaks = frozenset(line for line in lines.items() if line[0] in self.leaking) if self.leaking else NO_LINES
        priced = []
        for key in zip(range(len(rows)), rows, itertools.repeat(leaks)):
            if key not in self.known:
                self.known[key] = self.priced(key[0], key[1], dict(leaks))
            priced.append(self.known[key])
        return sum(price for price, _ in priced), tuple(row for _, row in priced)

    def priced(self, i: int, row: RowChoice, lines: Lines) -> tuple[float, RowChoice]:
        """The cost of row `i`, and the row with its best gains."""
        rules, exact = self.instance.rules, self.instance.target.indices[list(row.tuned)]
        raw, noise = self._realised(row, lines)
        if rules.copies > 1:  # their mean serves the row
            raw, noise = raw / len(raw), noise / len(raw) ** 2
        wanted, matrix = self.wanted[i].copy(), self.forms[i]
        wanted[exact], raw[:, exact] = 0.0, 0.0  # a tunable connection is realised exactly, so it adds no error
        spread = noise @ matrix.diagonal()

        def cost(gains: tuple[float, ...]) -> float:
            error = wanted - np.array(gains) @ raw
            return float(error @ matrix @ error + np.square(gains) @ spread)

        if rules.gains.values is not None:
            tried: Any = itertools.product(rules.gains.values, repeat=len(raw))
        else:
            tried = _gains(self.instance, raw @ matrix @ raw.T + np.diag(spread), raw @ matrix @ wanted)
        least, gains = min(((cost(gains), gains) for gains in tried), key=lambda found: found[0])
        return least, replace(row, gains=gains)

    def _realised(self, row: RowChoice, lines: Lines) -> tuple[np.ndarray, np.ndarray]:
        """What each neuron of a row adds at gain 1 to the weight of each input, and the variance of its reads."""
        hardware = self.instance.hardware
        raw, noise = np.zeros((2, len(row.neurons), self.instance.target.n_inputs))
        for a, (j, wires, written) in enumerate(zip(row.neurons, row.wires, row.written, strict=True)):
            for (k, x), value in zip(wires, written, strict=True):
                if math.isnan(value):
                    raw[a, x] += hardware.weights[j, k]
                    noise[a, x] += hardware.variance[j, k]
                else:
                    level = np.flatnonzero(hardware.levels[j, k] == value)
                    raw[a, x] += value
                    noise[a, x] += (
                        hardware.level_variance[j, k, level[0]] if len(level) else hardware.write_variance[j, k]
                    )
            used = {k for k, _ in wires}
            for (bus, k), x in lines.items():
                if bus == self.bus[j] and k not in used:
                    raw[a, x] += self.off[j][k]
            for k, x in enumerate(self.input[j]):
                if x >= 0 and k not in used:
                    raw[a, x] += self.off[j][k]
        return raw, noise


def _gains(instance: LayerInstance, square: np.ndarray, cross: np.ndarray) -> Iterator[tuple[float, ...]]:
    """The gains of an interval among which the best are: its ends, and least squares between."""
    gains, size = instance.rules.gains, len(cross)
    assert gains.low is not None and gains.high is not None
    for ends in itertools.product((gains.low, gains.high, None), repeat=size):
        free = [a for a, end in enumerate(ends) if end is None]
        found = np.array([end or 0.0 for end in ends])
        pull = cross[free] - square[free] @ found
        found[free] = np.linalg.lstsq(square[np.ix_(free, free)], pull, rcond=None)[0]
        yield tuple(np.clip(found, gains.low, gains.high).tolist())


def _free(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """Free routing: rows only compete for neurons and for the tunable budget."""
    best: dict[tuple[int, tuple[int, ...], int, int], tuple[float, RowChoice]] = {}
    prices = _Prices(instance)
    limited = instance.rules.writes is not None
    most_writes = min(instance.rules.writes or 0, instance.hardware.weights.size)
    for (i, neurons), choices in _table(instance, most_tuned).items():
        for choice in choices:
            priced = prices.priced(i, choice, {})
            key = (i, neurons, len(choice.tuned), choice.writes if limited else 0)
            if key not in best or priced[0] < best[key][0]:
                best[key] = priced
    answer: list[Best | None] = [None] * (most_tuned + 1)

    def extend(i: int, rows: tuple[RowChoice, ...], cost: float, tuned: int, left: int) -> None:
        if i == instance.n_rows:
            answer[tuned] = _better(answer[tuned], cost, rows)
            return
        for neurons in _sets(instance, rows):
            for more, writes in itertools.product(range(most_tuned - tuned + 1), range(left + 1)):
                if (i, neurons, more, writes) in best:
                    price, row = best[i, neurons, more, writes]
                    extend(i + 1, (*rows, row), cost + price, tuned + more, left - writes)

    extend(0, (), 0.0, 0, most_writes)
    return answer


def _shared(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """Shared buses: what a row costs depends on the lines that its neighbours on the bus drive."""
    answer: list[Best | None] = [None] * (most_tuned + 1)
    prices = _Prices(instance)
    for rows, lines, tuned in _states(instance, most_tuned):
        answer[tuned] = _better(answer[tuned], *prices.together(rows, lines))
    return answer


def _states(instance: LayerInstance, most_tuned: int) -> Iterator[tuple[tuple[RowChoice, ...], Lines, int]]:
    """All rows decided in every way, the lines that they drive, and how many connections are tunable."""
    table = {
        key: [(row, _routed(instance, row), len(row.tuned), row.writes) for row in rows]
        for key, rows in _table(instance, most_tuned).items()
    }

    def extend(rows: tuple[RowChoice, ...], lines: Lines, tuned: int, left: float) -> Iterator[Any]:
        if len(rows) == instance.n_rows:
            yield rows, lines, tuned
            return
        for neurons in _sets(instance, rows):
            for row, own, more, writes in table[len(rows), neurons]:
                if own is None or tuned + more > most_tuned or writes > left:
                    continue
                if all(lines.get(line, x) == x for line, x in own.items()):
                    driven = lines | own
                    if len(driven) == len(own) or _few_enough(driven, instance.rules.cells_per_weight):
                        yield from extend((*rows, row), driven, tuned + more, left - writes)

    return extend((), {}, 0, _most_writes(instance))


def _routed(instance: LayerInstance, row: RowChoice) -> Lines | None:
    """The lines that a row drives; what is hard-wired needs none. None where its neurons need one for two inputs."""
    driven: Lines = {}
    for j, wires in zip(row.neurons, row.wires, strict=True):
        bus, hard = int(instance.hardware.bus[j]), instance.hardware.input[j]
        for k, x in wires:
            if hard[k] < 0 and driven.setdefault((bus, k), x) != x:
                return None
    return driven if _few_enough(driven, instance.rules.cells_per_weight) else None


def _few_enough(lines: Lines, most: int) -> bool:
    """Whether every input drives at most so many lines of a bus."""
    return max(Counter((bus, x) for (bus, _), x in lines.items()).values(), default=0) <= most


def _better(old: Best | None, cost: float, rows: tuple[RowChoice, ...]) -> Best:
    return old if old is not None and old[0] <= cost else (cost, rows)
