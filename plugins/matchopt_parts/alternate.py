"""What solvers for rows with several hardware neurons have in common: descents, and random exchanges between them."""

from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from annotated_types import Ge, Le

from matchopt import LayerInstance, LayerMapping, Limit, Limits, NonNegativeInt, Result, Solver
from matchopt_parts.layer import GAIN, kicked, refusal


class Descent(Protocol):
    """A search that can be put on other neurons: those of each row in `slots`, -1 where there is none."""

    slots: np.ndarray

    @property
    def total(self) -> float:
        """Error of the mapping."""

    def settle(self, slots: np.ndarray) -> bool:
        """Take these neurons; whether they serve every row."""

    def descend(self, limits: Limits) -> bool | None:
        """Improve the mapping for as long as that is possible."""

    def mapping(self) -> LayerMapping:
        """The mapping."""


@dataclass(frozen=True)
class Alternate(Solver):
    """Descents from the best mapping with some neurons exchanged at random.

    Parameters
    ----------
    rounds : random exchanges after the first descent, >= 0.
    kick : share of neurons that are exchanged, 0 .. 1.
    """

    solves = LayerInstance
    needs = ("numba", "scipy")

    rounds: NonNegativeInt = 20
    kick: Annotated[float, Ge(0), Le(1)] = 0.1

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return refusal(instance)

    def exchanged(self, search: Descent, limits: Limits, rng: np.random.Generator) -> Result:
        """The best mapping of all rounds, from a search that has descended once."""
        best, least, kept, done = search.mapping(), search.total, search.slots.copy(), 0
        limits.report(best)
        for _ in limits.steps(self.rounds):
            if search.settle(kicked(kept, self.kick, rng)):
                search.descend(limits)
            done += 1
            if search.total < least * (1.0 - GAIN):
                best, least, kept = search.mapping(), search.total, search.slots.copy()
                limits.report(best)
        stopped = limits.reached() or (Limit.ITERATION if done < self.rounds else None)
        return Result(best, limit=stopped, stats={"rounds": done})
