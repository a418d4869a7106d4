"""Rows split over several hardware neurons: parts are assigned, then connections dealt to parts anew, by turns."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limits, Result
from matchopt_parts.alternate import Alternate
from matchopt_parts.layer import UNDERSTOOD
from matchopt_parts.parts_search import RowParts, dealt


@dataclass(frozen=True)
class SplitAlternate(Alternate):
    """Neurons to parts with the connections of each part fixed, connections to cells with the neurons fixed, by turns.

    Both halves are exact: the first is an assignment of all parts of all rows to neurons, at the gain and wiring that
    is best for each pair; in the second a row is matched to the cells of all its neurons at once, as if these were one
    wide neuron. One neuron of every row is also exchanged while the row's connections are dealt anew. Neurons of some
    parts are exchanged at random in between.

    Parameters
    ----------
    rounds : random exchanges after the first descent, >= 0.
    kick : share of neurons that are exchanged, 0 .. 1.

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2 (1955),
    doi:10.1002/nav.3800020109.
    """

    name = "split-alternate"
    understands = UNDERSTOOD | {"several-neurons"}

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        slots = dealt(instance, rng)
        if slots is None:
            return Result(None, message="no neurons with cells enough for every row were found by taking the widest")
        search = RowParts(instance, slots)
        search.descend(limits)
        return self.exchanged(search, limits, rng)
