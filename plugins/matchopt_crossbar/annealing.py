"""Annealing of crossbars by whole scans of swaps."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, Limits, PositiveFloat, PositiveInt, Result, Solver
from matchopt_crossbar.cooling import Cooling
from matchopt_crossbar.layer import UNDERSTOOD, refusal, without_connections

MOST_SWAPS = 2 * 10**10  # evaluated by default: a minute or two of one core
SCANS_PER_PAIR = 16  # by default, for each pair of a neuron or line with another: a minute at 100 x 100


@dataclass(frozen=True)
class Annealing(Solver):
    """Simulated annealing of rows on neurons and inputs on lines, for neurons that share lines.

    Every scan tries all swaps of two rows, and of two inputs, used and spare places alike, at one temperature; then the
    two sides are assigned by turns, exactly, down to a local optimum. Small layers are cooled
    several times. Cooling ends with the time limit where that is
    shorter than the scans. The bound is that of rows, or inputs, wired freely, and on one bus that of
    the level-1 relaxation.

    Parameters
    ----------
    scans : scans of all swaps; None for as many as 100 x 100 lines get in a minute, fewer on small layers. Scans in
        excess of the time limit are left out, so a large number means: all the time there is.
    hot, cold : first and last temperature as a share of a typical change of the error; None for what suits the
        redundancy of the hardware.
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.

    References
    ----------
    S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220 (1983),
    doi:10.1126/science.220.4598.671.
    """

    name = "crossbar-anneal"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD

    scans: PositiveInt | None = None
    hot: PositiveFloat | None = None
    cold: PositiveFloat | None = None
    ascent: Annotated[float, Ge(0), Le(1)] = 0.1

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return refusal(instance)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        from matchopt_crossbar.ascent import compile_ascent
        from matchopt_crossbar.search import compile_search

        compile_search()
        compile_ascent()

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.ascent import best_bound
        from matchopt_crossbar.search import Search, first_heat

        if instance.target.n_connections == 0:
            return without_connections(instance)
        search = Search(instance, limits, rng)
        bound = best_bound(instance, limits, self.ascent)
        spare = instance.hardware.n_neurons * search.n_lines / (instance.n_rows * search.n_inputs)
        usual = (0.3, 0.055 * spare**-0.5) if instance.rules.drop else (0.12, 0.08 * spare**-0.5)
        hot, cold = (
            (self.hot or max(usual[0], first_heat(instance, search))) * search.unit,
            (self.cold or usual[1]) * search.unit,
        )
        size = instance.hardware.n_neurons + search.n_lines
        default = min(SCANS_PER_PAIR * size * size, 1 + MOST_SWAPS // max(1, search.per_scan))
        cooling = Cooling(hot, min(hot, cold), self.scans or default, search.coolings)
        done, limit = cooling.run(search.anneal, search.offer, limits)
        search.finish()
        return search.result(limit, bound, {"scans": done})
