"""Layers by enumeration: every injection of rows, every wiring, every choice of tunable connections.

Written from docs/mathematics.md alone; it shares nothing with the checker, the kernels or the reductions, which are
tested against it.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from matchopt.instances import LayerInstance, LayerMapping

Wires = tuple[tuple[int, int], ...]  # (cell, input) pairs of one row
Lines = dict[tuple[int, int], int]  # (bus, cell) -> the input that drives this line


@dataclass(frozen=True)
class RowChoice:
    """One row, decided: its hardware neuron, its wires, its tunable connections, and the gain once it is known."""

    neuron: int
    wires: Wires
    tuned: tuple[int, ...]
    gain: float = 1.0


Best = tuple[float, tuple[RowChoice, ...]]


def best_layers(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """The cheapest mapping with exactly t tunable connections, for t = 0 .. most_tuned; None where there is none."""
    search = _free if instance.hardware.free_routing else _shared
    return search(instance, most_tuned)


def mapping_of(instance: LayerInstance, rows: tuple[RowChoice, ...]) -> LayerMapping:
    """The mapping that `rows` describe."""
    wires = [wire for row in rows for wire in row.wires]
    return LayerMapping(
        neuron_of=np.array([row.neuron for row in rows], np.int64),
        wire_indptr=np.cumsum([0] + [len(row.wires) for row in rows]),
        cell=np.array([k for k, _ in wires], np.int64),
        input=np.array([x for _, x in wires], np.int64),
        gain=np.array([row.gain for row in rows], np.float64),
        tunable=np.array(sorted(e for row in rows for e in row.tuned), np.int64),
    )


def all_layers(instance: LayerInstance) -> Iterator[LayerMapping]:
    """Every feasible mapping of an instance with free routing and a fixed gain."""
    choices = _table(instance, instance.rules.tunable)
    for neurons in itertools.permutations(range(instance.hardware.n_neurons), instance.n_rows):
        for rows in itertools.product(*(choices[i, j] for i, j in enumerate(neurons))):
            if sum(len(row.tuned) for row in rows) <= instance.rules.tunable:
                yield mapping_of(instance, rows)


def _table(instance: LayerInstance, most_tuned: int) -> dict[tuple[int, int], list[RowChoice]]:
    pairs = itertools.product(range(instance.n_rows), range(instance.hardware.n_neurons))
    return {(i, j): list(_choices(instance, i, j, most_tuned)) for i, j in pairs}


def _choices(instance: LayerInstance, i: int, j: int, most_tuned: int) -> Iterator[RowChoice]:
    """Every way to serve row `i` with neuron `j`, its gain left open."""
    target, rules = instance.target, instance.rules
    span = target.row(i)
    support = target.indices[span].tolist()
    cells = np.flatnonzero(instance.hardware.usable[j]).tolist()
    everywhere = range(target.n_inputs)
    for count in range(min(most_tuned, len(support)) + 1):
        for tuned in itertools.combinations(range(span.start, span.stop), count):
            exact = {int(target.indices[e]) for e in tuned}
            served = [x for x in support if x not in exact]
            heard = [x for x in (everywhere if rules.extra_inputs else support) if x not in exact]
            for inputs in itertools.product([None, *heard], repeat=len(cells)):
                counts = Counter(x for x in inputs if x is not None)
                if max(counts.values(), default=0) > rules.cells_per_weight:
                    continue
                if rules.drop or all(counts[x] for x in served):
                    wires = tuple((k, x) for k, x in zip(cells, inputs, strict=True) if x is not None)
                    yield RowChoice(j, wires, tuned)


def _priced(instance: LayerInstance, i: int, row: RowChoice, lines: Lines) -> tuple[float, RowChoice]:
    """The cost of row `i` at its best gain, and the row with that gain."""
    hardware, target, j = instance.hardware, instance.target, row.neuron
    raw, noise = np.zeros(target.n_inputs), np.zeros(target.n_inputs)
    for k, x in row.wires:
        raw[x] += hardware.weights[j, k]
        noise[x] += hardware.variance[j, k]
    used = {k for k, _ in row.wires}
    for (bus, k), x in lines.items():
        if bus == hardware.bus[j] and k not in used:
            raw[x] += hardware.off[j, k]
    wanted, span = np.zeros(target.n_inputs), target.row(i)
    wanted[target.indices[span]] = target.weights[span]
    exact = target.indices[list(row.tuned)]
    wanted[exact], raw[exact] = 0.0, 0.0  # a tunable connection is realised exactly, so it adds no error
    form = instance.objective.row_quadratic(target, i)
    matrix = np.diag(form) if form.ndim == 1 else form

    def cost(gain: float) -> float:
        error = wanted - gain * raw
        return float(error @ matrix @ error + gain**2 * (matrix.diagonal() @ noise))

    square = float(raw @ matrix @ raw + matrix.diagonal() @ noise)
    gain = min(_gains(instance, square, float(wanted @ matrix @ raw)), key=cost)
    return cost(gain), replace(row, gain=gain)


def _gains(instance: LayerInstance, square: float, cross: float) -> list[float]:
    """The gains among which the best is: all of a finite set; of an interval its ends and the least-squares gain."""
    gains = instance.rules.gains
    if gains.values is not None:
        return list(gains.values)
    assert gains.low is not None and gains.high is not None
    inner = [min(max(cross / square, gains.low), gains.high)] if square > 0 else []
    return [*inner, gains.low, gains.high]


def _free(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """Free routing: rows only compete for neurons and for the tunable budget."""
    best: dict[tuple[int, int, int], tuple[float, RowChoice]] = {}
    for (i, j), choices in _table(instance, most_tuned).items():
        for choice in choices:
            priced = _priced(instance, i, choice, {})
            key = (i, j, len(choice.tuned))
            if key not in best or priced[0] < best[key][0]:
                best[key] = priced
    answer: list[Best | None] = [None] * (most_tuned + 1)

    def extend(i: int, rows: tuple[RowChoice, ...], cost: float, tuned: int) -> None:
        if i == instance.n_rows:
            answer[tuned] = _better(answer[tuned], cost, rows)
            return
        for j in set(range(instance.hardware.n_neurons)) - {row.neuron for row in rows}:
            for more in range(most_tuned - tuned + 1):
                if (i, j, more) in best:
                    price, row = best[i, j, more]
                    extend(i + 1, (*rows, row), cost + price, tuned + more)

    extend(0, (), 0.0, 0)
    return answer


def _shared(instance: LayerInstance, most_tuned: int) -> list[Best | None]:
    """Shared buses: what a row costs depends on the lines that its neighbours on the bus drive."""
    table = _table(instance, most_tuned)
    answer: list[Best | None] = [None] * (most_tuned + 1)

    def extend(i: int, rows: tuple[RowChoice, ...], lines: Lines, tuned: int) -> None:
        if i == instance.n_rows:
            priced = [_priced(instance, n, row, lines) for n, row in enumerate(rows)]
            cost = sum(price for price, _ in priced)
            answer[tuned] = _better(answer[tuned], cost, tuple(row for _, row in priced))
            return
        for j in set(range(instance.hardware.n_neurons)) - {row.neuron for row in rows}:
            for row in table[i, j]:
                driven = _driven(lines, int(instance.hardware.bus[j]), row.wires, instance.rules.cells_per_weight)
                if driven is not None and tuned + len(row.tuned) <= most_tuned:
                    extend(i + 1, (*rows, row), driven, tuned + len(row.tuned))

    extend(0, (), {}, 0)
    return answer


def _driven(lines: Lines, bus: int, wires: Wires, most: int) -> Lines | None:
    """The lines with those of `wires` added; None when a line would carry two inputs, or an input too many lines."""
    driven = dict(lines)
    for k, x in wires:
        if driven.setdefault((bus, k), x) != x:
            return None
    counts = Counter((b, x) for (b, _), x in driven.items())
    return driven if max(counts.values(), default=0) <= most else None


def _better(old: Best | None, cost: float, rows: tuple[RowChoice, ...]) -> Best:
    return old if old is not None and old[0] <= cost else (cost, rows)
