"""Costs and places of pairs of target rows and hardware neurons, found by search and improved while it lasts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, kernels
from matchopt_reroute.bounds import moments_of
from matchopt_reroute.wiring import (
    assigned,
    cell_table,
    from_table,
    gain_choices,
    likely_inputs,
    listed,
    never,
    with_assigned,
)

LIKELY = 64  # inputs per row that pairs are judged on where any input may be heard; longer searches use all
PATIENCE = 2  # rounds without a better assignment after which the search ends


class Pairs:
    """All pairs; `cost` holds what is known to be reachable, inf for pairs that do not fit or were not tried."""

    def __init__(self, instance: LayerInstance, threads: int, stop: Callable[[], bool]) -> None:
        self._instance, self._stop = instance, stop
        placers, self._scales = gain_choices(instance, threads)
        self._search, self._gains = list(placers.values()), np.array(list(placers))
        self.errors, support = _output_errors(instance)
        self._heard = None if instance.rules.extra_inputs else listed(support)
        self._likely = self._heard if self._heard is not None else likely_inputs(self.errors, support, LIKELY)
        self._known: dict[tuple[int, int], tuple[np.ndarray, float]] = {}
        self.cost = np.full((instance.n_rows, instance.hardware.n_neurons), np.inf)
        self.total = np.inf

    def begin(self, neurons: np.ndarray | None, at_once: bool = False) -> bool:
        """One descent for every pair of a row and its `neurons`; False if the time was up before the last.

        What is done `at_once` is done whatever the time is.
        """
        stop = never if at_once else self._stop
        by_gain = [
            search.costs(self.errors, self._scales, inputs=self._likely, neurons=neurons, stop=stop)
            for search in self._search
        ]
        self.cost = np.minimum.reduce(by_gain)
        self._gain_of = np.stack(by_gain).argmin(axis=0)
        return not stop()

    def begin_coarsely(self, limits: Limits) -> None:
        """Offer a mapping on the hardware neurons of the least weight error, whatever the time is.

        Raises
        ------
        Unplaceable
            when the rows do not fit the hardware.
        """
        layer, rules = self._instance, self._instance.rules
        cost = kernels.pair_costs(layer.target, layer.hardware, gains=rules.gains, drop=rules.drop)
        self.begin(with_assigned(cost, 1), at_once=True)
        self.offer(limits, -math.inf)

    def begin_with(self, mapping: LayerMapping) -> None:
        """Take over the rows of a feasible mapping where they are better than what is known."""
        table = cell_table(mapping, self._instance.hardware.n_cells)
        rows = np.arange(mapping.n_rows)
        which = np.zeros(mapping.n_rows, np.int64)
        if self._instance.rules.gains.values is not None:
            which = np.argmax(self._gains == mapping.gain[:, None], axis=1)
        self._longer(rows, mapping.neuron_of, which, 0, 0, table)

    def search_longer(self, kicks: int, others: int, seed: int) -> None:
        """Search the chosen pair of every row longer, and its next best ones."""
        chosen = self._chosen
        rows = np.arange(len(chosen))
        self._longer(rows, chosen, self._gain_of[rows, chosen], kicks, seed)
        near = np.argsort(self.cost, axis=1, kind="stable")[:, : others + 1]
        for column in near.T:
            some = np.flatnonzero((column != chosen) & np.isfinite(self.cost[rows, column]))
            if not self._stop():
                self._longer(some, column[some], self._gain_of[some, column[some]], kicks, seed)

    def learn(self, row: int, neuron: int, cost: float, places: np.ndarray, gain: float) -> None:
        """Take over better places of one pair."""
        self._known[row, neuron] = places, gain
        self.cost[row, neuron] = cost
        self._gain_of[row, neuron] = int(np.flatnonzero(self._gains == gain)[0])

    def offer(self, limits: Limits, bound: float) -> np.ndarray:
        """Offer the mapping of the cheapest assignment; returns the neurons it chose."""
        chosen = assigned(self.cost)
        mapping = self.mapping(chosen)
        limits.offer(mapping, self._instance.value(mapping), bound)
        return chosen

    def mapping(self, neuron_of: np.ndarray) -> LayerMapping:
        """The mapping of an assignment, its pairs searched where that has not been done."""
        self._chosen = neuron_of
        new = np.array([i for i, j in enumerate(neuron_of.tolist()) if (i, j) not in self._known], np.int64)
        self._longer(new, neuron_of[new], self._gain_of[new, neuron_of[new]], 0, 0, forced=True)
        rows = np.arange(len(neuron_of))
        self.total = float(self.cost[rows, neuron_of].sum())
        known = [self._known[i, j] for i, j in enumerate(neuron_of.tolist())]
        n_cells = self._instance.hardware.n_cells
        table = np.array([places for places, _ in known], np.int64).reshape(len(rows), n_cells)
        return from_table(neuron_of, table, np.array([gain for _, gain in known]))

    def _longer(
        self,
        rows: np.ndarray,
        neuron_of: np.ndarray,
        which: np.ndarray,
        kicks: int,
        seed: int,
        start: np.ndarray | None = None,
        forced: bool = False,
    ) -> None:
        """Improve pairs at the gains `which`, from their known places, from `start`, or anew; keep what is better.

        `forced` pairs are searched even if the time is up.
        """
        known = np.zeros(len(rows), bool)
        for at, pair in enumerate(zip(rows.tolist(), neuron_of.tolist(), strict=True)):
            known[at] = pair in self._known
        for number, search in enumerate(self._search):
            groups = [known, ~known] if start is None else [np.ones(len(rows), bool)]
            for fresh, group in enumerate(groups):
                some = np.flatnonzero(group & (which == number))
                if len(some) == 0:
                    continue
                i, j = rows[some], neuron_of[some]
                begin = None if start is None else start[some]
                if start is None and not fresh:
                    begin = np.array([self._known[pair][0] for pair in zip(i.tolist(), j.tolist(), strict=True)])
                found = search.improve(
                    self.errors.rows(i),
                    j,
                    self._scales,
                    start=begin,
                    inputs=None if self._heard is None else self._heard[i],
                    kicks=kicks,
                    seed=seed,
                    stop=never if forced else self._stop,
                )
                self._keep(i, j, number, found)

    def _keep(self, rows: np.ndarray, neurons: np.ndarray, number: int, found: kernels.Places) -> None:
        gains = self._instance.rules.gains
        for at, (i, j) in enumerate(zip(rows.tolist(), neurons.tolist(), strict=True)):
            cost = float(found.cost[at])
            if np.isfinite(cost) and (cost <= self.cost[i, j] or (i, j) not in self._known):
                gain = float(self._gains[number])
                if gains.low is not None and gains.high is not None:
                    gain = float(np.clip(found.scale[at], gains.low, gains.high))
                self._known[i, j] = found.input_of[at], gain
                self.cost[i, j], self._gain_of[i, j] = cost, number


def search_rounds(pairs: Pairs, limits: Limits, bound: float, rounds: int, kicks: int, others: int, seed: int) -> None:
    """Assign, search the chosen pairs and `others` of each row longer, and assign again; mappings are offered.

    Raises
    ------
    Unplaceable
        when the rows do not fit the hardware.
    """
    if limits.best is not None:
        pairs.begin_with(limits.best)
    total, idle = math.inf, 0
    for step in limits.steps(rounds + 1):
        pairs.offer(limits, bound)
        idle = 0 if pairs.total < total else idle + 1
        total = min(total, pairs.total)
        if step == rounds or idle == PATIENCE:
            break
        pairs.search_longer(kicks, others, seed + step)


def _output_errors(instance: LayerInstance) -> tuple[kernels.RowErrors, np.ndarray]:
    """The rows' errors as functions of their weights, and the support as a mask."""
    target, moments = instance.target, moments_of(instance).copy()  # writable, so that it is not copied again
    wanted, support = target.dense(), np.zeros((target.n_rows, target.n_inputs), bool)
    support[target.row_of, target.indices] = True
    linear = wanted @ moments
    constant = np.einsum("ix,ix->i", linear, wanted)
    return kernels.RowErrors(moments, linear, constant, None, None if instance.rules.drop else support, wanted), support
