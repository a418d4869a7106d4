"""Proofs of layers with too many pairs for a table: bounds on all of them once, few of each row kept.

Potentials v <= 0 are sought on kept pairs that are known exactly, as in `layer`. With u[i] the least of bound - v over
the kept pairs of a row, and of the least bound left out, sum u + sum v bounds every assignment. Rows whose least bound
left out is what counts keep more pairs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.proofs.assignment import HALF_ULP, Proof, prove
from matchopt.proofs.cells import envelope
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.effort import Effort
from matchopt.proofs.entries import SparseEntries
from matchopt.proofs.inner import exact_costs, window
from matchopt.proofs.separable import NO_NOISE, Separable

FROM_PAIRS = 2**22  # from so many on; a table of fewer takes 38 MB
KEEP, MORE = 64, 4  # pairs of a row to begin with; times as many where they are too few
NEURONS, ROWS = 128, 512  # whose cells are laid side by side; rows that a thread screens against them
SETTLED = 2**12  # pairs that are made exact between two looks at what is left
LOOK = 12.0  # steps of effort of one connection on one neuron, what a neuron takes besides included


def streams(problem: Separable) -> bool:
    """Whether a layer is taken here: many pairs, one gain, no error that counts less than 0."""
    many = problem.n_rows * problem.n_neurons >= FROM_PAIRS
    return bool(many and len(problem.cells) == 1 and problem.factor.min(initial=0.0) >= 0.0)


@dataclass(frozen=True, eq=False)
class Kept:
    """Pairs, row after row and neurons rising: lower bounds, whether exact, and the least bound `left` out of a row."""

    row: Int[np.ndarray, " pairs"]
    neuron: Int[np.ndarray, " pairs"]
    bound: Float[np.ndarray, " pairs"]
    exact: Bool[np.ndarray, " pairs"]
    left: Float[np.ndarray, " rows"]

    def entries(self, some: Bool[np.ndarray, " pairs"], n_neurons: int) -> SparseEntries:
        """A table of some of the pairs."""
        starts = np.searchsorted(self.row[some], np.arange(len(self.left) + 1))
        return SparseEntries(starts, self.neuron[some], self.bound[some], n_neurons)

    def with_rows(self, rows: Int[np.ndarray, " some"], more: "Kept") -> "Kept":
        """Pairs of `more`, in which rows are counted along `rows`, instead of those rows' that are not exact."""
        stays = self.exact | ~np.isin(self.row, rows)
        size = np.int64(1 + max(self.neuron.max(initial=0), more.neuron.max(initial=0)))
        keys = self.row[stays] * size + self.neuron[stays]
        fresh = rows[more.row] * size + more.neuron
        new = ~np.isin(fresh, keys)
        order = np.argsort(np.concatenate([keys, fresh[new]]), kind="stable")
        left = self.left.copy()
        left[rows] = more.left

        def joined(old: np.ndarray, added: np.ndarray) -> np.ndarray:
            return np.concatenate([old[stays], added[new]])[order]

        return Kept(
            joined(self.row, rows[more.row]), joined(self.neuron, more.neuron), joined(self.bound, more.bound),
            joined(self.exact, more.exact), left,
        )  # fmt: skip


