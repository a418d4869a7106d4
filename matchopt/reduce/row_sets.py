"""Layers with several hardware neurons per row as a program: a binary for each row and set of neurons.

With free routing, one cell per weight and finitely many gains a row's cost depends on nothing but the neurons that it
has. Split over a set of them, it is matched to their cells as if these were those of one wide neuron. For copies the
wiring is found by branch and bound. What is left is to give every row one set and no neuron to two (set packing), whose
linear relaxation is far tighter than that of the program of cells.
"""

import math
from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import Refused
from matchopt.instances import Gains, Hardware, LayerInstance, LayerMapping, ProgramPoint, Provenance, Solution
from matchopt.instances.demands import not_understood
from matchopt.reduce.builder import MAX_ENTRIES, ProgramBuilder
from matchopt.reduce.reduction import Reduction
from matchopt.reduce.separable import UNDERSTOOD as SEPARABLE

MAX_COPIED = 20_000  # rows on sets of copies, each a search of its own
UNDERSTOOD = SEPARABLE - {"gain-interval", "programmable-cells"} | {"several-neurons", "copies"}
Sets = list[tuple[int, ...]]
Priced = tuple[Float[np.ndarray, "rows sets"], Callable[[list[int]], LayerMapping]]


def not_row_sets(layer: LayerInstance) -> str | None:
    """Why `layer` is no such program, or not in a size that can be built, or None."""
    reason = not_understood(layer, UNDERSTOOD, "the program of rows on sets of neurons")
    if reason is not None:
        return reason
    rules, count = layer.rules, layer.hardware.n_neurons
    sizes = [math.comb(count, n) for n in range(1, rules.neurons + 1)]
    total = layer.n_rows * sum(size * (n + 2) for n, size in enumerate(sizes))
    cells = sum(sizes) * rules.neurons * layer.hardware.n_cells * len(rules.gains.values or ()) ** rules.neurons
    if max(total, cells) > MAX_ENTRIES or (rules.copies > 1 and layer.n_rows * sum(sizes) > MAX_COPIED):
        return f"{sum(sizes)} sets of hardware neurons for each of {layer.n_rows} rows make too large a program"
    return None


def row_sets(layer: LayerInstance) -> Reduction:
    """Reduce a layer to the choice of a set of hardware neurons for every row.

    Raises
    ------
    Refused
        when costs of rows do not depend on their neurons alone, or there are too many sets.
    """
    reason = not_row_sets(layer)
    if reason is not None:
        raise Refused(reason)
    every = range(layer.hardware.n_neurons)
    sets = [chosen for n in range(1, layer.rules.neurons + 1) for chosen in combinations(every, n)]
    cost, wired = (_split if layer.rules.copies == 1 else _copied)(layer, sets)
    builder, number = ProgramBuilder(), {chosen: s for s, chosen in enumerate(sets)}
    places = [(i, s) for i, s in zip(*np.nonzero(np.isfinite(cost)), strict=True)]
    users: list[dict[int, float]] = [{} for _ in every]
    of_row: list[dict[int, float]] = [{} for _ in range(layer.n_rows)]
    for i, s in places:
        v = builder.variable(float(cost[i, s]))
        of_row[i][v] = 1.0
        for j in sets[s]:
            users[j][v] = 1.0
    for terms in of_row:
        builder.row(terms, 1.0, 1.0)
    for terms in users:
        if terms:
            builder.row(terms, high=1.0)
    program = builder.program(Provenance(name=layer.provenance.name, source=f"rows on sets of layer {layer.digest}"))

    def lift(solutions: Sequence[Solution]) -> LayerMapping:
        (point,) = solutions
        if not isinstance(point, ProgramPoint) or len(point.x) != len(places):
            raise Refused(f"expected a point with {len(places)} variables")
        chosen = {int(places[v][0]): int(places[v][1]) for v in np.flatnonzero(point.x > 0.5)}
        if len(chosen) != layer.n_rows:
            raise Refused("expected a set of neurons for every row")
        return wired([chosen[i] for i in range(layer.n_rows)])

    def lower(solution: Solution) -> tuple[ProgramPoint]:
        if not isinstance(solution, LayerMapping):
            raise Refused(f"expected a layer mapping, found a {solution.kind} solution")
        owned = [tuple(sorted(solution.neuron_of[solution.row == i].tolist())) for i in range(layer.n_rows)]
        taken = {(i, number.get(chosen, -1)) for i, chosen in enumerate(owned)}
        return (ProgramPoint(np.array([float((i, s) in taken) for i, s in places])),)

    return Reduction("program", (program,), lift, lower)


