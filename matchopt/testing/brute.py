"""The optimum of tiny instances by enumeration, the yardstick of the conformance kit."""

import itertools
import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
)
from matchopt.instances.demands import ANY_AT_0_1, understanding
from matchopt.testing.brute_layer import Best, all_layers, best_layers, by_footprint, by_lines, mapping_of
from matchopt.testing.brute_program import best_program
from matchopt.testing.optimum import INFEASIBLE, Optimum

Cost = float | int  # integer costs stay Python integers


@understanding(
    "the enumeration",
    ANY_AT_0_1
    | {"several-neurons", "copies", "one-chip", "chained", "programmable-cells"}
    | {"write-budget", "hard-wired"},
)
def brute_force(instance: Instance) -> Optimum:
    """Return the optimum of a tiny instance of any kind, by trying everything that is finite.

    Digital biases and fully tunable weights are left at the target's values, cells in a range are written as near to
    them as they can be; where other values could be better, the result says that it is not proven.

    The time grows exponentially: up to about 7 rows of an assignment, 3 rows with 4 cells of a layer with free
    routing, 2 rows on shared buses, 2^16 integral points of a program.

    Raises
    ------
    ValueError
        when there is nothing finite to enumerate (an unbounded integral variable; a network with an objective of its
        own whose layers have shared buses or a choice of gains).
    """
    match instance:
        case AssignmentInstance():
            return best_assignment(instance)
        case LayerInstance():
            return _layer(instance)
        case NetworkInstance():
            if instance.objective is not None:
                return _coupled(instance)
            if instance.chained:
                return _chained(instance)
            return _on_one_chip(instance) if instance.one_chip else _network(instance)
        case ProgramInstance():
            return best_program(instance)
    raise ValueError(f"no enumeration for {type(instance).__name__}")


def best_assignment(instance: AssignmentInstance) -> Optimum:
    """The optimum of an assignment; integer costs are added as Python integers, which cannot overflow."""
    rows = [dict(zip(*(part.tolist() for part in instance.row(i)), strict=True)) for i in range(instance.n_rows)]
    best: tuple[int, ...] | None = None
    least: Cost = math.inf

    def extend(columns: tuple[int, ...], cost: Cost) -> None:
        nonlocal best, least
        if len(columns) == len(rows):
            if best is None or cost < least:
                best, least = columns, cost
            return
        for column, price in rows[len(columns)].items():
            if column not in columns:
                extend((*columns, column), cost + price)

    extend((), 0)
    if best is None:
        return INFEASIBLE
    return Optimum(least if instance.is_integral else float(least), Assignment(np.array(best, np.int64)))


def _layer(instance: LayerInstance) -> Optimum:
    found = [best for best in best_layers(instance, instance.rules.tunable) if best is not None]
    if not found:
        return INFEASIBLE
    cost, rows = min(found, key=lambda best: best[0])
    return Optimum(cost, mapping_of(instance, rows), proven=_exact_is_best(instance))


def _exact_is_best(layer: LayerInstance) -> bool:
    """Whether what is tunable is best at its target: it is, unless it can make up for the errors of other weights.

    A cell that is written somewhere in a range can also make up for those of other cells of its weight, those that are
    hard-wired to its input and leak among them, and for a gain.
    """
    chip, ranged = layer.hardware, _ranged(layer)
    coupled = layer.rules.cells_per_weight > 1 or layer.rules.gains.is_interval or layer.rules.neurons > 1
    coupled = coupled or bool(((chip.input >= 0) & (chip.off != 0.0)).any())
    free = layer.rules.tunable > 0 or ranged
    return not (free and not layer.objective.is_diagonal) and not (ranged and coupled)


def _ranged(layer: LayerInstance) -> bool:
    """Whether any value of a range may be written into some cell."""
    return not np.isnan(layer.hardware.low).all()


def _network(instance: NetworkInstance) -> Optimum:
    """Layers only compete for the network's tunable budget, a cap on their sum besides the layers' own caps."""
    curves: list[list[tuple[int, Best]]] = []
    for layer in instance.layers:
        curve = best_layers(layer, layer.rules.tunable)
        curves.append([(tuned, best) for tuned, best in enumerate(curve) if best is not None])
    budget = math.inf if instance.tunable is None else instance.tunable
    least, chosen = math.inf, None
    for parts in itertools.product(*curves):
        cost = sum(best[0] for _, best in parts)
        if sum(tuned for tuned, _ in parts) <= budget and cost < least:
            least, chosen = cost, parts
    if chosen is None:
        return INFEASIBLE
    mappings = (mapping_of(layer, best[1]) for layer, (_, best) in zip(instance.layers, chosen, strict=True))
    proven = all(_exact_is_best(layer) for layer in instance.layers)
    return Optimum(least, NetworkMapping(tuple(mappings)), proven)


