"""The smallest plugin, one file: `matchopt solve PATH --solver best-of-random --plugin best_of_random.py`."""

from dataclasses import dataclass

from matchopt import Assignment, AssignmentInstance, PositiveInt, Result, Solver, hookimpl


@dataclass(frozen=True)
class BestOfRandom(Solver):
    """Keep the cheapest of some random assignments.

    Parameters
    ----------
    draws : random assignments to try, >= 1.
    """

    name = "best-of-random"  # not annotated: an annotated name would be an option
    solves = AssignmentInstance
    understands = frozenset({"integer-costs", "rectangular"})  # forbidden pairs would make most draws worthless
    draws: PositiveInt = 100

    def solve(self, instance, limits, rng):
        """See `Solver.solve`."""
        for _ in limits.steps(self.draws):
            solution = Assignment(rng.permutation(instance.n_cols)[: instance.n_rows])
            limits.offer(solution, instance.value(solution))
        return Result(limits.best, limit=limits.reached())


@hookimpl
def register_solvers(register):
    """See matchopt's hook of this name."""
    register(BestOfRandom)
