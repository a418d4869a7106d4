"""Exact assignment of layers whose pairs are too many to hold: few per row, and prices that prove the rest worse."""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from matchopt import (
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    PositiveInt,
    Result,
    Solver,
    Status,
    Target,
    kernels,
    not_separable,
)

MORE = 4  # times as many pairs of a row are kept where prices do not tell that those left out are worse
ROUNDING = 2.0**-46  # of the sum of duals: more than rounding does to a bound


class Kept(NamedTuple):
    """The cheapest pairs of each row, row after row, and the least cost `left` out of each."""

    starts: np.ndarray
    neuron: np.ndarray
    cost: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class HungarianStreamed(Solver):
    """Like `hungarian`, without ever holding the costs of all pairs of rows and neurons.

    Each row keeps its cheapest neurons. Their assignment comes with prices of the neurons, none above 0. Where the
    least cost less price of a row is at most the least cost left out, no pair left out can better the assignment
    (weak duality). The other rows keep more pairs, and the assignment begins again from the prices. With neurons to
    spare the first round is the last as a rule.

    Parameters
    ----------
    keep : pairs of each row to begin with.

    References
    ----------
    A. Volgenant, "Linear and semi-assignment problems: a core oriented approach", Computers & Operations Research
    23(10), 1996, doi:10.1016/0305-0548(96)00010-X.
    """

    name = "hungarian-streamed"
    solves = LayerInstance
    needs = ("numba",)
    role = "exact"
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "gain-interval"}
        | {"output-error", "programmable-cells"}
    )

    keep: PositiveInt = 64

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return not_separable(instance)

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`; each round that does not prove its assignment reports it.

        Once the time is up the first round ends with the neurons that it has looked at, a later one at once.
        """
        del rng
        size, best, bound, price = instance.hardware.n_neurons, None, -math.inf, None
        every = np.arange(instance.n_rows)
        open_, keep, kept = every, self.keep, Kept(np.zeros(len(every) + 1, np.int64), *np.zeros((3, 0)))
        stats: dict[str, int | float | str] = {}
        stop = partial(late, limits)
        for step in limits.steps():
            kept = replaced(kept, open_, cheapest(instance, open_, keep, limits))
            stats = {"pairs": len(kept.cost), "rounds": step + 1}
            found = kernels.sparse_paths(
                kept.starts, kept.neuron, kept.cost, size, price, None if best is None else stop
            )
            if found is not None:
                column, price = found
                least = np.minimum.reduceat(kept.cost - price[kept.neuron], kept.starts[:-1]) if len(every) else every
                open_, duals = every[kept.left < least], [*np.minimum(least, kept.left), *price]
                bound = max(bound, math.fsum(duals) - ROUNDING * math.fsum(map(abs, duals)))
                best = wired(instance, column)
                if not len(open_):
                    return Result(best, Status.OPTIMAL, bound=bound, stats=stats)
                limits.report(best, bound)
            elif late(limits):
                break
            elif (kept.left < np.inf).any():  # there may be an assignment of the pairs left out
                open_ = every[kept.left < np.inf]
            else:
                return Result(None, Status.INFEASIBLE, stats=stats, message="rows share too few neurons that fit them")
            keep = min(MORE * keep, size)
        return Result(best, limit=limits.reached() or Limit.ITERATION, bound=bound, stats=stats)


def late(limits: Limits) -> bool:
    """Whether the time is up."""
    return limits.reached() is not None


def cheapest(layer: LayerInstance, rows: np.ndarray, keep: int, limits: Limits) -> "kernels.BestPairs":
    """The cheapest pairs of some rows, among the neurons that there was time for."""
    target, length = layer.target, layer.target.fan_in[rows]
    starts = np.concatenate([[0], np.cumsum(length)])
    e = np.arange(starts[-1]) + np.repeat(target.indptr[rows] - starts[:-1], length)
    importance = layer.objective.importance(target)[e]
    some = Target(starts, target.indices[e], target.weights[e], target.n_inputs)
    gains, drop = layer.rules.gains, layer.rules.drop
    return kernels.best_pairs(
        some, layer.hardware, gains=gains, drop=drop, keep=keep, importance=importance, threads=limits.threads,
        stop=partial(late, limits),
    )  # fmt: skip


def replaced(kept: Kept, rows: np.ndarray, by: "kernels.BestPairs") -> Kept:
    """What is kept, with the pairs of `rows` exchanged; pairs of infinite cost are none."""
    n_rows = len(kept.starts) - 1
    old = np.repeat(np.arange(n_rows), np.diff(kept.starts))
    stays = ~np.isin(old, rows)
    fits = by.cost < np.inf
    row = np.concatenate([old[stays], np.repeat(rows, fits.sum(axis=1))])
    order = np.argsort(row, kind="stable")
    neuron = np.concatenate([kept.neuron[stays], by.neuron[fits]])[order].astype(np.int32)
    left = kept.left.copy() if len(kept.left) else np.full(n_rows, np.inf)
    left[rows] = by.left
    starts = np.searchsorted(row[order], np.arange(n_rows + 1))
    return Kept(starts, neuron, np.concatenate([kept.cost[stays], by.cost[fits]])[order], left)


def wired(layer: LayerInstance, neuron_of: np.ndarray) -> LayerMapping:
    """The best wiring of every row on its neuron."""
    rules, importance = layer.rules, layer.objective.importance(layer.target)
    found = kernels.match_rows(
        layer.target, layer.hardware, neuron_of, gains=rules.gains, drop=rules.drop, importance=importance
    )
    return LayerMapping.from_cells(layer.target, neuron_of, found.cell_of, found.gain, written=found.written)
