"""Annealed perturbed assignments of crossbars."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, Limits, PositiveFloat, PositiveInt, Result, Solver
from matchopt_crossbar.cooling import Cooling
from matchopt_crossbar.layer import UNDERSTOOD, refusal, without_connections

MOST_ROUNDS = 400_000  # by default: half a minute or so at 100 x 100
ROUNDS_PER_PLACE = 2000  # by default, for each neuron and line


@dataclass(frozen=True)
class Perturbation(Solver):
    """Exact assignments of rows to neurons and of inputs to lines by turns, under noise that fades.

    Rows go where their costs plus a temperature times fresh Gumbel numbers are least, the inputs likewise; the best
    mapping seen is kept, and brought down to a local optimum in the end. Small layers are cooled
    several times. Cooling ends with the time limit where that is
    shorter than the rounds. The bound is that of rows, or inputs, wired freely, and on one bus that of
    the level-1 relaxation.

    Parameters
    ----------
    rounds : assignments of both sides; None for what suits the size. Rounds in excess of the time limit are left out,
        so a large number means: all the time there is.
    hot, cold : first and last temperature as a share of a typical change of the error; None for what suits the
        redundancy of the hardware.
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.

    References
    ----------
    G. Papandreou, A. Yuille, "Perturb-and-MAP random fields", ICCV 2011, doi:10.1109/ICCV.2011.6126242 (minima under
    noise in place of samples).
    """

    name = "crossbar-perturb"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD

    rounds: PositiveInt | None = None
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
        usual = (0.28, 0.048 * spare**-0.2) if instance.rules.drop else (0.1, 0.045 * spare**-0.2)
        hot, cold = (
            (self.hot or max(usual[0], first_heat(instance, search))) * search.unit,
            (self.cold or usual[1]) * search.unit,
        )
        default = min(ROUNDS_PER_PLACE * (instance.hardware.n_neurons + search.n_lines), MOST_ROUNDS)
        cooling = Cooling(hot, min(hot, cold), self.rounds or default, search.coolings)
        done, limit = cooling.run(search.perturb, search.offer, limits)
        search.finish()
        return search.result(limit, bound, {"rounds": done})
