"""Annealed perturbed assignments of crossbars."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matchopt import LayerInstance, Limit, Limits, PositiveInt
from matchopt_crossbar.heuristic import LONG, Cooled, colder, redundancy

if TYPE_CHECKING:
    from matchopt_crossbar.search import Search

MOST_ROUNDS = 150_000  # by default: a minute of one core for 100 x 100 weights on 400 x 400 cells
ROUNDS_PER_PLACE = 500  # by default, for each neuron and line, but no fewer than make a long search


@dataclass(frozen=True)
class Perturbation(Cooled):
    """Exact assignments of rows to neurons and of inputs to lines by turns, under noise that fades.

    Rows go where their costs plus a temperature times fresh Gumbel numbers are least, the inputs likewise; every few
    rounds, rows and inputs that share a large weight are moved together, if there are spare places or drops. The best
    mapping seen is kept, and brought down to a local optimum in the end. Small layers are cooled several times. Cooling
    ends with the time limit where that is shorter than the rounds. The bound is that of rows, or inputs, wired freely,
    and on one bus that of the level-1 relaxation.

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

    rounds: PositiveInt | None = None

    def run(self, instance: LayerInstance, search: "Search", limits: Limits) -> tuple[Limit | None, dict[str, int]]:
        """See `Heuristic.run`."""
        spare = redundancy(instance, search)
        places = instance.hardware.n_neurons + search.n_lines
        default = min(max(ROUNDS_PER_PLACE * places, LONG), MOST_ROUNDS)
        rounds = self.rounds or default
        dropping = 0.5 * spare**-0.2 if rounds >= LONG else 0.28
        usual = (dropping, 0.048 * spare**-0.2) if instance.rules.drop else (0.1, 0.045 * spare**-0.2)
        usual = colder(instance, usual)
        done, limit = self.cooled(instance, search, limits, usual, rounds, search.perturb)
        return limit, {"rounds": done}
