"""Small layers on several buses, by trying."""

import math
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, PositiveInt, Result, Solver, Status, assign, kernels
from matchopt_crossbar.layer import without_connections

MOST_ORDERS = 200_000  # of rows on neurons, each an assignment of lines: ten seconds or so
MOST_SETS = 2**14  # of rows
ROUNDING = 1e-12  # of the optimum
Way = tuple[tuple[int, ...], tuple[int, ...], np.ndarray]  # rows, the neurons they are on, the lines of their inputs


@dataclass(frozen=True)
class Buses(Solver):
    """The least error of a layer on several buses, with a proof, for a dozen rows and buses of a few neurons.

    With rows on neurons of a bus, its lines are an assignment. That is tried for every set of rows on every bus in
    every order; then the buses share out the rows, by dynamic programming over sets of rows. It begins with a mapping
    by perturbed assignments.

    Parameters
    ----------
    rounds : perturbed assignments of both sides at the start, >= 1.
    """

    name = "crossbar-buses"
    solves = LayerInstance
    needs = ("numba", "scipy")
    role = "exact"
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "shared-bus", "drop", "extra-inputs", "gains", "output-error"}
    )

    rounds: PositiveInt = 200

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        if len(instance.rules.gains.values or ()) != 1:
            return "a choice of gains is not tried; allow one"
        rows = int((instance.target.fan_in > 0).sum())
        sizes = np.unique(instance.hardware.bus, return_counts=True)[1].tolist()
        orders = sum(math.comb(rows, n) * math.perm(size, n) for size in sizes for n in range(1, min(rows, size) + 1))
        if orders > MOST_ORDERS or 2**rows > MOST_SETS:
            return f"{rows} rows go onto the buses in {orders} orders, at most {MOST_ORDERS} of 14 rows are tried"
        return None

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        from matchopt_crossbar.search import compile_search

        compile_search()

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.search import Search

        if instance.target.n_connections == 0:
            return without_connections(instance)
        search = Search(instance, limits, rng)
        search.perturb(min(self.rounds, limits.iterations or self.rounds), 0.12 * search.unit, 0.4 ** (1 / self.rounds))
        search.finish()
        found = _shared_out(instance, limits)
        if found is None:
            return Result(limits.best, limit=limits.reached())
        least, ways = found
        mapping = _mapping(instance, ways) if ways else None
        if mapping is None:
            return Result(None, Status.INFEASIBLE, message="no mapping keeps the rules")
        limits.offer(mapping, instance.value(mapping))
        return Result(limits.best, Status.OPTIMAL, bound=min(least, limits.best_value) * (1.0 - ROUNDING))


def _shared_out(layer: LayerInstance, limits: Limits) -> tuple[float, list[Way]] | None:
    """The least error, and which rows go where; none go anywhere where that cannot be, and nothing where time is up."""
    costs, rows = _costs(layer), np.flatnonzero(layer.target.fan_in).tolist()
    known: dict[int, tuple[float, list[Way]]] = {0: (0.0, [])}
    for bus in np.unique(layer.hardware.bus).tolist():
        neurons, before = np.flatnonzero(layer.hardware.bus == bus).tolist(), list(known.items())
        for count in range(1, min(len(rows), len(neurons)) + 1):
            for some in combinations(rows, count):
                if limits.reached():
                    return None
                taken = sum(1 << i for i in some)
                free = [(done, way) for done, way in before if not done & taken]
                tried = (_lines(costs[list(some)], order) for order in permutations(neurons, count) if free)
                cost, order, lines = min(tried, key=lambda way: way[0], default=(math.inf, (), costs[:0]))
                for done, (paid, ways) in free:
                    if paid + cost < known.get(done | taken, (math.inf,))[0]:
                        known[done | taken] = paid + cost, [*ways, (some, order, lines)]
    return known.get(sum(1 << i for i in rows), (math.inf, []))


def _costs(layer: LayerInstance) -> np.ndarray:
    """What each row's input costs on every cell, NaN where it has none; drops are lines behind the others."""
    target, chip, gain = layer.target, layer.hardware, (layer.rules.gains.values or (1.0,))[0]
    inputs, place = np.unique(target.indices, return_inverse=True)
    factor, weight = layer.objective.importance(target)[:, None, None], target.weights[:, None, None]
    cost = factor * ((weight - gain * chip.weights) ** 2 + gain**2 * chip.variance)
    cost = np.where(chip.usable, cost, np.inf)
    if layer.rules.drop:
        unwired = np.broadcast_to(factor * weight**2, (*cost.shape[:2], len(inputs)))
        cost = np.concatenate([np.minimum(cost, factor * weight**2), unwired], axis=2)
    full = np.full((target.n_rows, len(inputs), *cost.shape[1:]), np.nan)
    full[target.row_of, place] = cost
    return full


def _lines(costs: np.ndarray, order: tuple[int, ...]) -> tuple[float, tuple[int, ...], np.ndarray]:
    """The least cost of these rows on neurons in this order, the order, and the line of every input, -1 for none."""
    own = np.stack([row[:, j] for row, j in zip(costs, order, strict=True)])
    here = np.flatnonzero(~np.isnan(own[:, :, 0]).all(axis=0))
    table = np.nansum(own[:, here], axis=0)
    lines, every = assign(table), np.full(costs.shape[1], -1)
    if lines is None:
        return math.inf, order, every
    every[here] = lines
    return float(table[np.arange(len(here)), lines].sum()), order, every


def _mapping(layer: LayerInstance, ways: list[Way]) -> LayerMapping | None:
    """The mapping in which rows and inputs go there; rows without connections take what neurons are left."""
    buses, of_neuron = np.unique(layer.hardware.bus, return_inverse=True)
    neuron_of, line_of = np.full(layer.n_rows, -1), np.full((len(buses), ways[0][2].size), -1)
    for rows, neurons, lines in ways:
        neuron_of[list(rows)] = neurons
        line_of[of_neuron[neurons[0]]] = np.where(lines < layer.hardware.n_cells, lines, -1)
    empty = neuron_of < 0
    neuron_of[empty] = np.setdiff1d(np.arange(layer.hardware.n_neurons), neuron_of)[: empty.sum()]
    return kernels.wire_lines(layer, neuron_of, line_of)
