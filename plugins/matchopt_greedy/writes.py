"""Layers of which so many cells may be written: a price for every write in place of their number."""

import math
from dataclasses import dataclass, replace

import numpy as np

from matchopt import LayerInstance, Limits, PositiveInt, Result, Solver, Status, assign, kernels
from matchopt_greedy.spending import Wiring, corner, spend

ROUNDING = 2.0**-42  # of the cost of dropping everything and of the bound together
MEETS = 1e-9  # relative gap below which a mapping is called optimal


@dataclass(frozen=True)
class PricedWrites(Solver):
    """Lagrangian relaxation of the number of writes, with a mapping repaired from it and its bound.

    At a fixed price a layer is an assignment of rows to neurons, which is solved exactly. Its optimum less the price of
    the allowed writes is a bound; the price of the best bound is found where the best assignments with too many and
    with few enough writes cost the same. On the neurons of every assignment met, rows are wired within the limit.
    Optimal where the limit does not bind, or the bound is met.

    Parameters
    ----------
    prices : most prices to try, >= 1.

    References
    ----------
    A. M. Geoffrion, "Lagrangean relaxation for integer programming", Mathematical Programming Study 2 (1974),
    doi:10.1007/BFb0120690.
    """

    name = "priced-writes"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "output-error"}
        | {"programmable-cells", "write-budget"}
    )

    prices: PositiveInt = 30

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        del rng
        budget = instance.rules.writes
        nothing = replace(instance, hardware=instance.hardware.fixed())
        less = _best(nothing, limits, 0.0)
        if less is None:
            return Result(None, Status.INFEASIBLE, message="some rows share too few neurons with cells enough")
        limits.offer(less.mapping(instance), less.cost)
        if budget == 0 or not instance.hardware.programmable:
            return _result(instance, limits, less.cost, 1)
        more = _best(instance, limits, 0.0)
        if more is None or limits.reached():
            return Result(limits.best, limit=limits.reached())
        bound, tried = more.cost, 2
        if budget is None or more.n_writes <= budget:
            limits.offer(more.mapping(instance), more.cost)
            return _result(instance, limits, bound, tried)
        for _ in limits.steps(self.prices):
            self._offer(instance, limits, more, less, budget)
            price = corner(more, less)
            between = _best(instance, limits, price)
            assert between is not None
            tried, level = tried + 1, less.cost + price * less.n_writes
            found = between.cost + price * between.n_writes
            bound = max(bound, found - price * budget)
            if found >= level * (1.0 - 1e-12) or not less.n_writes < between.n_writes < more.n_writes:
                break
            more, less = (between, less) if between.n_writes > budget else (more, between)
        self._offer(instance, limits, more, less, budget)
        return _result(instance, limits, bound, tried)

    def _offer(self, layer: LayerInstance, limits: Limits, more: Wiring, less: Wiring, budget: int) -> None:
        limits.offer(less.mapping(layer), less.cost)
        for neuron_of in (more.neuron_of, less.neuron_of):
            found = spend(layer, neuron_of, budget)
            limits.offer(found.mapping(layer), found.cost)


def _best(layer: LayerInstance, limits: Limits, price: float) -> Wiring | None:
    """The best mapping without a limit on writes, each at this price; None where there is none."""
    rules, factor = layer.rules, layer.objective.importance(layer.target)
    costs = kernels.pair_costs(
        layer.target,
        layer.hardware,
        gains=rules.gains,
        drop=rules.drop,
        importance=factor,
        threads=limits.threads,
        write_price=price,
    )
    neuron_of = assign(costs)
    return None if neuron_of is None else Wiring.at_price(layer, neuron_of, price)


def _result(layer: LayerInstance, limits: Limits, bound: float, tried: int) -> Result:
    """The best mapping offered, with the bound less what rounding can do to it."""
    size = float((layer.objective.importance(layer.target) * layer.target.weights**2).sum())
    bound = max(0.0, bound - ROUNDING * (size + abs(bound)))
    value = limits.best_value
    met = value - bound <= MEETS * value + 4.0 * ROUNDING * size and math.isfinite(value)
    status = Status.OPTIMAL if met else Status.FEASIBLE
    return Result(limits.best, status, None if met else limits.reached(), bound, {"prices": tried})
