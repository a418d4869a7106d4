"""Bounds and proofs for layers whose weights may be sums of cells that listen anywhere.

Row i on neuron j costs at least what its connections cost on the best sets of cells, whoever else takes these; it costs
exactly that on the best sets of which no two share a cell. Lines that neurons share are left out of account: rows are
wired freely.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import Refused
from matchopt.instances import Hardware, LayerInstance, LayerMapping
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.instances.hard_wired import n_sums
from matchopt.proofs.assignment import HALF_ULP, Proof
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.disjoint import MOST_TRIED, least_apart, least_of_sets
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import refuse_wrong_sums
from matchopt.proofs.layer import Table, certify_pairs
from matchopt.proofs.separable import separable

UNDERSTOOD = AT_0_1["layer"] - {"gain-interval", "tunable", "correlated-inputs"}
MOST_SUMS = 2**20  # of the cells of one neuron
MOST_ENTRIES = 2**20  # costs of connections on sums held at once: 8 MiB
MOST_SETTLED = 2**25  # costs of one row on the sums of one neuron that are made exact: 256 MiB
MOST_OF_SETS = 2**28  # steps of work up to which all sets of cells are gone through
TRIED = 2e3  # steps of effort of one step of a search
CALL = 2e4  # of one sum with all sets, besides those


@dataclass(frozen=True, eq=False)
class Sums:
    """All sums of 1 .. d usable cells of one neuron, ascending: their values, variances and cells (-1 for none)."""

    value: Float[np.ndarray, " sums"]
    noise: Float[np.ndarray, " sums"]
    cells: Int[np.ndarray, "sums most"]

    @classmethod
    def of(cls, hardware: Hardware, j: int, most: int) -> "Sums":
        """Of at most `most` cells of neuron `j`."""
        usable = np.flatnonzero(hardware.usable[j])
        value, noise, cells = np.zeros(1), np.zeros(1), np.zeros((1, 0), np.int64)
        found = []
        for _ in range(min(most, len(usable))):
            after = cells[:, -1] + 1 if cells.shape[1] else np.zeros(1, np.int64)
            counts = len(usable) - after
            old = np.repeat(np.arange(len(counts)), counts)
            new = np.arange(len(old)) - np.repeat(np.cumsum(counts) - counts - after, counts)
            at = j, usable[new]
            value, noise = value[old] + hardware.weights[at], noise[old] + hardware.variance[at]
            cells = np.column_stack([cells[old], new])
            padded = np.pad(cells, ((0, 0), (0, most - cells.shape[1])), constant_values=-1)
            found.append((value, noise, padded))
        if not found:
            return cls(np.zeros(0), np.zeros(0), np.zeros((0, most), np.int64))
        values, noises, members = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(values, kind="stable")
        return cls(values[order], noises[order], members[order])

    def nearest(self, weight: Float[np.ndarray, " weights"], gain: float) -> Float[np.ndarray, " weights"]:
        """The least squared difference plus noise for each weight; inf where there is no sum."""
        value = gain * self.value
        if self.noise.any():
            step, noise = max(1, MOST_ENTRIES // len(value)), gain * gain * self.noise
            parts = np.split(weight, range(step, len(weight), step))
            return np.concatenate([((part[:, None] - value) ** 2 + noise).min(axis=1) for part in parts])
        value = np.concatenate([[-np.inf], value if gain >= 0.0 else value[::-1], [np.inf]])
        at = np.searchsorted(value, weight)
        return np.asarray(np.minimum((weight - value[at - 1]) ** 2, (value[at] - weight) ** 2))


@dataclass(frozen=True, eq=False)
class SumTable(Table):
    """The table of pairs whose weights are sums of up to `most` cells."""

    layer: LayerInstance
    most: int
    left: set[tuple[int, int]] = field(default_factory=set)  # pairs that the search could not make exact

    @classmethod
    def of_layer(cls, layer: LayerInstance, effort: Effort) -> "SumTable":
        """The table with every connection on its best sum; neurons beyond the effort are bounded by 0."""
        chip = replace(layer.hardware, bus=None, off=None)  # type: ignore[arg-type]  # None means default
        problem = separable(replace(layer, hardware=chip, rules=replace(layer.rules, cells_per_weight=1)))
        shape, most = (problem.n_rows, problem.n_neurons), min(layer.rules.cells_per_weight, chip.n_cells)
        table = cls(problem, np.zeros(shape), np.zeros(shape, bool), effort, layer, most)
        for j in range(problem.n_neurons):
            number = table.n_sums[j]
            looks = number if np.any(chip.variance[j]) else number.bit_length()
            each = len(table.gains) * (len(problem.weight) * looks + 100.0 * number)
            if number > MOST_SUMS or not effort.afford(each, 1) or effort.late_by_the_clock:
                continue
            sums = Sums.of(chip, j, most)
            costs = [table.priced(sums.nearest(problem.weight, gain), slice(None)) for gain in table.gains]
            rows = [np.bincount(problem.row_of, cost, minlength=problem.n_rows) for cost in costs]
            table.bounds[:, j] = np.min(rows, axis=0)
        short = problem.fan_in[:, None] > chip.n_usable
        table.bounds[short & (not problem.drop)] = np.inf
        table.exact[:] = np.isposinf(table.bounds)
        return table

    @property
    def gains(self) -> tuple[float, ...]:
        """The gains of a neuron."""
        return self.layer.rules.gains.values or ()

    @cached_property
    def n_sums(self) -> list[int]:
        """How many sums each neuron has, the empty one included."""
        return [n_sums(count, self.most) for count in self.layer.hardware.n_usable.tolist()]

    def priced(self, squares: Float[np.ndarray, "..."], part: slice) -> Float[np.ndarray, "..."]:
        """What connections cost by their squared errors, or without a cell where they may be dropped."""
        problem = self.problem
        factor = problem.factor[part].reshape(-1, *[1] * (squares.ndim - 1))
        costs = np.where(np.isinf(squares), np.inf, factor * np.where(np.isinf(squares), 0.0, squares))
        return np.minimum(costs, problem.unrealised[part]) if problem.drop and squares.ndim == 1 else costs

    def of_sets(self, i: int, j: int) -> float:
        """Steps of going through all sets of cells for row `i` on neuron `j`."""
        count = int(self.layer.hardware.n_usable[j])
        return float(self.problem.fan_in[i]) * self.n_sums[j] * (CALL + 2.0**count) if count < 24 else math.inf

    def wired(self, i: int, j: int) -> tuple[float, bool]:
        """The least cost of row `i` on neuron `j`, inf where it does not fit; False if it is a bound only."""
        problem, sums = self.problem, Sums.of(self.layer.hardware, j, self.most)
        part, found = slice(int(problem.starts[i]), int(problem.starts[i + 1])), []
        for gain in self.gains:
            squares = (problem.weight[part, None] - gain * sums.value) ** 2 + gain * gain * sums.noise
            table, cells = self.priced(squares, part), sums.cells
            if problem.drop:
                table = np.column_stack([table, problem.unrealised[part]])
                cells = np.concatenate([cells, np.full((1, self.most), -1)])
            if self.of_sets(i, j) <= MOST_OF_SETS:
                found.append((least_of_sets(table, cells, int(self.layer.hardware.n_usable[j])), True))
            else:
                found.append(least_apart(table, cells))
        return min(value for value, _ in found), all(done for _, done in found)

    def settle(
        self,
        rows: Int[np.ndarray, " pairs"],
        neurons: Int[np.ndarray, " pairs"],
        enough: Float[np.ndarray, " pairs"] | float = math.inf,
    ) -> bool:
        """See `Table.settle`; pairs with too many sums stay as they are."""
        del enough
        changed = False
        for i, j in zip(rows.tolist(), neurons.tolist(), strict=True):
            size = int(self.problem.fan_in[i]) * self.n_sums[j]
            if self.n_sums[j] > MOST_SUMS or size > MOST_SETTLED or self.effort.late or (i, j) in self.left:
                continue
            each = self.of_sets(i, j)
            tries = TRIED * MOST_TRIED + 200.0 * size
            self.effort.spend(len(self.gains) * (each if each <= MOST_OF_SETS else tries))
            value, done = self.wired(i, j)
            if done:
                self.bounds[i, j], self.exact[i, j], changed = value, True, True
            else:
                self.left.add((i, j))
        return changed

    def work(self, rows: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " pairs"]:
        """See `Table.work`."""
        return np.full(len(rows), 10**7)

    def rounding(self, objective: float, proof: Proof) -> float:
        """See `Table.rounding`.

        A sum of d cells is off by some d roundings of its terms, delta, a squared error r^2 then by
        2 |r| delta + delta^2: all together, by Cauchy and Schwarz, by 2 sqrt(cost D) + D, D the sum of q delta^2.
        """
        chip, most = self.layer.hardware, self.most
        reach = max(map(abs, self.gains)) * most * float(np.abs(chip.weights).max(initial=0.0))
        delta = HALF_ULP * (4.0 * most + 16.0) * (np.abs(self.problem.weight) + reach)
        squares = float((self.problem.factor * delta * delta).sum())
        size = objective + math.fsum(proof.own) + len(proof.own) * float(np.abs(proof.ended.v).max(initial=0.0))
        terms = HALF_ULP * (64.0 + 4.0 * (float(self.problem.fan_in.max(initial=0)) + most))
        return 2.0 * math.sqrt(size * squares) + squares + terms * size

    def exhibited(self, neuron_of: Int[np.ndarray, " rows"]) -> float:
        """See `Table.exhibited`; where lines are shared, rows wired freely are no mapping."""
        own = np.arange(len(neuron_of)), neuron_of
        known = self.layer.hardware.free_routing and bool(self.exact[own].all())
        return math.fsum(self.bounds[own].tolist()) if known else math.inf


@understanding("the proof of a bound on layers", UNDERSTOOD)
def certify_sums(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`.

    Raises
    ------
    Refused
        when cells leak on lines that neurons share.
    """
    if "leak" in instance.demands and not instance.hardware.free_routing:
        raise Refused("no independent proof of a bound is known here for sums of cells that leak on shared lines")
    refuse_wrong_sums(instance, mapping)
    table = SumTable.of_layer(instance, effort)
    return replace(certify_pairs(table, mapping, instance.value(mapping)), method="sums of cells, layer dual")
