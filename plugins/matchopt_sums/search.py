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
    rows and neurons, and an assignment its neurons. Pairs are improved by descents, of ever more neurons, and by kicks,
    and rows are assigned anew. Weights on their best sums, whoever else takes the cells, give a bound. On neurons of up
    to 16 cells the best disjoint sums are found by dynamic programming over sets of cells, for as many pairs as it
    takes to prove an assignment optimal.

    Parameters
    ----------
    rounds : improvements of pairs, each followed by an assignment.
    kicks : in every round, of every row on its neuron and the cheapest others.
    others : neurons of every row whose cells are searched in the first round; twice as many in the next, and so on.
    """

    name = "sum-search"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "several-cells", "drop", "extra-inputs", "gains"}
        | {"output-error"}
    )

    rounds: PositiveInt = 20
    kicks: NonNegativeInt = 2
    others: PositiveInt = 4

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
        pairs.relax(limits)
        done, idle, reach = 0, 0, self.others
        for _ in limits.steps(self.rounds):
            near = np.argsort(pairs.bounds + pairs.costs, axis=1, kind="stable")
            pairs.improve(near[:, :reach], 0, rng, limits)
            pairs.improve(np.column_stack([pairs.assigned(), near[:, : self.others]]), self.kicks, rng, limits)
            idle = 0 if pairs.offer(limits) else idle + 1
            done, reach = done + 1, 2 * reach
            if idle > 1 and reach > 2 * instance.hardware.n_neurons:
                break
        proven = pairs.prove(limits)
        pairs.offer(limits)
        if proven:
            return Result(limits.best, Status.OPTIMAL, bound=pairs.bound())
        return Result(limits.best, limit=limits.reached(), bound=pairs.bound(), stats={"rounds": done})
