"""Tabu search on crossbars whose rows and inputs are the same things."""

import math
from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limit, Limits, PositiveInt, Result, Solver, is_feasible
from matchopt_crossbar.layer import LIMITED, UNDERSTOOD, choice, one_connection, refusal

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
    understands = UNDERSTOOD - LIMITED - {"drop", "leak", "unusable-cells", "gain-interval", "programmable-cells"}

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
        if choice(instance):
            return "neurons with a choice of gains are not searched; allow a single gain"
        return refusal(instance)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        from matchopt_crossbar.tandem_pairs import improve, made, start

        pairs = made(LayerInstance(*one_connection()), np.random.default_rng(0))
        start(pairs)
        improve(pairs, 1, 1)

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.relaxation import free_bound
        from matchopt_crossbar.tandem_pairs import improve, made, mapped, start

        size, chunk = instance.n_rows, 1000
        if limits.start is not None and is_feasible(instance, limits.start):
            limits.offer(limits.start, instance.value(limits.start))  # type: ignore[arg-type]  # of its kind
        pairs, done = made(instance, rng), 0
        start(pairs)

        def offer() -> None:
            mapping = mapped(instance, pairs.best)
            limits.offer(mapping, instance.value(mapping))

        patience = self.patience or PATIENCE * size * size + 1
        for _ in limits.steps(math.ceil(self.iterations / chunk)):
            improve(pairs, min(chunk, self.iterations - done), patience)
            done = min(self.iterations, done + chunk)
            offer()
        offer()
        limit = None if done == self.iterations else limits.reached() or Limit.ITERATION
        bound = min(limits.best_value, free_bound(instance, limits))
        return Result(limits.best, limit=limit, bound=bound, stats={"swaps": done})
