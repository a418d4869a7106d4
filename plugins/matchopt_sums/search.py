"""The search of layers whose weights are sums of cells that listen anywhere."""

from dataclasses import dataclass

import numpy as np

from matchopt import (
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    NonNegativeInt,
    PositiveInt,
    Result,
    Rules,
    Solver,
    Status,
    Target,
    assign,
    is_feasible,
)


@dataclass(frozen=True)
class SumSearch(Solver):
    """Several cells per weight under free routing: disjoint sets of cells for the weights of a row, by local search.

    Each weight takes the best single, pair or triple of free cells, and further ones while they help, the largest
    weight first; then one weight, or two, choose anew until nothing is gained. That gives the costs of all pairs of
    rows and neurons, and an assignment its neurons. Their pairs, and those with the cheapest other neurons, are
    improved by kicks, each followed by a descent, and rows are assigned anew.

    Parameters
    ----------
    rounds : improvements of pairs, each followed by an assignment.
    kicks : of every pair in every round.
    others : neurons of every row that are improved besides its own.
    """

    name = "sum-search"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "several-cells", "drop", "extra-inputs", "gains"}
        | {"output-error"}
    )

    rounds: PositiveInt = 10
    kicks: NonNegativeInt = 20
    others: NonNegativeInt = 3

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        layer = LayerInstance(Target.from_dense(np.ones((1, 2))), Hardware(np.ones((1, 4))), Rules(2))
        self.solve(layer, Limits(), np.random.default_rng(0))

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        if isinstance(limits.start, LayerMapping) and is_feasible(instance, limits.start):
            limits.offer(limits.start, instance.value(limits.start))
        from matchopt_sums.pairs import Pairs  # compiles, or loads what was compiled

        pairs = Pairs(instance)
        if not pairs.fill(limits):
            return Result(limits.best, limit=limits.reached(), message="time was up before all pairs had a cost")
        neuron_of = assign(pairs.costs)
        if neuron_of is None or not np.isfinite(pairs.costs[np.arange(len(neuron_of)), neuron_of]).all():
            return Result(None, Status.INFEASIBLE, message="some rows find no neurons with cells enough")
        pairs.improve(neuron_of[:, None], 0, rng, Limits())
        limits.offer(mapping := pairs.mapping(neuron_of), instance.value(mapping))
        done, idle = 0, 0
        for _ in limits.steps(self.rounds):
            done += 1
            near = np.argsort(pairs.costs, axis=1, kind="stable")[:, : self.others]
            gained = pairs.improve(np.column_stack([neuron_of, near]), self.kicks, rng, limits)
            neuron_of = assign(pairs.costs)
            assert neuron_of is not None
            pairs.improve(neuron_of[:, None], 0, rng, Limits())
            limits.offer(mapping := pairs.mapping(neuron_of), instance.value(mapping))
            idle = 0 if gained else idle + 1
            if idle == 2:
                break
        return Result(limits.best, limit=limits.reached(), stats={"rounds": done})
