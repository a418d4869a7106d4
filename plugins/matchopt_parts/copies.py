"""Copies of rows: one copy of every row is assigned after the other, each best for what the others leave."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limits, Result
from matchopt_parts.alternate import Alternate
from matchopt_parts.copies_search import Copies
from matchopt_parts.layer import UNDERSTOOD


@dataclass(frozen=True)
class CopiesAlternate(Alternate):
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
    understands = UNDERSTOOD | {"copies"}

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        search = Copies(instance)
        if not search.descend(limits):
            return Result(None, limit=limits.reached())
        return self.exchanged(search, limits, rng)
