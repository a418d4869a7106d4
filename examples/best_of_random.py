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
    draws: PositiveInt = 100

    def refuses(self, instance):
        """Forbidden pairs would make most draws worthless."""
        return "it has forbidden pairs" if instance.is_sparse or (instance.cost == float("inf")).any() else None

    def solve(self, instance, limits, rng):
        """See `Solver.solve`."""
        tries = (Assignment(rng.permutation(instance.n_cols)[: instance.n_rows]) for _ in limits.steps(self.draws))
        return Result(min(tries, key=instance.value, default=None))


@hookimpl
def register_solvers(register):
    """See matchopt's hook of this name."""
    register(BestOfRandom)
