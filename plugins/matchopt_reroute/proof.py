"""The proof that an assignment of rows to hardware neurons is optimal, or a better one."""

import numpy as np

from matchopt import LayerInstance, Limits
from matchopt_reroute.bounds import SAFE, assignment_bound
from matchopt_reroute.pairs import Pairs
from matchopt_reroute.wiring import assigned


class Proof:
    """Raises lower bounds of pairs where an assignment needs it; `pairs.cost` are costs that are reached."""

    def __init__(self, instance: LayerInstance, bounds: np.ndarray, pairs: Pairs, limits: Limits) -> None:
        from matchopt_reroute.enumeration import PairTable  # only here: it loads numba

        self.table, self._pairs, self._limits = PairTable(instance, bounds, limits.threads), pairs, limits
        self.bound, self.complete = assignment_bound(bounds), False

    def run(self, budget: int) -> bool:
        """Go on with this many nodes for each enumeration; whether optimality is proved."""
        while not self._limits.reached():
            chosen = self._pairs.offer(self._limits, self.bound)
            rows = np.arange(len(chosen))
            if self._enumerate(rows, chosen, self._pairs.cost[rows, chosen], budget):
                continue
            ceiling = worthwhile(self._pairs.cost, chosen)
            i, j = np.nonzero(~self.table.exact & (self.table.bounds < ceiling * SAFE))
            better = self._enumerate(i, j, ceiling[i, j], budget)
            if not self._limits.reached():
                self._raise(budget)
            self.bound = max(self.bound, assignment_bound(self.table.bounds))
            if not better:
                open_pairs = self.table.bounds < ceiling * SAFE**2
                open_pairs[rows, chosen] |= ~self.table.exact[rows, chosen]
                self.complete = not open_pairs.any()
                return self.complete
        return False

    def _enumerate(self, rows: np.ndarray, neurons: np.ndarray, ceiling: np.ndarray, budget: int) -> bool:
        """Enumerate pairs below their ceilings; whether any turned out cheaper than known."""
        stop = self._limits.reached
        better = False
        for i in np.unique(rows).tolist():
            if stop():
                return better
            mine = np.flatnonzero((rows == i) & ~self.table.exact[i, neurons] & (self.table.spent[i, neurons] < budget))
            found = self.table.below(i, neurons[mine], ceiling[mine], budget)
            for j, cost, places, gain in found:
                if cost < self._pairs.cost[i, j] * SAFE:
                    better = True
                    self._pairs.learn(i, j, cost, places, gain)
            at_cost = neurons[mine][ceiling[mine] >= self._pairs.cost[i, neurons[mine]]]
            self.table.settle(i, at_cost, self._pairs.cost[i, at_cost])
        return better

    def _raise(self, budget: int) -> None:
        """Raise the bounds of pairs that enumeration could not end, where the assignment of bounds uses them."""
        chosen = assigned(self.table.bounds)
        for i, j in enumerate(chosen.tolist()):
            if self._limits.reached():
                return
            if not self.table.exact[i, j] and self.table.spent[i, j] >= budget:
                self.table.halve(i, j, float(self._pairs.cost[i, j]), budget)


def worthwhile(cost: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """What each pair must cost less than to improve an optimal assignment: the sum of its row's and column's potential.

    Potentials of columns are shortest paths from the free columns in the residual graph (Bellman and Ford); those of
    free columns are 0, all others at most 0.
    """
    rows = np.arange(len(chosen))
    own = cost[rows, chosen]
    price = np.zeros(cost.shape[1])
    for _ in range(len(chosen)):
        reach = (price[chosen] - own)[:, None] + cost
        lower = np.minimum(price, reach.min(axis=0, initial=np.inf))
        lower[np.setdiff1d(np.arange(len(price)), chosen)] = 0.0
        if np.array_equal(lower, price):
            break
        price = lower
    return np.asarray((own - price[chosen])[:, None] + price)