def _on_one_chip(instance: NetworkInstance) -> Optimum:
    """Layers compete for neurons and lines: every combination of what each of them occupies."""
    if any(layer.rules.tunable for layer in instance.layers):
        raise ValueError(f"{instance.name}: on one chip, layers without tunable connections are enumerated")
    tables = [sorted(by_footprint(layer).items(), key=lambda part: part[1][0]) for layer in instance.layers]
    least, chosen = math.inf, None

    def go_on(parts: tuple[Any, ...], spent: float) -> None:
        nonlocal least, chosen
        if len(parts) == len(tables):
            least, chosen = spent, parts
            return
        for part in tables[len(parts)]:
            cost = spent + part[1][0]  # neither those that come later in the table nor more layers cost less
            if cost >= least:
                return
            more = *parts, part
            if all(_apart([key[side] for key, _ in more]) for side in (0, 1)):
                go_on(more, cost)

    go_on((), 0.0)
    if chosen is None:
        return INFEASIBLE
    mappings = (mapping_of(layer, best[1]) for layer, (_, best) in zip(instance.layers, chosen, strict=True))
    return Optimum(least, NetworkMapping(tuple(mappings)), all(_exact_is_best(layer) for layer in instance.layers))


def _chained(instance: NetworkInstance) -> Optimum:
    """Array by array: the best so far for each choice of hardware neurons in the last one, which say its lines."""
    if any(layer.rules.tunable for layer in instance.layers):
        raise ValueError(f"{instance.name}: chained arrays without tunable connections are enumerated")
    known: dict[tuple[int, ...], tuple[float, tuple[LayerMapping, ...]]] = {(): (0.0, ())}
    for n, layer in enumerate(instance.layers):
        before, found = instance.layers[n - 1].hardware.n_neurons, dict[tuple[int, ...], Any]()
        for (neurons, lines), (cost, rows) in by_lines(layer).items():
            for drives, (spent, parts) in known.items():
                fits = all(k == drives[x] if x < len(drives) else k >= before for k, x in lines)
                if (n == 0 or fits) and (neurons not in found or spent + cost < found[neurons][0]):
                    found[neurons] = spent + cost, (*parts, mapping_of(layer, rows))
        known = found
    if not known:
        return INFEASIBLE
    cost, layers = min(known.values(), key=lambda best: best[0])
    return Optimum(cost, NetworkMapping(layers), all(_exact_is_best(layer) for layer in instance.layers))


def _apart(sets: Sequence[Collection[object]]) -> bool:
    """Whether no two of the sets share anything."""
    return len(set().union(*sets)) == sum(len(each) for each in sets)


def _overlap(instance: NetworkInstance, layers: Sequence[LayerMapping]) -> bool:
    """Whether two layers use one neuron of the chip; with free routing they then share lines, and only then."""
    pairs = zip(instance.layers, layers, strict=True)
    return not _apart([set(layer.hardware.neuron[part.neuron_of].tolist()) for layer, part in pairs])


def _coupled(instance: NetworkInstance) -> Optimum:
    """An objective of the network couples everything: every combination of the layers' mappings is evaluated."""
    simple = all(layer.hardware.free_routing and layer.rules.gains.fixed for layer in instance.layers)
    if instance.chained or not simple:
        raise ValueError(
            f"{instance.name}: with an objective of its own only free routing and fixed gains are enumerated"
        )
    budget = math.inf if instance.tunable is None else instance.tunable
    objective, least, best = instance.objective, math.inf, None
    assert objective is not None
    parts = [
        [(part, layer.realised(part), layer.noise(part)) for part in all_layers(layer)] for layer in instance.layers
    ]
    for chosen in itertools.product(*parts):
        layers, weights, noises = zip(*chosen, strict=True)
        if sum(len(part.tunable) for part in layers) > budget or (instance.one_chip and _overlap(instance, layers)):
            continue
        value = objective.value(instance, weights, instance.biases, noises)
        if value < least:
            least, best = value, NetworkMapping(layers)
    free = instance.adjustable or any(_ranged(layer) for layer in instance.layers)
    free = free or (budget > 0 and any(layer.rules.tunable for layer in instance.layers))
    return INFEASIBLE if best is None else Optimum(least, best, proven=not free)
