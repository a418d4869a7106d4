"""Copies of rows: one copy of every row is assigned after the other, each best for what the others leave."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, Limit, Limits, NonNegativeInt, Result, Solver
from matchopt_parts.copies_search import Copies
from matchopt_parts.layer import GAIN, UNDERSTOOD, kicked, refusal


@dataclass(frozen=True)
class CopiesAlternate(Solver):
    """Residual greedy, then one copy of every row reassigned by turns; rows of some neurons are exchanged at random.

    With all but one copy of each row fixed, what is left is a layer with one neuron per row: for n copies the target
    is n times the weights less what the others realise, and errors count 1 / n^2. Neurons are assigned exactly, cells
    and gains matched exactly, and a row may do without the copy, so no step makes the error larger.

    Parameters
    ----------
    rounds : random exchanges after the first descent, >= 0.
    kick : share of neurons that are exchanged, 0 .. 1.

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2 (1955),
    doi:10.1002/nav.3800020109.
    """

    name = "copies-alternate"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD | {"copies"}

    rounds: NonNegativeInt = 20
    kick: Annotated[float, Ge(0), Le(1)] = 0.1

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return refusal(instance)

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        search = Copies(instance)
        if not search.descend(limits):
            return Result(None, limit=limits.reached())
        best, least, done = search.mapping(), search.total(), 0
        limits.report(best)
        kept = search.slots.copy()
        for _ in limits.steps(self.rounds):
            if search.settle(kicked(kept, self.kick, rng)):
                search.descend(limits)
            done += 1
            if search.total() < least * (1.0 - GAIN):
                best, least, kept = search.mapping(), search.total(), search.slots.copy()
                limits.report(best)
        stopped = limits.reached() or (Limit.ITERATION if done < self.rounds else None)
        return Result(best, limit=stopped, stats={"rounds": done})
