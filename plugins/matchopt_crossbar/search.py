"""The search of a layer by moves and assignments: where it starts, and what it offers."""

import math
import time
from typing import Any

import numpy as np

from matchopt import Gains, LayerInstance, LayerMapping, Limit, Limits, Result, Status, is_feasible, kernels
from matchopt_crossbar.cooling import coolings
from matchopt_crossbar.layer import FREE, choice, free_costs, limited, one_connection, scaled

MANY, SMALL = 10.0, 50.0  # connections of a row, and neurons and lines: with fewer it is worth to begin from higher up
FIRST_PRICES = 3  # times that prices are found before the search
PRICED_COOLINGS = 4  # at least, where prices depend on what is found
BETWEEN_OFFERS = 0.2  # seconds: each is checked by the caller


class Search(kernels.Crossbar):
    """The search of `matchopt.kernels` on one layer, which offers what it finds."""

    def __init__(self, layer: LayerInstance, limits: Limits, rng: np.random.Generator) -> None:
        every = np.arange(layer.target.n_inputs)
        outside = layer.objective.diagonal(layer.target, np.full(len(every), layer.n_rows), every)
        super().__init__(
            layer.target, scaled(layer), rng, importance=layer.objective.importance(layer.target),
            drop=layer.rules.drop, driven=outside, gains=layer.rules.gains if choice(layer) else Gains(),
            extra_inputs=layer.rules.extra_inputs, tunable=layer.rules.tunable > 0,
        )  # fmt: skip
        self.prices = FREE
        self._layer, self._limits, self._offered, self._last = layer, limits, np.inf, -np.inf
        if limits.start is not None and is_feasible(layer, limits.start):
            start = limits.start
            assert isinstance(start, LayerMapping)
            limits.offer(start, layer.value(start))
            self.start(start.neuron_of, _cells(layer, start))
        elif len(set(layer.hardware.bus.tolist())) > 1:  # where few neurons share lines, free routing is near
            self.start(_freely_routed(layer), np.full(layer.target.n_connections, -1))
        for _ in range(FIRST_PRICES if limited(layer) else 0):
            self.descend(1)
            self._reprice()
        self.descend(1)  # so that there is something to offer however short the time

    @property
    def coolings(self) -> int:
        """See `cooling.coolings`."""
        size = self._layer.hardware.n_neurons + self.n_lines
        return coolings(size, PRICED_COOLINGS if limited(self._layer) else 1)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """The present mapping, for `kick`."""
        return self._state.neuron.copy(), self._state.line.copy()

    def kick(self, places: tuple[np.ndarray, np.ndarray], share: float) -> None:
        """Go on from a mapping with a share of its neurons, and of the lines of every bus, exchanged at random."""
        self._state.neuron[:], self._state.line[:] = places
        for part in (self._state.neuron, *self._state.line):
            at = self._rng.choice(len(part), min(len(part), max(2, round(share * len(part)))), replace=False)
            part[at] = part[self._rng.permutation(at)]
        self._refresh()

    def between(self) -> None:
        """Offer the best mapping, and price writes and tuned connections by it, where their number is limited."""
        if limited(self._layer):
            self.finish()
            self._reprice()

    def _reprice(self) -> None:
        """Prices are what the best mapping would gain from one more of each."""
        self.prices = kernels.line_prices(self._layer, *self.best_lines())
        self.charge(*self.prices)

    def offer(self) -> None:
        """Offer the best mapping, if it is better than at the last offer, some time ago, and keeps the rules.

        Where prices change, the best by them need not be the best by value, which must not depend on the clock.
        """
        if not self.best_cost < self._offered or time.monotonic() < self._last + BETWEEN_OFFERS:
            return
        if limited(self._layer) and np.isfinite(self._offered):
            return
        self._offered, self._last = self.best_cost, time.monotonic()
        mapping = self.mapping()
        if mapping is not None:
            self._limits.offer(mapping, self._layer.value(mapping))

    def mapping(self) -> LayerMapping | None:
        """The best mapping, None where it breaks a rule."""
        return kernels.wire_lines(self._layer, *self.best_lines())

    def finish(self) -> None:
        """Polish the best mapping in double precision and offer it."""
        if not self._limits.reached():
            self.polish()
        self._offered, self._last = np.inf, -np.inf
        self.offer()

    def result(self, limit: Limit | None, bound: float, stats: dict[str, Any]) -> Result:
        """What the solver returns: the best mapping offered, which is optimal where it meets the bound."""
        best = self._limits.best
        if best is None:
            return Result(None, limit=limit, bound=bound, stats=stats, message="no mapping found that keeps the rules")
        met = limit is None and bound >= self._limits.best_value * (1.0 - 1e-9)
        status = Status.OPTIMAL if met else Status.FEASIBLE
        return Result(best, status, limit, min(bound, self._limits.best_value), stats)


def first_heat(layer: LayerInstance, search: Search) -> float:
    """The first temperature that small and thin layers need, in units of the search: valleys are deep, scans cheap."""
    size = layer.hardware.n_neurons + search.n_lines
    thin = math.sqrt(max(1.0, MANY * layer.n_rows / layer.target.n_connections))
    return float(min(1.0, max((SMALL / size) ** 1.7, 0.1 * thin if thin > 1.0 else 0.0)))


def compile_search() -> None:
    """Compile the loops of the search, on one connection."""
    target, hardware = one_connection()
    search = kernels.Crossbar(target, hardware, np.random.default_rng(0))
    search.join()
    search.anneal(1, 1.0)
    search.perturb(1, 1.0)
    search.descend(1)
    kernels.pair_costs(target, hardware, gains=Gains(), drop=False)


def _freely_routed(layer: LayerInstance) -> np.ndarray:
    """The neurons that rows would get if each were wired freely; any where some row fits nowhere."""
    chosen = kernels.assign(free_costs(layer))
    return np.arange(layer.n_rows) if chosen is None else chosen


def _cells(layer: LayerInstance, mapping: LayerMapping) -> np.ndarray:
    """The cell of each connection, -1 for those without; wires outside the support are left out."""
    cell_of = np.full(layer.target.n_connections, -1)
    wide = layer.target.n_inputs
    keys = layer.target.row_of * wide + layer.target.indices
    wires = mapping.row_of * wide + mapping.input
    at = np.searchsorted(keys, wires)
    inside = np.append(keys, -1)[at] == wires
    cell_of[at[inside]] = mapping.cell[inside]
    return cell_of
