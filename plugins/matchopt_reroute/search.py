"""Local search for layers that minimise the error of their outputs."""

import math
from dataclasses import dataclass

import numpy as np

from matchopt import (
    Assignment,
    AssignmentInstance,
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    NonNegativeInt,
    PositiveInt,
    Result,
    Solver,
    Status,
    reduction,
)
from matchopt_reroute.bounds import MOST_FAN_IN, assignment_bound, not_moments, pair_bounds
from matchopt_reroute.pairs import Pairs, search_rounds
from matchopt_reroute.wiring import (
    UNDERSTOOD,
    Unplaceable,
    assigned,
    refuses_wiring,
    smallest,
    take_start,
    with_assigned,
)


@dataclass(frozen=True)
class OutputSearch(Solver):
    """The least output error by local search: where a row's cells listen, and which hardware neurons rows take.

    First comes a mapping on the neurons of the least weight error. Then for every pair of neurons one descent over the
    places of the cells, from near the target weights, gives a cost, an assignment chooses pairs, and the chosen ones
    and the next best are searched longer, until no better assignment is found. Where inputs are not correlated the
    answer is the optimum. The bound replaces the second moments by a diagonal that they dominate; with extra inputs and
    correlations there is none.

    Parameters
    ----------
    rounds : most rounds of longer searches, >= 0.
    kicks : random disturbances of each pair in a round, >= 0.
    others : pairs of each row that are searched longer besides the chosen one, >= 0.
    candidates : hardware neurons per row that are tried at all, those of the lowest bounds, >= 1.
    """

    name = "output-search"
    solves = LayerInstance
    needs = ("numba", "scipy")
    begins = True
    understands = UNDERSTOOD | {"extra-inputs", "gain-interval"}

    rounds: NonNegativeInt = 20
    kicks: NonNegativeInt = 50
    others: NonNegativeInt = 4
    candidates: PositiveInt = 400

    def refuses(self, instance: LayerInstance) -> str | None:
        """Weight errors; see `Solver.refuses`."""
        return refuses_wiring(instance, self.name)

    def prepare(self) -> None:
        self.solve(smallest(), Limits(), np.random.default_rng(0))

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        seed = int(rng.integers(2**30))
        try:
            if instance.objective.is_diagonal:
                return _separable(instance)
            return self._search(instance, limits, seed)
        except Unplaceable as cause:
            return Result(None, Status.INFEASIBLE, message=str(cause))

    def _search(self, instance: LayerInstance, limits: Limits, seed: int) -> Result:
        pairs = Pairs(instance, limits.threads, lambda: limits.reached() is not None)
        take_start(instance, limits)
        pairs.begin_coarsely(limits)
        bounds, least = None, -math.inf
        bounded = not instance.rules.extra_inputs and instance.target.fan_in.max(initial=0) <= MOST_FAN_IN
        if bounded and not limits.reached() and not_moments(instance) is None:
            bounds = pair_bounds(instance, limits.threads)
            least = assignment_bound(bounds)
        if limits.reached() or not pairs.begin(self._tried(instance, bounds)):
            bound, message = min(least, limits.best_value), "time was up before every pair was tried"
            return Result(limits.best, limit=Limit.TIME, bound=bound, message=message)
        search_rounds(pairs, limits, least, self.rounds, self.kicks, self.others, seed)
        limit = limits.reached()
        if limit is None and limits.iterations is not None and limits.iterations <= self.rounds:
            limit = Limit.ITERATION
        return Result(limits.best, limit=limit, bound=min(least, limits.best_value))

    def _tried(self, instance: LayerInstance, bounds: np.ndarray | None) -> np.ndarray | None:
        """The neurons tried for each row, those of the best assignment of bounds among them; None for all."""
        if instance.hardware.n_neurons <= self.candidates or bounds is None:
            return None
        return with_assigned(bounds, self.candidates)


def _separable(instance: LayerInstance) -> Result:
    """The optimum where inputs are not correlated."""
    step = reduction(instance, AssignmentInstance)
    (costs,) = step.parts
    assert isinstance(costs, AssignmentInstance)
    mapping = step.lift([Assignment(assigned(costs.dense))])
    assert isinstance(mapping, LayerMapping)
    return Result(mapping, Status.OPTIMAL, bound=min(assignment_bound(costs.dense), instance.value(mapping)))
