"""Branch and bound on small crossbars."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limit, Limits, PositiveInt, Result, Solver, Status
from matchopt_crossbar.layer import LIMITED, UNDERSTOOD, one_connection, refusal, without_connections

MOST_ENTRIES = 2**20  # connections times cells: 8 MiB, and nodes of a millisecond
ROUNDING = 2.0**-42  # of the largest cost times the connections


@dataclass(frozen=True)
class Exact(Solver):
    """The least error of a layer on one bus, with a proof, for some sixteen rows and inputs.

    Depth first over rows and inputs, whichever leaves the largest gap. A node is bounded by the level-1 relaxation,
    with shares of rows and inputs that are functions of their own place alone, and closes the places whose reduced
    costs fill the gap; a neuron has a place for each gain. It begins with a mapping by perturbed assignments. Threads
    share out the tree.

    Parameters
    ----------
    rounds : perturbed assignments of both sides at the start, >= 1.

    References
    ----------
    P. Hahn, T. Grant, N. Hall, "A branch-and-bound algorithm for the quadratic assignment problem based on the
    Hungarian method", European Journal of Operational Research 108 (1998), doi:10.1016/S0377-2217(97)00063-5.
    """

    name = "crossbar-exact"
    solves = LayerInstance
    needs = ("numba", "scipy")
    role = "exact"
    understands = UNDERSTOOD - LIMITED - {"gain-interval"}

    rounds: PositiveInt = 2000

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        chip, gains, inputs = instance.hardware, instance.rules.gains.values, len(np.unique(instance.target.indices))
        leaks = bool(np.any(chip.off))
        if len(set(chip.bus.tolist())) > 1:
            return "all hardware neurons must share one bus"
        if gains is None:
            return "gains from an interval are not searched; allow a finite set"
        if leaks and instance.rules.drop and len(gains) > 1:
            return "a choice of gains together with drops and leaks is not searched"
        connections = instance.n_rows * inputs if leaks else instance.target.n_connections
        lines = chip.n_cells + inputs if leaks and instance.rules.drop else max(chip.n_cells, inputs)
        entries = connections * chip.n_neurons * len(gains) * lines
        if entries > MOST_ENTRIES:
            return f"{entries} costs of connections on cells are too many for a proof, which takes {MOST_ENTRIES}"
        return refusal(instance)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        from matchopt_crossbar.search import compile_search
        from matchopt_crossbar.tree_search import TreeSearch

        compile_search()
        one = LayerInstance(*one_connection())
        TreeSearch(one, 1.0, Limits()).run()

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.ascent import ConnectionCosts
        from matchopt_crossbar.search import Search
        from matchopt_crossbar.tree_search import TreeSearch

        if instance.target.n_connections == 0:
            return without_connections(instance)
        inputs = len(np.unique(instance.target.indices))
        if inputs > instance.hardware.n_cells and not instance.rules.drop:
            message = f"{inputs} inputs need a line each, and the bus has {instance.hardware.n_cells}"
            return Result(None, Status.INFEASIBLE, message=message)
        search = Search(instance, limits, rng)
        search.perturb(min(self.rounds, limits.iterations or self.rounds), 0.12 * search.unit, 0.4 ** (1 / self.rounds))
        search.finish()
        costs = ConnectionCosts(instance)
        worst = costs.worst * costs.shape[0]
        tree = TreeSearch(instance, min(limits.best_value, 2.0 * worst), limits)
        done = tree.run()
        if tree.best is not None:
            limits.offer(tree.best, instance.value(tree.best))
        bound = min(limits.best_value, max(0.0, tree.bound - ROUNDING * worst))
        stats = {"nodes": tree.nodes}
        if not done:
            return Result(limits.best, limit=limits.reached() or Limit.NODE, bound=bound, stats=stats)
        if limits.best is None:
            return Result(None, Status.INFEASIBLE, stats=stats, message="no mapping keeps the rules")
        if bound < limits.best_value - 2.0 * ROUNDING * worst - 1e-9 * limits.best_value:
            message = "lines and neurons are the best, but what was wired on them is worse than the bound"
            return Result(limits.best, bound=bound, stats=stats, message=message)
        return Result(limits.best, Status.OPTIMAL, bound=bound, stats=stats)
