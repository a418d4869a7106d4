"""Bounds for layers whose rows have several hardware neurons: each row on sets of them, and no neuron in two sets.

Lines that neurons share are left out of account: rows are wired freely. What a row costs on a set is bounded by giving
every connection its cheapest cells, whoever else takes them, and made exact where the proof needs it: by an assignment
for parts, by trying for copies. Prices v <= 0 of neurons then bound all choices of sets from below, whatever they are,

    sum over rows of min over sets (cost - sum of v over the set) + sum of v,

so it does not matter that they come from a linear program solved in floats.
"""

import math
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping
from matchopt.instances.demands import understanding
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.certificate import Certificate, Duals
from matchopt.proofs.disjoint import least_apart
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import refuse_infeasible
from matchopt.proofs.separable import refuse_unfit

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "drop", "extra-inputs", "gains"}
    | {"output-error", "several-neurons", "copies"}
)
MOST_SETS = 200_000  # of rows and sets
MOST_CHOICES = 4096  # cells of all copies for one connection
ROUNDS = 60
EACH = 1e5  # steps of work that a set made exact takes, and a set in a linear program


@understanding("the proof of a bound on layers", UNDERSTOOD)
def certify_parts(instance: LayerInstance, mapping: LayerMapping, effort: Effort) -> Certificate:
    """See `matchopt.proofs.certify`."""
    refuse_unfit(instance)
    if np.any(instance.hardware.off) and not instance.hardware.free_routing:
        raise Refused("no independent proof of a bound is known here for rows of several neurons that leak")
    refuse_infeasible(instance, mapping)
    objective = instance.value(mapping)
    rows = _Rows(instance)
    rounding = HALF_ULP * (64.0 + 8.0 * int(instance.target.fan_in.max(initial=0)) + instance.n_rows) * rows.size
    bound, duals = 0.0, Duals(np.zeros(instance.n_rows), np.zeros(instance.hardware.n_neurons))
    for value, found in rows.bounds(effort):
        bound, duals = max((bound, duals), (value - rounding, found), key=lambda pair: pair[0])
        if bound >= objective - 2.0 * rounding or effort.late:
            break
    optimal = bound >= objective - 2.0 * rounding
    return Certificate(min(bound, objective), optimal, False, 2.0 * rounding, "rows on sets of neurons", (duals,))


