"""What the heuristics for crossbars have in common: a search that begins, is bounded, and offers what it finds."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, Limit, Limits, PositiveFloat, Result, Solver
from matchopt_crossbar.cooling import Cooling
from matchopt_crossbar.layer import UNDERSTOOD, refusal, without_connections

if TYPE_CHECKING:
    from matchopt_crossbar.search import Search

LONG = 10_000  # passes from which on tables are changed by what has moved; fewer give the same answers as ever
JOINT_FROM = 1.3  # redundancy without drops: on 100 x 100 joint moves lose 2 % at 1, 1 % at 1.2, and win 2 % at 1.6
LEAKING = 0.4  # of the last temperature, by trials on measured kernels with stuck cells


@dataclass(frozen=True)
class Heuristic(Solver):
    """A search of rows' neurons and inputs' lines, beside a bound.

    Parameters
    ----------
    ascent : share of the time limit that goes into the relaxation's bound; 0 for none.
    """

    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD

    ascent: Annotated[float, Ge(0), Le(1)] = field(default=0.1, kw_only=True)

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
        search = Search(instance, limits, rng)
        bound = best_bound(instance, limits, self.ascent, search.prices)
        limit, done = self.run(instance, search, limits)
        search.finish()
        return search.result(limit, bound, done)

    @abstractmethod
    def run(self, instance: LayerInstance, search: "Search", limits: Limits) -> tuple[Limit | None, dict[str, int]]:
        """Search; returns why it ended early, and how much was done, for the stats."""


@dataclass(frozen=True)
class Cooled(Heuristic):
    """One that cools down.

    Parameters
    ----------
    hot, cold : first and last temperature as a share of a typical change of the error; None for what suits the
        redundancy of the hardware.
    """

    hot: PositiveFloat | None = field(default=None, kw_only=True)
    cold: PositiveFloat | None = field(default=None, kw_only=True)

    def cooled(
        self,
        instance: LayerInstance,
        search: "Search",
        limits: Limits,
        usual: tuple[float, float],
        passes: int,
        step: Callable[[int, float, float], float],
    ) -> tuple[int, Limit | None]:
        """Make passes of `step` from hot to cold, by `usual` where nothing else is asked for; see `Cooling.run`."""
        from matchopt_crossbar.search import first_heat

        if instance.rules.drop or redundancy(instance, search) >= JOINT_FROM:
            search.join()
        if passes >= LONG:
            search.patch()
        hot = (self.hot or max(usual[0], first_heat(instance, search))) * search.unit
        cold = (self.cold or usual[1]) * search.unit
        return Cooling(hot, min(hot, cold), passes, search.coolings).run(step, search.offer, limits, search.between)


def redundancy(instance: LayerInstance, search: "Search") -> float:
    """Neurons and lines there are for each that is needed, multiplied."""
    return float(instance.hardware.n_neurons * search.n_lines / (instance.n_rows * search.n_inputs))


def colder(instance: LayerInstance, usual: tuple[float, float]) -> tuple[float, float]:
    """First and last temperature; the last is lower where lines leak, and it counts which of them are driven."""
    leaks = instance.rules.drop and "leak" in instance.demands
    return (usual[0], LEAKING * usual[1]) if leaks else usual
