"""Bounds for layers that share a budget of fully tunable weights: every such weight gets a price.

At prices p of the layers, none below the price r >= 0 of the whole network, a mapping costs no more than before by

    sum over layers of (error + p * tunable weights - (p - r) * the layer's budget) - r * the network's budget,

as no budget is exceeded. The least of error + p * tunable weights is an assignment of rows to neurons in which any
connection may go without a cell for p, so what is proved of these adds up to a lower bound, whatever the prices are.
Those that the rows ask for on the neurons that they have are nearly the best: what rows cost there is concave in the
price, and the bound highest where it rises as the budget says.

References: A. M. Geoffrion, "Lagrangean relaxation for integer programming", Mathematical Programming Study 2 (1974),
doi:10.1007/BFb0120690.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import LayerInstance, LayerMapping, Target
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.effort import Effort
from matchopt.proofs.feasible import NOTHING
from matchopt.proofs.inner import exact_costs
from matchopt.proofs.layer import Table, as_they_are, certify_pairs, connection_costs
from matchopt.proofs.separable import Separable, separable

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
CLOSE = 1e-9  # relative distance of the ends of a search for prices
RANGE = 1e-15  # least price that is looked at, as a share of the largest that can matter
SMALL = 1e8  # connections times cells of all layers up to which other prices are tried, all in the same proportion
RANGE_OF_FACTORS, CLOSE_FACTORS = 32.0, 1e-6  # which are tried: up to the one, to the other's relative distance
ROUNDING = 2.0**-48  # of a sum of few products, relative to their sizes


def certify_budget(
    layers: Sequence[LayerInstance], parts: Sequence[LayerMapping], total: float, effort: Effort
) -> Certificate:
    """See `matchopt.proofs.certify`; `total` tunable weights for all layers together, each with a budget > 0 too."""
    rows = [_Rows.of(layer, part, effort) for layer, part in zip(layers, parts, strict=True)]
    budgets = [float(min(layer.rules.tunable, layer.target.n_connections)) for layer in layers]
    r, prices = _prices(rows, budgets, total)
    best = _at(rows, budgets, total, r, prices, effort)
    if best.optimal or math.fsum(row.work for row in rows) > SMALL:
        return best

    def value(factor: float) -> float:
        nonlocal best
        found = _at(rows, budgets, total, factor * r, [factor * price for price in prices], effort)
        best = found if found.bound > best.bound else best
        return found.bound

    _highest(value, RANGE_OF_FACTORS, 1.0 / RANGE_OF_FACTORS**2, CLOSE_FACTORS)
    return best


def _at(
    rows: Sequence["_Rows"], budgets: Sequence[float], total: float, r: float, prices: Sequence[float], effort: Effort
) -> Certificate:
    """What is proved at these prices."""
    found = []
    for n, (row, price) in enumerate(zip(rows, prices, strict=True)):
        share = effort.share(len(rows) - n)
        allowed = share.steps
        priced = row.objective + price * row.used
        found.append(certify_pairs(Table.of(replace(row.problem, price=price), share), row.part, priced))
        effort.spend(allowed - share.steps if allowed < math.inf else 0.0)
    returned = [-(p - r) * budget for p, budget in zip(prices, budgets, strict=True)]
    returned.append(-r * min(total, math.fsum(budgets)))
    terms = [part.bound for part in found] + returned
    rounding = ROUNDING * math.fsum(abs(term) for term in terms)
    bound, objective = math.fsum(terms) - rounding, math.fsum(row.objective for row in rows)
    allowance = 2.0 * rounding + math.fsum(part.allowance for part in found)
    optimal = bound >= objective - allowance
    duals = tuple(replace(part.duals[0], price=price) for part, price in zip(found, prices, strict=True))
    return Certificate(max(bound, 0.0), optimal, False, allowance, "layer dual, priced", duals)


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a layer on the neurons that they have, the error there, and how many tunable weights are used.

    `most` is a price above which no tunable weight is worth it, but where there are too few cells.
    """

    problem: Separable
    part: LayerMapping
    objective: float
    used: int
    most: float
    effort: Effort

    @classmethod
    def of(cls, layer: LayerInstance, part: LayerMapping, effort: Effort) -> "_Rows":
        """Raises Refused where the mapping breaks a rule that its error relies on."""
        target, tuned = layer.target, np.asarray(part.tunable)
        inside = bool(((tuned >= 0) & (tuned < target.n_connections)).all()) and len(np.unique(tuned)) == len(tuned)
        if not inside or len(tuned) > layer.rules.tunable:
            raise Refused(NOTHING)
        left = np.ones(target.n_connections, bool)
        left[tuned] = False
        starts = np.concatenate([[0], np.cumsum(left)])[target.indptr]
        wired = Target(
            starts, target.indices[left], target.weights[left], target.n_inputs, np.asarray(target.importance)[left]
        )
        plain = replace(layer, rules=replace(layer.rules, tunable=0))
        costs = connection_costs(
            replace(plain, target=wired), replace(part, tunable=tuned[:0], tuned=None), as_they_are
        )
        off = 0.0 if part.tuned is None else target.weights[tuned] - part.tuned
        costs = np.append(costs, layer.objective.importance(target)[tuned] * off * off)
        problem, gains, chip = separable(plain), layer.rules.gains.values, layer.hardware
        if gains is None:
            raise Refused("no independent proof of a bound is known for tunable weights under gains in an interval")
        gain = max(abs(gain) for gain in gains)
        reach = float(np.abs(target.weights).max(initial=0.0) + gain * np.abs(chip.weights).max(initial=0.0))
        largest = reach * reach + gain * gain * float(chip.variance.max(initial=0.0))
        most = float(target.fan_in.max(initial=0) * problem.factor.max(initial=0.0)) * largest
        return cls(problem, part, math.fsum(costs.tolist()), len(tuned), most or 1.0, effort)

    @property
    def work(self) -> float:
        """What solving all pairs takes."""
        return float(len(self.problem.weight) * self.problem.chip.weights.size)

    def cost(self, price: float) -> float:
        """What the rows cost on their neurons at this price."""
        problem, neurons = replace(self.problem, price=price), self.part.neuron_of
        self.effort.spend(float(problem.n_cells * len(problem.weight)))
        return math.fsum(exact_costs(problem, np.arange(problem.n_rows), neurons).tolist())


def _prices(rows: Sequence[_Rows], budgets: Sequence[float], total: float) -> tuple[float, list[float]]:
    """The network's price and the layers', nearly the best on the neurons that the rows have."""
    own = [
        _highest(lambda p, row=row, budget=budget: row.cost(p) - p * budget, row.most)  # type: ignore[misc]
        for row, budget in zip(rows, budgets, strict=True)
    ]
    if total >= math.fsum(budgets):
        return 0.0, own

    def value(r: float) -> float:
        terms = [
            row.cost(max(r, p)) - (max(r, p) - r) * budget for row, p, budget in zip(rows, own, budgets, strict=True)
        ]
        return math.fsum(terms) - r * total

    r = _highest(value, max(row.most for row in rows))
    return r, [max(r, p) for p in own]


def _highest(value: Callable[[float], float], most: float, range_: float = RANGE, close: float = CLOSE) -> float:
    """Where a concave function of a price in 0 .. most is highest, or nearly: golden sections of its logarithm."""
    low, high = math.log(range_ * most), math.log(most)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = value(math.exp(left)), value(math.exp(right))
    while high - low > close:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = value(math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = value(math.exp(right))
    best = math.exp(left)
    return best if value(best) > value(0.0) else 0.0
