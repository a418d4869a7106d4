"""Annealing of crossbars by whole scans of swaps."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matchopt import LayerInstance, Limit, Limits, PositiveInt
from matchopt_crossbar.heuristic import Cooled, colder, redundancy

if TYPE_CHECKING:
    from matchopt_crossbar.search import Search

MOST_SWAPS = 10**10  # evaluated by default: a minute of one core for 100 x 100 weights on 400 x 400 cells
SCANS_PER_PAIR = 8  # by default, for each pair of a neuron or line with another: some 15 seconds at 100 x 100


@dataclass(frozen=True)
class Annealing(Cooled):
    """Simulated annealing of rows on neurons and inputs on lines, for neurons that share lines.

    Every scan tries all swaps of two rows, and of two inputs, used and spare places alike, at one temperature; every
    few scans, rows and inputs that share a large weight are moved together, if there are spare places or drops. Then
    the two sides are assigned by turns, exactly, down to a local optimum. Small layers are cooled several times.
    Cooling ends with the time limit where that is shorter than the scans. The bound is that of rows, or inputs, wired
    freely, and on one bus that of the level-1 relaxation.

    Parameters
    ----------
    scans : scans of all swaps; None for as many as 100 x 100 lines get in some 15 seconds, fewer on small layers. Scans
        in excess of the time limit are left out, so a large number means: all the time there is.
    hot, cold : first and last temperature as a share of a typical change of the error; None for what suits the
        redundancy of the hardware.
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.

    References
    ----------
    S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220 (1983),
    doi:10.1126/science.220.4598.671.
    """

    name = "crossbar-anneal"

    scans: PositiveInt | None = None

    def run(self, instance: LayerInstance, search: "Search", limits: Limits) -> tuple[Limit | None, dict[str, int]]:
        """See `Heuristic.run`."""
        spare = redundancy(instance, search)
        usual = (0.22, 0.06 * spare**-0.5) if instance.rules.drop else (0.12, 0.08 * spare**-0.5)
        usual = colder(instance, usual)
        size = instance.hardware.n_neurons + search.n_lines
        default = min(SCANS_PER_PAIR * size * size, 1 + MOST_SWAPS // max(1, search.per_scan))
        done, limit = self.cooled(instance, search, limits, usual, self.scans or default, search.anneal)
        return limit, {"scans": done}
