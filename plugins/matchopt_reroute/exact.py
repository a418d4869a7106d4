"""Exact solution of layers that minimise the error of their outputs."""

from dataclasses import dataclass

import numpy as np

from matchopt import LayerInstance, Limit, Limits, PositiveInt, Result, Solver, Status
from matchopt_reroute.bounds import assignment_bound, not_moments, pair_bounds
from matchopt_reroute.pairs import Pairs, search_rounds
from matchopt_reroute.proof import Proof
from matchopt_reroute.wiring import UNDERSTOOD, Unplaceable, refuses_wiring, smallest, take_start

MOST_FAN_IN = 64
ROUNDS, KICKS, OTHERS = 10, 50, 4  # of the search that precedes the proof


@dataclass(frozen=True)
class OutputExact(Solver):
    """The least output error with a proof, for layers that keep to their target's inputs.

    The cost of a pair of neurons is an integer least-squares problem over distinct cells, which enumeration with
    pruning solves; fast up to a fan-in of about 10. A search finds a good assignment and enumeration its exact costs.
    Potentials of that assignment say how cheap any other pair would have to be to improve it, and enumeration below
    that cost shows that it is not, or finds a better assignment. Pairs that need more than `nodes` nodes keep the
    bound that their nodes proved; then the answer is the best found, with a bound.

    Parameters
    ----------
    nodes : most nodes of one enumeration at first, >= 1; while time is left, open pairs are tried again with ten times
        as many, unless there is no time limit.
    """

    name = "output-exact"
    solves = LayerInstance
    needs = ("numba", "scipy")
    role = "exact"
    begins = True
    understands = UNDERSTOOD

    nodes: PositiveInt = 100_000

    def refuses(self, instance: LayerInstance) -> str | None:
        """Weight errors, a large fan-in, moments that are none; see `Solver.refuses`."""
        reason = refuses_wiring(instance, self.name)
        if reason is not None:
            return reason
        most = int(instance.target.fan_in.max(initial=0))
        if most > MOST_FAN_IN:
            return f"a fan-in of {most} is too large to enumerate (at most {MOST_FAN_IN})"
        return not_moments(instance)

    def prepare(self) -> None:
        self.solve(smallest(), Limits(), np.random.default_rng(0))

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        take_start(instance, limits)
        pairs = Pairs(instance, limits.threads, lambda: limits.reached() is not None)
        try:
            pairs.begin_coarsely(limits)
        except Unplaceable as cause:
            return Result(None, Status.INFEASIBLE, message=str(cause))
        bounds = pair_bounds(instance, limits.threads)
        least = assignment_bound(bounds)
        if limits.reached() or not pairs.begin(None):
            return Result(limits.best, limit=Limit.TIME, bound=min(least, limits.best_value))
        search_rounds(pairs, limits, least, ROUNDS, KICKS, OTHERS, int(rng.integers(2**30)))
        proof = Proof(instance, bounds, pairs, limits)
        budget, limit = self.nodes, None
        while not proof.run(budget):
            limit = limits.reached()
            if limit is not None or limits.seconds is None:
                break
            budget *= 10
        bound = min(proof.bound, limits.best_value)
        stats = {"nodes": proof.table.nodes, "exact pairs": int(proof.table.exact.sum())}
        if proof.complete:
            return Result(limits.best, Status.OPTIMAL, None, bound, stats)
        return Result(limits.best, Status.FEASIBLE, limit or Limit.NODE, bound, stats)
