"""Bounds and proofs for separable layers: an assignment whose costs are made exact only where the proof needs it.

In the dual bound an entry may be too low without harm, so lower bounds do for all pairs but those of the assignment.
Potentials are sought on the pairs known exactly. If they also fit the lower bounds of all other pairs, the assignment
is optimal; the pairs where they do not fit are made exact, and the search goes on. Some hundred pairs of 90,000 are
enough as a rule.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.proofs.assignment import Proof, dual_bound, prove
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.effort import Effort
from matchopt.proofs.entries import DenseEntries
from matchopt.proofs.feasible import refuse_infeasible
from matchopt.proofs.free_gains import GRID, TOLERANCE, interval_bounds, interval_costs
from matchopt.proofs.inner import exact_costs, matching, window
from matchopt.proofs.separable import MOST_PAIRS, MOST_STREAMED, Separable, pair_bounds, separable
from matchopt.proofs.streamed import certify_streamed, streams

BATCH = 2 * 10**8  # steps of effort between two looks at what is left
LARGEST_BATCH = 2**4 * BATCH  # where loops are compiled batches double, so that large layers need few rounds
MARGIN = 1.25  # of what a bound must reach, so that it need not be raised again for the next potentials
SMALL_ASSIGNMENT = 10**4  # what one small assignment costs, in steps of the dynamic program
Readings = tuple[Float[np.ndarray, " wires"], Float[np.ndarray, " wires"]]  # of the cells of all wires; variances
NUMPY = 20  # steps of effort of one of those steps where it is not compiled


@dataclass(frozen=True, eq=False)
class Table:
    """Lower bounds on all pairs, and which of them are exact; both arrays are updated in place."""

    problem: Separable
    bounds: Float[np.ndarray, "rows neurons"]
    exact: Bool[np.ndarray, "rows neurons"]
    effort: Effort

    @classmethod
    def of(cls, problem: Separable, effort: Effort) -> "Table":
        """The table with bounds that are cheap."""
        return cls(problem, *(interval_bounds if problem.interval else pair_bounds)(problem, effort), effort)

    def settle(
        self,
        rows: Int[np.ndarray, " pairs"],
        neurons: Int[np.ndarray, " pairs"],
        enough: Float[np.ndarray, " pairs"] | float = math.inf,
    ) -> bool:
        """Make these pairs exact, or their bounds `enough` where that is less work; returns whether one changed."""
        before = self.bounds[rows, neurons]
        self.effort.spend(float(self.work(rows).sum()))
        if self.problem.interval is None:
            bound, exact = exact_costs(self.problem, rows, neurons), np.ones(len(rows), bool)
        else:
            found = interval_costs(self.problem, rows, neurons, enough, self.effort)
            bound, exact = np.where(found.exact, found.bound, np.maximum(found.bound, before)), found.exact
        self.bounds[rows, neurons], self.exact[rows, neurons] = bound, exact
        return bool(exact.any() or (bound > before).any())

    def batches(self, rows: Int[np.ndarray, " pairs"], size: int = BATCH) -> list[Int[np.ndarray, " some"]]:
        """Places in a list of pairs of these rows, as many together as are settled between two looks at the clock."""
        number = np.cumsum(self.work(rows)) // size
        return np.split(np.arange(len(rows)), np.flatnonzero(np.diff(number)) + 1)

    def work(self, rows: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " pairs"]:
        """What it takes to make a pair of each of these rows exact."""
        counts = np.arange(int(self.problem.fan_in.max(initial=0)) + 1)
        in_order = np.array([n * (window(self.problem, n) + 1) for n in counts.tolist()])
        assigned = np.maximum(SMALL_ASSIGNMENT, counts * counts * self.problem.n_cells)
        in_order *= 1 if self.problem.large else NUMPY
        each = np.where(self.problem.uniform, in_order[self.problem.fan_in], NUMPY * assigned[self.problem.fan_in])
        gains = GRID // 2 if self.problem.interval else len(self.problem.cells)
        return np.asarray(gains * each[rows])

    def rounding(self, objective: float, proof: Proof) -> float:
        """What rounding can do to a bound and to the objective together."""
        return _rounding(self.problem, objective, proof)

    def exhibited(self, neuron_of: Int[np.ndarray, " rows"]) -> float:
        """The cost of the mapping with these neurons and optimal cells, recomputed connection by connection."""
        problem, rows = self.problem, np.arange(self.problem.n_rows)
        if problem.interval is None:
            pairs = zip(rows.tolist(), neuron_of.tolist(), strict=True)
            parts = [min((matching(problem, cells, i, j) for cells in problem.cells), key=np.sum) for i, j in pairs]
        else:
            gains = interval_costs(problem, rows, neuron_of, effort=self.effort).gain
            single = (slice(i, i + 1) for i in rows.tolist())  # one at a time, as gains differ in sign
            chips = [problem.chip.of_pairs(neuron_of[one], gains[one]) for one in single]
            parts = [matching(problem, chip, i, 0) for i, chip in enumerate(chips)]
        return math.fsum(cost for part in parts for cost in part.tolist())


def relaxed_bound(layer: LayerInstance) -> float:
    """A bound that needs no solution: every row on its best neuron, every connection on its cheapest cell.

    Raises
    ------
    Refused
        when the layer's error is no sum over pairs.
    """
    problem = separable(layer)
    bounds = Table.of(problem, Effort()).bounds
    value = math.fsum(bounds.min(axis=1)) if layer.n_rows else 0.0
    return max(0.0, value - _rounding(problem, value))


def certify_layer(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    one_gain = len(instance.rules.gains.values or ()) == 1
    problem = separable(instance, MOST_STREAMED if one_gain else MOST_PAIRS)
    objective = math.fsum(connection_costs(instance, mapping, as_they_are))
    if streams(problem):
        return certify_streamed(problem, mapping.neuron_of, objective, partial(_rounding, problem, objective), effort)
    return certify_pairs(Table.of(problem, effort), mapping, objective)


def as_they_are(instance: LayerInstance, mapping: LayerMapping) -> Readings:
    """What fixed cells read, and the variance of that."""
    wires = mapping.neuron_of[mapping.row_of], mapping.cell
    return instance.hardware.weights[wires], instance.hardware.variance[wires]


def certify_pairs(table: Table, mapping: LayerMapping, objective: float) -> Certificate:
    """A bound on all assignments of rows to neurons, by the table's costs, and whether it meets the objective."""
    problem, effort = table.problem, table.effort
    every, chosen = np.arange(problem.n_rows), mapping.neuron_of
    open_ = np.flatnonzero(~table.exact[every, chosen])
    for part in table.batches(open_):
        if not effort.late:
            table.settle(open_[part], chosen[open_[part]])
    batch, least = BATCH, 0.0 if problem.factor.min(initial=0.0) >= 0.0 else -math.inf  # of sums of squares
    while True:
        costs = np.where(table.exact, table.bounds, np.inf)
        costs[every, mapping.neuron_of] = table.bounds[every, mapping.neuron_of]  # so that there is an assignment
        known = DenseEntries(costs)
        proof = prove(known, chosen, table.bounds[every, chosen], table.effort)
        chosen, v, u = proof.col_of, proof.ended.v, known.row_minima(proof.ended.v)
        bound = float(dual_bound(DenseEntries(table.bounds), v))
        rounding = table.rounding(objective, proof)
        proved = max(bound - rounding, least)
        duals = (Duals(u, v),)
        if bound >= objective - rounding:
            return Certificate(proved, True, False, 2.0 * rounding, "layer dual", duals)
        reduced = table.bounds - v - u[:, None]
        broken = np.flatnonzero(~table.exact & (reduced < 0.0))
        rows, neurons = np.unravel_index(broken[np.argsort(reduced.ravel()[broken])], reduced.shape)
        first = table.batches(rows, batch)[0]
        rows, neurons = rows[first], neurons[first]
        batch = min(2 * batch, LARGEST_BATCH) if problem.large else BATCH
        if effort.late or not table.settle(rows, neurons, MARGIN * (u[rows] + v[neurons])):
            goal = objective - 2.0 * rounding
            improvable = not effort.late and math.fsum(proof.own) < goal and table.exhibited(chosen) < goal
            return Certificate(proved, False, improvable, 2.0 * rounding, "layer dual", duals)


