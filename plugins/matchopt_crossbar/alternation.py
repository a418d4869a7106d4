"""Multi-start alternating assignments of crossbars."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, Limit, Limits, PositiveInt, Result, Solver
from matchopt_crossbar.layer import UNDERSTOOD, refusal, without_connections


@dataclass(frozen=True)
class Alternation(Solver):
    """Rows to neurons with the inputs' lines fixed, inputs to lines with the rows fixed, by turns, from random starts.

    Each half is an exact assignment, so the error falls until neither side alone can improve it. The bound is that of
    rows, or inputs, wired freely, and on one bus that of the level-1 relaxation.

    Parameters
    ----------
    starts : random starts, besides the one given, >= 1.
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.

    References
    ----------
    A. Custic, V. Sokol, A. Punnen, B. Bhattacharya, "The bilinear assignment problem: complexity and polynomially
    solvable special cases", Mathematical Programming 166 (2017), doi:10.1007/s10107-017-1111-1.
    """

    name = "crossbar-alternate"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD

    starts: PositiveInt = 100
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
        from matchopt_crossbar.search import Search

        if instance.target.n_connections == 0:
            return without_connections(instance)
        search, done = Search(instance, limits, rng), 0
        bound = best_bound(instance, limits, self.ascent)
        for _ in limits.steps(self.starts):
            search.perturb(1, 0.0)  # rows first: for random rows few lines may be worth driving
            search.descend()
            search.offer()
            search.start()
            done += 1
        search.finish()
        return search.result(
            None if done == self.starts else limits.reached() or Limit.ITERATION, bound, {"starts": done}
        )
