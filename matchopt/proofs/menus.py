"""Bounds and proofs for separable layers whose cells can be written, with and without a limit on writes.

What connection (a, q) costs on a cell at gain g is the least over the states (x, v) of that cell of
q ((a - g x)^2 + g^2 v); the rest is as for fixed cells, but that no order of cells helps: pairs are small assignments,
and connections on their cheapest cells, distinct or not, bound them.

Where at most B cells may be written, every write is given a price p >= 0. A mapping with w <= B writes costs no less
than its cost plus p (w - B), so the optimum under that price, less p B, is a bound, whatever the price (Lagrangian
relaxation; A. M. Geoffrion, Mathematical Programming Study 2, 1974, doi:10.1007/BFb0120690). The search for a good one
begins where the given neurons, wired at their best, write no more than B.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import Refused
from matchopt.instances import Hardware, LayerInstance, LayerMapping
from matchopt.instances.demands import understanding
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import NOTHING
from matchopt.proofs.layer import NUMPY, SMALL_ASSIGNMENT, Readings, Table, certify_pairs, connection_costs
from matchopt.proofs.separable import UNDERSTOOD as SEPARABLE
from matchopt.proofs.separable import refuse_unfit, separable

UNDERSTOOD = SEPARABLE - {"gain-interval"} | {"programmable-cells", "write-budget"}
MOST_ENTRIES = 2**20  # costs of connections on cells held at once: 8 MiB
HALVINGS = 40  # of the price
REACH, SECTIONS = 3.0, 14  # of the search for a better price: in powers of e, and how many more
GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
ENTRY = 5.0  # steps of effort for a connection on one state of a cell


@dataclass(frozen=True, eq=False)
class MenuTable(Table):
    """The table of pairs whose cells can be written, each write at a price."""

    hardware: Hardware
    gains: tuple[float, ...]
    price: float

    @classmethod
    def priced(cls, layer: LayerInstance, price: float, effort: Effort) -> "MenuTable":
        """The table with every connection on its cheapest cells; neurons beyond the effort are bounded by 0."""
        plain = replace(layer, hardware=layer.hardware.fixed(), rules=replace(layer.rules, writes=None))
        problem, gains = separable(plain), layer.rules.gains.values or ()
        shape = (problem.n_rows, problem.n_neurons)
        table = cls(problem, np.zeros(shape), np.zeros(shape, bool), effort, layer.hardware, gains, price)
        each = ENTRY * len(gains) * problem.weight.size * problem.n_cells * (3 + layer.hardware.levels.shape[2])
        for j in range(effort.afford(each, problem.n_neurons)):
            if effort.late_by_the_clock:
                break
            table._relax(j)
        return table

    def _relax(self, j: int) -> None:
        problem, total = self.problem, len(self.problem.weight)
        step = max(1, MOST_ENTRIES // max(1, problem.n_cells))
        self.bounds[:, j] = np.inf
        for gain in self.gains:
            least, at = np.full(total, np.inf), np.full(total, -1)
            for start in range(0, total, step):
                part = slice(start, min(start + step, total))
                cost = self.costs(j, part, gain)[0]
                if cost.shape[1]:
                    at[part] = cost.argmin(axis=1)
                    least[part] = np.take_along_axis(cost, at[part][:, None], axis=1)[:, 0]
            if problem.drop:
                at = np.where(problem.unrealised <= least, -1, at)
                least = np.minimum(least, problem.unrealised)
            sums = np.bincount(problem.row_of, least, minlength=problem.n_rows).astype(np.float64)
            if not problem.drop:
                sums[problem.fan_in > int(self.hardware.usable[j].sum())] = np.inf
            taken = problem.row_of[at >= 0] * max(1, problem.n_cells) + at[at >= 0]
            different = np.unique(taken)
            clashes = np.bincount(problem.row_of[at >= 0], minlength=problem.n_rows)
            clashes -= np.bincount(different // max(1, problem.n_cells), minlength=problem.n_rows)
            better = sums < self.bounds[:, j]
            self.exact[:, j] = np.where(better, clashes == 0, self.exact[:, j])
            self.bounds[:, j] = np.minimum(self.bounds[:, j], sums)
        self.exact[:, j] |= np.isposinf(self.bounds[:, j])

    def costs(
        self, j: int, part: slice, gain: float
    ) -> tuple[Float[np.ndarray, "connections cells"], Float[np.ndarray, "connections cells"]]:
        """What connections cost on the usable cells of neuron `j`: as they are, and written at their best and price."""
        chip, usable = self.hardware, self.hardware.usable[j]
        weight, factor = self.problem.weight[part, None], self.problem.factor[part, None]

        def cost(value: np.ndarray, variance: np.ndarray) -> np.ndarray:
            error = weight - gain * value
            return np.asarray(factor * (error * error + gain * gain * variance))

        kept = cost(chip.weights[j, usable], chip.variance[j, usable])
        written = np.full(kept.shape, np.inf)
        if chip.programmable:
            low, high = chip.low[j, usable], chip.high[j, usable]
            wanted = weight / gain if gain else np.zeros_like(weight)
            nearest = np.where(wanted < low, low, np.where(wanted > high, high, wanted + 0.0 * low))
            written = np.fmin(written, cost(nearest, chip.write_variance[j, usable]))
            for s in range(chip.levels.shape[2]):
                written = np.fmin(written, cost(chip.levels[j, usable, s], chip.level_variance[j, usable, s]))
        written = written + self.price
        return np.minimum(kept, written), written

    def wired(self, i: int, j: int) -> tuple[float, int]:
        """The least cost of row `i` on neuron `j`, inf where it does not fit, and how many cells that writes."""
        from scipy.optimize import linear_sum_assignment

        best, part = (math.inf, 0), slice(int(self.problem.starts[i]), int(self.problem.starts[i + 1]))
        for gain in self.gains:
            cost, written = self.costs(j, part, gain)
            cells = cost.shape[1]
            if self.problem.drop:
                unwired = np.broadcast_to(self.problem.unrealised[part, None], (len(cost), len(cost)))
                cost = np.concatenate([cost, unwired], axis=1)
            if cost.shape[0] <= cost.shape[1]:
                rows, at = linear_sum_assignment(cost)
                real = at < cells
                writes = int((written[rows[real], at[real]] <= cost[rows[real], at[real]]).sum())
                best = min(best, (math.fsum(cost[rows, at].tolist()), writes))
        return best

    def settle(
        self,
        rows: Int[np.ndarray, " pairs"],
        neurons: Int[np.ndarray, " pairs"],
        enough: Float[np.ndarray, " pairs"] | float = math.inf,
    ) -> bool:
        """See `Table.settle`."""
        del enough
        self.effort.spend(float(self.work(rows).sum()))
        for i, j in zip(rows.tolist(), neurons.tolist(), strict=True):
            self.bounds[i, j], self.exact[i, j] = self.wired(i, j)[0], True
        return len(rows) > 0

    def work(self, rows: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " pairs"]:
        """See `Table.work`."""
        counts = self.problem.fan_in[rows]
        return np.asarray(len(self.gains) * NUMPY * np.maximum(SMALL_ASSIGNMENT, counts**2 * self.problem.n_cells))

    def exhibited(self, neuron_of: Int[np.ndarray, " rows"]) -> float:
        """See `Table.exhibited`; under a price it is no cost of a mapping, so nothing is exhibited."""
        if self.price > 0.0:
            return math.inf
        return math.fsum(self.wired(i, j)[0] for i, j in enumerate(neuron_of.tolist()))


@understanding("the proof of a bound on layers", UNDERSTOOD)
def certify_menus(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    refuse_unfit(instance)
    costs = connection_costs(instance, mapping, _readings)
    objective, budget = math.fsum(costs.tolist()), instance.rules.writes
    if budget == 0 or not instance.hardware.programmable:
        instance = replace(instance, hardware=instance.hardware.fixed())
        return certify_pairs(MenuTable.priced(instance, 0.0, effort), mapping, objective)
    if budget is None:
        return certify_pairs(MenuTable.priced(instance, 0.0, effort), mapping, objective)
    free = MenuTable.priced(instance, 0.0, Effort(steps=0.0))  # of which no pair is relaxed
    first = _price(free, mapping, budget, effort)

    def at(price: float) -> Certificate:
        paid = price * budget
        found = certify_pairs(MenuTable.priced(instance, price, effort), mapping, objective + paid)
        bound = max(0.0, found.bound - paid - 4.0 * math.ulp(paid + found.bound))
        duals = tuple(replace(one, price=price) for one in found.duals)
        return replace(found, bound=bound, improvable=False, duals=duals)

    steps = effort.steps
    best = at(first)
    effort_of_one = steps - effort.steps
    return best if first == 0.0 else _sought(at, first, best, effort, effort_of_one)


def _sought(
    at: Callable[[float], Certificate], price: float, best: Certificate, effort: Effort, each: float
) -> Certificate:
    """The best bound around a price by golden sections of its logarithm: the bound is concave in the price."""
    low, high = math.log(price) - REACH, math.log(price) + REACH
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values: list[float | None] = [None, None]
    for _ in range(SECTIONS):
        for side in (0, 1):
            if values[side] is None:
                if best.optimal or effort.late or effort.steps < 2.0 * each:
                    return best
                found = at(math.exp(inner[side]))
                best, values[side] = found if found.optimal or found.bound > best.bound else best, found.bound
        if (values[0] or 0.0) < (values[1] or 0.0):
            low, inner, values = inner[0], [inner[1], inner[0] + GOLDEN * (high - inner[0])], [values[1], None]
        else:
            high, inner, values = inner[1], [inner[1] - GOLDEN * (inner[1] - low), inner[0]], [None, values[0]]
    return best


def _price(table: MenuTable, mapping: LayerMapping, budget: int, effort: Effort) -> float:
    """The least price, nearly, at which the mapping's neurons at their best write no more than the budget."""
    pairs = list(enumerate(mapping.neuron_of.tolist()))

    def writes(price: float) -> int:
        priced = replace(table, price=price)
        effort.spend(float(table.work(np.arange(len(pairs))).sum()))
        return sum(priced.wired(i, j)[1] for i, j in pairs)

    low, high = 0.0, float(table.problem.dropped.sum()) + 1e-300
    if writes(0.0) <= budget:
        return 0.0
    while writes(high) > budget:  # where dropping is not allowed, a write can save more than dropping all would cost
        low, high = high, 16.0 * high
    for _ in range(HALVINGS):
        if effort.late or high - low <= 1e-9 * high:
            break
        middle = 0.5 * (low + high) if low else high / 16.0
        low, high = (middle, high) if writes(middle) > budget else (low, middle)
    return high


def _readings(instance: LayerInstance, mapping: LayerMapping) -> Readings:
    """What the cells of the wires read, and its variance.

    Raises Refused when a value cannot be written into its cell, or there are too many.
    """
    chip, wires = instance.hardware, (mapping.neuron_of[mapping.row_of], mapping.cell)
    value, variance = np.array(chip.weights[wires]), np.array(chip.variance[wires])
    if mapping.written is None:
        return value, variance
    for n in np.flatnonzero(~np.isnan(mapping.written)).tolist():
        j, k, put = int(wires[0][n]), int(wires[1][n]), float(mapping.written[n])
        at = np.flatnonzero(chip.levels[j, k] == put)
        if not (len(at) or chip.low[j, k] <= put <= chip.high[j, k]):
            raise Refused(NOTHING)
        value[n], variance[n] = put, chip.level_variance[j, k, at[0]] if len(at) else chip.write_variance[j, k]
    if instance.rules.writes is not None and np.count_nonzero(~np.isnan(mapping.written)) > instance.rules.writes:
        raise Refused(NOTHING)
    return value, variance
