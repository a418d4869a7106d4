"""Multi-start alternating assignments of crossbars."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matchopt import LayerInstance, Limit, Limits, PositiveInt
from matchopt_crossbar.heuristic import Heuristic

if TYPE_CHECKING:
    from matchopt_crossbar.search import Search


@dataclass(frozen=True)
class Alternation(Heuristic):
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

    starts: PositiveInt = 100

    def run(self, instance: LayerInstance, search: "Search", limits: Limits) -> tuple[Limit | None, dict[str, int]]:
        """See `Heuristic.run`."""
        done = 0
        for _ in limits.steps(self.starts):
            search.perturb(1, 0.0)  # rows first: for random rows few lines may be worth driving
            search.descend()
            search.offer()
            search.between()
            search.start()
            done += 1
        return None if done == self.starts else limits.reached() or Limit.ITERATION, {"starts": done}
