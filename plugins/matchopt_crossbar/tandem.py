"""Tabu search on crossbars whose rows and inputs are the same things."""

import math
from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limit, Limits, PositiveInt, Result, Solver, is_feasible
from matchopt_crossbar.layer import UNDERSTOOD, one_connection, refusal, scaled, with_cells
from matchopt_crossbar.relaxation import free_bound
from matchopt_crossbar.tandem_loops import Pairs, improve, start

PATIENCE = 3  # swaps without a better mapping before a kick, times the number of rows squared


@dataclass(frozen=True)
class Tandem(Solver):
    """Robust tabu search where row i and input i go to neuron and line of one number, for square layers.

    For recurrent layers on one crossbar, where neuron j drives line j, and for quadratic assignment problems, which are
    crossbars (docs/crossbars.md). On other layers the two sides are better moved apart. Kicks from the best mapping
    follow where nothing better is met for long.

    Parameters
    ----------
    iterations : swaps to make; the limit of iterations counts thousands of them.
    patience : swaps without a better mapping before a kick, >= 1; None for what suits the size.

    References
    ----------
    E. Taillard, "Robust taboo search for the quadratic assignment problem", Parallel Computing 17 (1991),
    doi:10.1016/S0167-8191(05)80147-4.
    """

    name = "crossbar-tandem"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD - {"drop", "leak", "unusable-cells"}

    iterations: PositiveInt = 1_000_000
    patience: PositiveInt | None = None

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        sizes = (instance.n_rows, instance.target.n_inputs, instance.hardware.n_neurons, instance.hardware.n_cells)
        if len(set(sizes)) > 1:
            rows, inputs, neurons, cells = sizes
            return f"as many rows as inputs, neurons and cells are needed, found {rows}, {inputs}, {neurons}, {cells}"
        if len(set(instance.hardware.bus.tolist())) > 1:
            return "all hardware neurons must share one bus"
        return refusal(instance)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        pairs = _pairs(LayerInstance(*one_connection()), np.random.default_rng(0))
        start(pairs)
        improve(pairs, 1, 1)

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        size, chunk = instance.n_rows, 1000
        if limits.start is not None and is_feasible(instance, limits.start):
            limits.offer(limits.start, instance.value(limits.start))  # type: ignore[arg-type]  # of its kind
        pairs, done = _pairs(instance, rng), 0
        start(pairs)
        patience = self.patience or PATIENCE * size * size + 1
        for _ in limits.steps(math.ceil(self.iterations / chunk)):
            improve(pairs, min(chunk, self.iterations - done), patience)
            done = min(self.iterations, done + chunk)
            self._offer(instance, limits, pairs)
        self._offer(instance, limits, pairs)
        limit = None if done == self.iterations else limits.reached() or Limit.ITERATION
        bound = min(limits.best_value, free_bound(instance, limits))
        return Result(limits.best, limit=limit, bound=bound, stats={"swaps": done})

    def _offer(self, instance: LayerInstance, limits: Limits, pairs: Pairs) -> None:
        mapping = mapped(instance, pairs.best)
        limits.offer(mapping, instance.value(mapping))


def mapped(layer: LayerInstance, place: np.ndarray) -> LayerMapping:
    """Rows and inputs on the neurons and lines of these numbers."""
    return with_cells(layer, place.copy(), place[layer.target.indices])


def _pairs(layer: LayerInstance, rng: np.random.Generator) -> Pairs:
    """q (w - h)^2 + q v, taken apart into -2 q w times h, and q times h^2 + v where that is not the same for all."""
    target, chip, size = layer.target, scaled(layer), layer.n_rows
    factor = layer.objective.importance(target)
    full = np.zeros((2, size, size))
    full[0, target.row_of, target.indices] = -2.0 * factor * target.weights
    full[1, target.row_of, target.indices] = factor
    given = np.stack([chip.weights, chip.weights**2 + chip.variance])
    terms = 1 if size == 0 or bool((full[1] == full[1, 0, 0]).all()) else 2
    for part in (*full, *given):  # what all permutations have in common would only cost digits
        _centre(part)
    whole = [np.zeros((size, size), np.int64), np.zeros(size, np.int64), np.zeros(2, np.int64)]
    return Pairs(
        np.ascontiguousarray(full[:terms]), np.ascontiguousarray(given[:terms]), rng.permutation(size),
        np.zeros((size, size)), whole[0], whole[1], np.full(2, np.inf), whole[2], np.zeros((4, size)),
        np.array([rng.integers(1, 2**63)], np.uint64),
    )  # fmt: skip


def _centre(part: np.ndarray) -> None:
    """Take the means off the diagonal and off the rest."""
    apart = ~np.eye(len(part), dtype=bool)
    for chosen in (apart, ~apart):
        if chosen.any():
            part[chosen] -= part[chosen].mean()