def screened(problem: Separable, rows: Int[np.ndarray, " some"], keep: int, effort: Effort) -> Kept:
    """The `keep` neurons of least bound of these rows; rows not reached before the time is up have none, and 0 left."""
    from matchopt.proofs.screening import screen

    cells, keep = problem.cells[0], min(keep, problem.n_neurons)
    bounds, names = np.full((len(rows), keep), np.inf), np.full((len(rows), keep), -1)
    left, looked = np.full(len(rows), np.inf), np.zeros(-(-len(rows) // ROWS))
    parts = [(number, rows[number * ROWS : (number + 1) * ROWS]) for number in range(len(looked))]
    lists = [_connections(problem, part) for _, part in parts]
    for start in range(0, problem.n_neurons, NEURONS):
        neurons = range(start, min(start + NEURONS, problem.n_neurons))
        laid = [_laid(problem, j) for j in neurons]
        first = np.concatenate([[0], np.cumsum([len(value) for value, _, _ in laid])])
        value, noise, turns = (np.concatenate(column) for column in zip(*laid, strict=True))
        few = (cells.last - cells.first)[start : neurons.stop]

        def work(part: tuple[int, np.ndarray]) -> None:
            here = slice(part[0] * ROWS, part[0] * ROWS + len(part[1]))
            chip = (first, value, noise, turns, start, few)  # noqa: B023  # used before the next turn
            looked[part[0]] += screen(*lists[part[0]], *chip, bounds[here], names[here], left[here])

        if effort.late:
            left[:] = 0.0
            break
        before = looked.sum()
        problem.each(work, parts)
        effort.spend(LOOK * float(looked.sum() - before))
    names[~np.isfinite(bounds)] = -1
    order = np.argsort(names, axis=1)
    names, bounds = np.take_along_axis(names, order, axis=1), np.take_along_axis(bounds, order, axis=1)
    row, place = np.nonzero(names >= 0)
    found = names[row, place]
    return Kept(row, found >> 1, bounds[row, place], (found & 1).astype(bool), left)


def _laid(problem: Separable, j: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and noise of a neuron's cells that are cheapest somewhere, and where they take turns, filled up by inf."""
    cells = problem.cells[0]
    usable = slice(int(cells.first[j]), int(cells.last[j]))
    if usable.start == usable.stop:
        return NO_NOISE, NO_NOISE, NO_NOISE
    on, turns = envelope(cells, j)
    value, noise = cells.value[j, usable], NO_NOISE if cells.noise is None else cells.noise[j, usable]
    if on is not None:
        value, noise = value[on], noise[on]
    return value, noise, np.append(turns, np.inf)


def _connections(problem: Separable, rows: Int[np.ndarray, " some"]) -> tuple[np.ndarray, ...]:
    """Weights, starts, factors and skips of the connections of these rows, as the loop takes them."""
    length = problem.fan_in[rows]
    starts = np.concatenate([[0], np.cumsum(length)])
    e = np.arange(starts[-1]) + np.repeat(problem.starts[rows] - starts[:-1], length)
    skip = problem.relative_skip
    return problem.weight[e], starts, problem.factor[e], skip[e] if skip.size else skip


def certify_streamed(
    problem: Separable, neuron_of: Int[np.ndarray, " rows"], objective: float, rounding: Callable[[Proof], float],
    effort: Effort,
) -> Certificate:  # fmt: skip
    """A bound on all assignments of rows to neurons, and whether it meets the objective up to `rounding`."""
    every, size = np.arange(problem.n_rows), problem.n_neurons
    own = exact_costs(problem, every, neuron_of)
    kept = Kept(every, neuron_of, own, np.ones(len(every), bool), np.full(len(every), np.inf))
    keep, chosen, open_ = KEEP, neuron_of, every
    while True:
        if len(open_):
            kept = kept.with_rows(open_, screened(problem, open_, keep, effort))
            keep = min(keep * MORE, size)
        proof = prove(kept.entries(kept.exact, size), chosen, own, effort)
        chosen, own, v = proof.col_of, proof.own, proof.ended.v
        known, least = (
            kept.entries(kept.exact, size).row_minima(v),
            kept.entries(kept.bound < np.inf, size).row_minima(v),
        )
        u = np.minimum(least, kept.left)  # v <= 0
        spread = math.fsum(np.abs(u)) + math.fsum(np.abs(v))
        bound, allowed = math.fsum(u) + math.fsum(v) - 8.0 * HALF_ULP * spread, rounding(proof)
        met = bound >= objective - allowed
        reduced = kept.bound - v[kept.neuron] - known[kept.row]
        broken = np.flatnonzero(~kept.exact & (reduced < 0.0))
        open_ = every[kept.left < known] if len(broken) == 0 else every[:0]
        if met or effort.late or not (len(broken) or len(open_)):
            better = not met and not effort.late and math.fsum(own) < objective - 2.0 * allowed
            return Certificate(max(0.0, bound - allowed), met, better, 2.0 * allowed, "layer dual", (Duals(u, v),))
        some = broken[np.argsort(reduced[broken], kind="stable")[:SETTLED]]
        effort.spend(float(_work(problem)[kept.row[some]].sum()))
        kept.bound[some], kept.exact[some] = exact_costs(problem, kept.row[some], kept.neuron[some]), True


def _work(problem: Separable) -> Int[np.ndarray, " rows"]:
    """Steps of effort that a pair of each row takes to be made exact."""
    fan_in = problem.fan_in
    width = np.array([window(problem, n) + 1 for n in range(int(fan_in.max(initial=0)) + 1)])
    return np.asarray(fan_in * np.where(problem.uniform, width[fan_in], problem.n_cells * fan_in))
