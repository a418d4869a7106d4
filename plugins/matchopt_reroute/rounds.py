"""Rounds of assignment and longer search on all pairs of a layer."""

import math
from dataclasses import dataclass

from matchopt import LayerInstance, LayerMapping, Limits, is_feasible
from matchopt_reroute.forward import assign
from matchopt_reroute.pairs import Pairs

PATIENCE = 2  # rounds without a better assignment after which the search ends


@dataclass
class Incumbent:
    """The best mapping of a layer so far, its value, and the bound that is reported with it."""

    instance: LayerInstance
    limits: Limits
    bound: float = -math.inf
    best: LayerMapping | None = None
    value: float = math.inf

    def begin(self) -> None:
        """Take the caller's start, if it is feasible."""
        start = self.limits.start
        if isinstance(start, LayerMapping) and is_feasible(self.instance, start):
            self.best, self.value = start, self.instance.value(start)

    def offer(self, mapping: LayerMapping) -> None:
        """Keep and report `mapping` if it is better."""
        value = self.instance.value(mapping)
        if value < self.value:
            self.best, self.value = mapping, value
            self.limits.report(mapping, min(self.bound, value))


def search_rounds(pairs: Pairs, incumbent: Incumbent, rounds: int, kicks: int, others: int, seed: int) -> None:
    """Assign, search the chosen pairs and `others` of each row longer, and assign again.

    Raises
    ------
    Unplaceable
        when the rows do not fit the hardware.
    """
    if incumbent.best is not None:
        pairs.begin_with(incumbent.best)
    total, idle = math.inf, 0
    for step in incumbent.limits.steps(rounds + 1):
        incumbent.offer(pairs.mapping(assign(pairs.cost)))
        idle = 0 if pairs.total < total else idle + 1
        total = min(total, pairs.total)
        if step == rounds or idle == PATIENCE:
            break
        pairs.search_longer(kicks, others, seed + step)
