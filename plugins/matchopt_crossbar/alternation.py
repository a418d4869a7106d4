"""Iterated alternating assignments of crossbars."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from matchopt import LayerInstance, Limit, Limits, PositiveInt
from matchopt_crossbar.heuristic import Heuristic

if TYPE_CHECKING:
    from matchopt_crossbar.search import Search

PATIENCE = 100  # starts without a better mapping than the one they are made from, before a random start
SCANS, WARM = 40, 0.02  # where lines leak: scans of swaps in each start, and their first temperature, by trials
COOLER = 0.9  # after each scan


@dataclass(frozen=True)
class Alternation(Heuristic):
    """Rows to neurons with the inputs' lines fixed, inputs to lines with the rows fixed, by turns, from many starts.

    Each half is an exact assignment, so the error falls until neither side alone can improve it. Then some of the
    places are exchanged at random, of the better of this mapping and the one before (iterated local search); where that
    improves nothing for long the next start is random. Where lines leak, an assignment takes for granted which of them
    the others drive, so that scans of single swaps follow. The bound is that of rows, or inputs, wired freely, and on
    one bus that of the level-1 relaxation.

    Parameters
    ----------
    starts : starts, besides the one given, >= 1.
    kick : share of neurons, and of lines, that are exchanged before a start; 1 for starts that are random altogether.
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.

    References
    ----------
    A. Custic, V. Sokol, A. Punnen, B. Bhattacharya, "The bilinear assignment problem: complexity and polynomially
    solvable special cases", Mathematical Programming 166 (2017), doi:10.1007/s10107-017-1111-1.
    """

    name = "crossbar-alternate"

    starts: PositiveInt = 100
    kick: Annotated[float, Ge(0), Le(1)] = 0.25

    def run(self, instance: LayerInstance, search: "Search", limits: Limits) -> tuple[Limit | None, dict[str, int]]:
        """See `Heuristic.run`."""
        done, tries, cost, kept = 0, 0, math.inf, search.places()
        leaks = "leak" in instance.demands
        for _ in limits.steps(self.starts):
            search.perturb(1, 0.0)  # rows first: for random rows few lines may be worth driving
            search.descend()
            if leaks:
                search.anneal(SCANS, WARM * search.unit, COOLER)
                search.descend()
            search.offer()
            search.between()
            done, tries = done + 1, tries + 1
            if search.cost < cost:
                cost, kept, tries = search.cost, search.places(), 0
            if self.kick == 1.0 or tries == PATIENCE:
                search.start()
                cost, tries = math.inf, 0
            else:
                search.kick(kept, self.kick)
        return None if done == self.starts else limits.reached() or Limit.ITERATION, {"starts": done}
