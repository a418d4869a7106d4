"""Greedy mapping: one target neuron after the other takes the cheapest hardware neuron left."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from matchopt import (
    AssignmentInstance,
    LayerInstance,
    LayerMapping,
    Limits,
    Result,
    Solver,
    Target,
    not_separable,
    reduction,
)
from matchopt_greedy.augment import augment
from matchopt_greedy.spending import spend


@dataclass(frozen=True)
class Greedy(Solver):
    """Strongest target neurons first, each takes the hardware neuron left that matches it at least cost.

    The cost of a pair is that of its optimal wiring, so only the choice of neurons is greedy. Where neurons do not fit
    each other (too few usable cells), a row that finds none left makes others move along a shortest chain.

    Parameters
    ----------
    order : which target neuron chooses first. "norm": the largest weights, by sum of importance * weight^2; "fan-in":
        the most connections; "regret": the largest difference between its second cheapest and its cheapest hardware
        neuron at the start. Ties by row.
    """

    name = "greedy"
    solves = LayerInstance
    needs = ("numba", "scipy")
    role = "heuristic"
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "gain-interval"}
        | {"output-error", "programmable-cells", "write-budget"}
    )

    order: Literal["norm", "fan-in", "regret"] = "norm"

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        del rng
        if instance.rules.writes is not None:
            return self._limited(instance, instance.rules.writes, limits)
        reduced = reduction(instance, AssignmentInstance)
        (pairs,) = reduced.parts
        assert isinstance(pairs, AssignmentInstance)
        cost = pairs.dense
        if limits.reached():
            return Result(None, limit=limits.reached(), message="time was up after the costs of all pairs")
        col_of = np.full(instance.n_rows, -1)
        free = np.ones(pairs.n_cols, bool)
        for i in np.argsort(-self._strength(instance.target, cost), kind="stable"):
            j = int(np.argmin(np.where(free, cost[i], np.inf)))
            if free[j] and cost[i, j] < np.inf:
                col_of[i], free[j] = j, False
        return augment(pairs, col_of, reduced.lift)

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return not_separable(_unlimited(instance))

    def _limited(self, layer: LayerInstance, budget: int, limits: Limits) -> Result:
        """Choose neurons as if nothing could be written, and as if everything could; then write where it pays most."""
        for hardware in (layer.hardware.fixed(), layer.hardware):
            found = self.solve(replace(_unlimited(layer), hardware=hardware), limits, np.random.default_rng(0))
            if not isinstance(found.solution, LayerMapping):
                return found
            spent = spend(layer, found.solution.neuron_of, budget)
            limits.offer(spent.mapping(layer), spent.cost)
        return Result(limits.best)

    def _strength(self, target: Target, cost: np.ndarray) -> np.ndarray:
        if self.order == "norm":
            squares = target.importance * target.weights**2
            return np.bincount(target.row_of, weights=squares, minlength=target.n_rows)
        if self.order == "fan-in":
            return target.fan_in.astype(float)
        if cost.shape[1] < 2:
            return np.zeros(len(cost))
        two = np.partition(cost, 1, axis=1)[:, :2]
        alone = ~np.isfinite(two)  # a neuron with one place only chooses first
        return np.where(alone.any(axis=1), np.inf, np.where(alone, 0.0, two)[:, 1] - np.where(alone, 0.0, two)[:, 0])


def _unlimited(layer: LayerInstance) -> LayerInstance:
    """The same without a limit on writes."""
    return replace(layer, rules=replace(layer.rules, writes=None))