def _split(layer: LayerInstance, sets: Sets) -> Priced:
    """Costs of rows on sets as on wide neurons, one for each combination of gains."""
    from matchopt.kernels import match_rows, pair_costs

    target, chip, rules = layer.target, layer.hardware, layer.rules
    n, k = rules.neurons_per_row, chip.n_cells
    gains = list(product(rules.gains.values or (), repeat=n))
    members = np.array([[*chosen, *[-1] * (n - len(chosen))] for chosen in sets]).reshape(-1, n)
    factor = np.array(gains)[:, None, :, None]

    def wide(part: Any, scale: Any, dtype: type) -> Any:
        """The cells of each set side by side, those of places that are empty out of use."""
        padded = np.concatenate([part, np.zeros((1, k), dtype)])
        return (padded[members][None] * scale).reshape(len(gains) * len(sets), n * k)

    usable = wide(chip.usable, np.ones_like(factor, bool), bool)
    hardware = Hardware(wide(chip.weights, factor, float), wide(chip.variance, factor**2, float), usable)
    given: dict[str, Any] = {"gains": Gains(), "drop": rules.drop, "importance": layer.objective.importance(target)}
    costs = pair_costs(target, hardware, **given).reshape(layer.n_rows, len(gains), len(sets))
    which = costs.argmin(axis=1)

    def wired(chosen: list[int]) -> LayerMapping:
        on = [which[i, s] * len(sets) + s for i, s in enumerate(chosen)]
        cells = match_rows(target, hardware, np.array(on, np.int64), **given).cell_of
        row = np.array([i for i, s in enumerate(chosen) for _ in sets[s]], np.int64)
        neuron_of = np.array([j for s in chosen for j in sets[s]], np.int64)
        gain = np.array([gains[which[i, s]][a] for i, s in enumerate(chosen) for a in range(len(sets[s]))])
        place_of = np.searchsorted(row, target.row_of) + np.maximum(cells, 0) // k
        cell_of = np.where(cells < 0, -1, cells % k)
        return LayerMapping.from_cells(target, neuron_of, cell_of, gain, row=row, place_of=place_of)

    return costs.min(axis=1), wired


def _copied(layer: LayerInstance, sets: Sets) -> Priced:
    """Costs of rows on sets of copies, at the best combination of gains."""
    from matchopt.kernels.copies import copied_row

    target, chip, rules = layer.target, layer.hardware, layer.rules
    weights = np.where(chip.usable, chip.weights, np.nan)
    importance = layer.objective.importance(target)

    def on(i: int, chosen: tuple[int, ...]) -> tuple[float, Int[np.ndarray, "connections copies"], tuple[float, ...]]:
        best = math.inf, np.full((0, len(chosen)), -1), (1.0,) * len(chosen)
        for gains in product(rules.gains.values or (), repeat=len(chosen)):
            factor, part = np.array(gains)[:, None] / len(chosen), target.row(i)
            cells = weights[list(chosen)] * factor, chip.variance[list(chosen)] * factor**2
            cost, wires = copied_row(target.weights[part], importance[part], *cells, rules.drop)
            if cost < best[0]:
                best = cost, wires, gains
        return best

    def wired(chosen: list[int]) -> LayerMapping:
        found = [on(i, sets[s]) for i, s in enumerate(chosen)]
        parts = [
            [(int(k), int(x)) for k, x in zip(wires[:, a], target.indices[target.row(i)], strict=True) if k >= 0]
            for i, (s, (_, wires, _)) in enumerate(zip(chosen, found, strict=True))
            for a in range(len(sets[s]))
        ]
        flat = np.array([wire for part in parts for wire in part], np.int64).reshape(-1, 2)
        return LayerMapping(
            np.array([j for s in chosen for j in sets[s]], np.int64), np.cumsum([0] + [len(part) for part in parts]),
            flat[:, 0], flat[:, 1], np.array([gain for _, _, gains in found for gain in gains], np.float64),
            row=np.array([i for i, s in enumerate(chosen) for _ in sets[s]], np.int64),
        )  # fmt: skip

    costs = [[on(i, chosen)[0] for chosen in sets] for i in range(layer.n_rows)]
    return np.array(costs, np.float64).reshape(layer.n_rows, len(sets)), wired