class _Rows:
    """Lower bounds on what rows cost on sets of neurons."""

    def __init__(self, instance: LayerInstance) -> None:
        target, chip, rules = instance.target, instance.hardware, instance.rules
        self.instance, self.copies, self.most, self.drop = instance, rules.copies > 1, rules.neurons, rules.drop
        self.factor, self.gains = instance.objective.importance(target), rules.gains.values or (1.0,)
        g = np.array(self.gains)[:, None, None]
        self.value, self.noise = g * chip.weights, g * g * chip.variance
        largest = np.abs(target.weights) + float(np.abs(self.value).max(initial=0.0)) * (
            1 if self.copies else self.most
        )
        self.size = float((self.factor * (largest**2 + float(self.noise.max(initial=0.0)))).sum())

    def bounds(self, effort: Effort) -> Iterator[tuple[float, Duals]]:
        """One bound after the other, and what it rests upon, ever more of the sets made exact."""
        m, count = self.instance.n_rows, self.instance.hardware.n_neurons
        each = self._apart()
        own = np.bincount(self.instance.target.row_of, each, minlength=m)
        yield math.fsum(each.tolist()), Duals(own, np.zeros(count))
        sizes = [math.comb(count, n) for n in range(1, self.most + 1)]
        choices = (len(self.gains) * self.instance.hardware.n_cells + 1) ** self.most
        if m * sum(sizes) > MOST_SETS or (self.copies and choices > MOST_CHOICES) or m == 0:
            return
        sets = [chosen for n in range(1, self.most + 1) for chosen in combinations(range(count), n)]
        costs = np.array([[self._least(i, chosen) for chosen in sets] for i in range(m)])
        exact, member = np.isinf(costs), np.zeros((len(sets), count))
        for s, chosen in enumerate(sets):
            member[s, list(chosen)] = 1.0
        if np.isinf(costs).all(axis=1).any():
            return  # no mapping at all, which is another proof
        for _ in range(ROUNDS):
            effort.spend(EACH * costs.size / 100.0)
            price = _prices(costs, member)
            reduced = costs - member @ price
            least = reduced.min(axis=1)
            yield math.fsum([*least.tolist(), *price.tolist()]), Duals(least, price)
            tight = np.argwhere(~exact & (reduced <= least[:, None] + 1e-9 * (1.0 + np.abs(least[:, None]))))
            if not len(tight):
                return
            effort.spend(EACH * len(tight))
            for i, s in tight.tolist():
                costs[i, s] = max(costs[i, s], self._cost(i, sets[s]))
                exact[i, s] = True

    def _apart(self) -> Float[np.ndarray, " connections"]:
        """What connections cost on the cheapest of all cells; for copies anywhere between the least and the largest."""
        usable = np.broadcast_to(self.instance.hardware.usable, self.value.shape)
        value, noise, w = self.value[usable], self.noise[usable], self.instance.target.weights
        if self.drop or not len(value):
            value, noise = np.append(value, 0.0), np.append(noise, 0.0)
        if self.copies:
            beyond = np.maximum(0.0, np.maximum(value.min() - w, w - value.max()))
            return np.asarray(self.factor * (beyond**2 + noise.min() / self.most))
        each = [float(((x - value) ** 2 + noise).min()) for x in w.tolist()]
        return np.asarray(self.factor * np.array(each))

    def _options(self, j: int, gains: Any, share: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the cells of a neuron add to the row's weights at these gains, their noise, and their numbers."""
        usable = np.flatnonzero(self.instance.hardware.usable[j])
        value, noise = (
            self.value[gains][:, j, usable].ravel() / share,
            self.noise[gains][:, j, usable].ravel() / share**2,
        )
        numbers = np.tile(usable, len(gains))
        if self.copies and self.drop:
            return np.append(value, 0.0), np.append(noise, 0.0), np.append(numbers, -1)
        return value, noise, numbers

    def _table(self, i: int, chosen: tuple[int, ...], gains: Any) -> tuple[Float[np.ndarray, "_ _"], np.ndarray]:
        """What each connection costs on each choice of cells, and the cells of each choice (of copies one each)."""
        part = self.instance.target.row(i)
        w, q = self.instance.target.weights[part, None], self.factor[part, None]
        share = len(chosen) if self.copies else 1
        options = [self._options(j, own, share) for j, own in zip(chosen, gains, strict=True)]
        if not self.copies:
            value, noise = (np.concatenate([option[a] for option in options]) for a in (0, 1))
            return q * ((w - value) ** 2 + noise), np.arange(len(value))[:, None]
        value, noise = (np.sum(np.meshgrid(*(o[a] for o in options), indexing="ij"), axis=0).ravel() for a in (0, 1))
        cells = np.stack([grid.ravel() for grid in np.meshgrid(*(o[2] for o in options), indexing="ij")], axis=1)
        return q * ((w - value) ** 2 + noise), cells

    def _least(self, i: int, chosen: tuple[int, ...]) -> float:
        """Every connection on its cheapest choice; inf where the row does not fit."""
        widths, fan_in = self.instance.hardware.n_usable[list(chosen)], int(self.instance.target.fan_in[i])
        if not self.drop and (widths.min() if self.copies else widths.sum()) < fan_in:
            return math.inf
        every = list(range(len(self.gains)))
        table, _ = self._table(i, chosen, [every] * len(chosen))
        return math.fsum(self._dropped(i, table).min(axis=1, initial=math.inf).tolist())

    def _dropped(self, i: int, table: Float[np.ndarray, "_ _"]) -> Float[np.ndarray, "_ _"]:
        """With a choice for each connection that leaves it out of all parts, where it may be dropped."""
        if self.copies or not self.drop:
            return table
        part = self.instance.target.row(i)
        out = np.full((len(table), len(table)), np.inf)
        np.fill_diagonal(out, self.factor[part] * self.instance.target.weights[part] ** 2)
        return np.concatenate([table, out], axis=1)

    def _cost(self, i: int, chosen: tuple[int, ...]) -> float:
        """What the row costs on the set; for copies a lower bound where there are too many ways."""
        from scipy.optimize import linear_sum_assignment

        best, apart = math.inf, np.arange(len(chosen)) * self.instance.hardware.n_cells
        for gains in product(range(len(self.gains)), repeat=len(chosen)):
            table, cells = self._table(i, chosen, [[g] for g in gains])
            if self.copies:
                best = min(best, least_apart(table, np.where(cells < 0, -1, cells + apart))[0])
                continue
            wide = self._dropped(i, table)
            rows, places = linear_sum_assignment(wide)
            best = min(best, math.fsum(wide[rows, places].tolist()))
        return best


def _prices(costs: Float[np.ndarray, "rows sets"], member: Float[np.ndarray, "sets neurons"]) -> np.ndarray:
    """Prices <= 0 of neurons, from the linear relaxation of one set for each row and no neuron twice."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    i, s = np.nonzero(np.isfinite(costs))
    every = np.arange(len(i))
    once = coo_array((np.ones(len(i)), (i, every)), shape=(len(costs), len(i)))
    found = linprog(costs[i, s], member[s].T, np.ones(member.shape[1]), once, np.ones(len(costs)), method="highs")
    if found.status != 0:
        return np.zeros(member.shape[1])
    return np.asarray(np.minimum(found.ineqlin.marginals, 0.0))