def _rounding(problem: Separable, objective: float, proof: Proof | None = None) -> float:
    """What rounding can do to a bound and to the objective together.

    Pairs are off as `Separable.rounding` says, a potential by one rounding of its size. Under gains in an interval the
    bound on a pair is lowered by as much before it enters, and may stay below its cost by TOLERANCE times that.
    """
    size = math.fsum(problem.unrealised) + objective
    if proof is not None:
        size += math.fsum(proof.own) + len(proof.own) * float(np.abs(proof.ended.v).max(initial=0.0))
    each = 2.0 + 2.0 * TOLERANCE if problem.interval else 1.0
    return float(problem.rounding.max(initial=0.0)) * each * size


def connection_costs(
    instance: LayerInstance, mapping: LayerMapping, readings: Callable[[LayerInstance, LayerMapping], Readings]
) -> Float[np.ndarray, " terms"]:
    """What every wire, and every connection without one, adds to the objective; `readings` tells what cells read.

    Raises
    ------
    Refused
        when the mapping breaks a rule that this sum relies on.
    """
    target = instance.target
    refuse_infeasible(instance, mapping)
    keys, wired = target.row_of * target.n_inputs + target.indices, mapping.row_of * target.n_inputs + mapping.input
    at = np.searchsorted(keys, wired)
    inside = np.append(keys, -1)[at] == wired
    e = at[inside]
    dropped = np.ones(len(keys), bool)
    dropped[e] = False
    if len(np.unique(wired)) != len(wired) or (bool(dropped.any()) and not instance.rules.drop):
        raise Refused("the mapping is not feasible, so there is nothing to prove; matchopt.check tells why")
    wanted = np.zeros(len(wired))
    wanted[inside] = target.weights[e]
    factor = instance.objective.diagonal(target, mapping.row_of, mapping.input)
    missing = instance.objective.importance(target)
    values, variances = readings(instance, mapping)
    gain = mapping.gain[mapping.row_of]
    error = wanted - gain * values
    costs = factor * (error * error + gain * gain * variances)
    return np.concatenate([costs, (missing * target.weights * target.weights)[dropped]])
