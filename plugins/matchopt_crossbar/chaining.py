"""What the solvers of chained arrays have in common: a search that begins, is bounded, and offers what it finds."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le

from matchopt import Limit, Limits, NetworkInstance, NetworkMapping, Result, Solver, is_feasible
from matchopt_crossbar.layer import UNDERSTOOD, refusal

if TYPE_CHECKING:
    from matchopt_crossbar.chain_search import Chain


@dataclass(frozen=True)
class Chaining(Solver):
    """What the solvers of chained arrays have in common.

    Parameters
    ----------
    ascent : share of the time limit that goes into the relaxations' bounds; 0 for none.
    """

    solves = NetworkInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD | {"chained", "hardware-bias", "adjustable-bias"}
    begins = True

    ascent: Annotated[float, Ge(0), Le(1)] = field(default=0.1, kw_only=True)

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks that are not chained; see `Solver.refuses`."""
        if not instance.chained:
            return "it takes chained arrays; layers of others are mapped one by one"
        return next((reason for layer in instance.layers if (reason := refusal(layer)) is not None), None)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        from matchopt_crossbar.ascent import compile_ascent
        from matchopt_crossbar.chain_search import compile_chain

        compile_chain()
        compile_ascent()

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.chain_search import Chain

        chain, given = Chain(instance, rng), limits.start
        if isinstance(given, NetworkMapping) and is_feasible(instance, given):
            limits.offer(given, instance.value(given))
            chain.begin_with(given)
        chain.descend(limits.reached)
        self.offer(instance, chain, limits)
        bound = self._bound(instance, chain, limits)
        limit, done = self.run(instance, chain, limits)
        message = "" if limits.best is not None else "no mapping found that keeps the rules"
        bound = min(bound, limits.best_value)
        return Result(limits.best, limit=limit, bound=bound, stats={"rounds": done}, message=message)

    @abstractmethod
    def run(self, instance: NetworkInstance, chain: "Chain", limits: Limits) -> tuple[Limit | None, int]:
        """Search; returns why it ended early, and how much was done, for the stats."""

    def offer(self, instance: NetworkInstance, chain: "Chain", limits: Limits) -> None:
        """Offer the best places so far, where they keep the rules."""
        mapping = chain.mapping()
        if mapping is not None:
            limits.offer(mapping, instance.value(mapping))

    def _bound(self, instance: NetworkInstance, chain: "Chain", limits: Limits) -> float:
        from matchopt_crossbar.ascent import best_bound

        share = self.ascent / len(instance.layers)
        wired = [(n, layer) for n, layer in enumerate(instance.layers) if layer.target.n_connections]
        return math.fsum(best_bound(layer, limits, share, chain.prices(n)) for n, layer in wired)
