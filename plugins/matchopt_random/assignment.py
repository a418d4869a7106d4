"""Baseline: the best of a few random feasible assignments."""

from dataclasses import dataclass

import numpy as np

from matchopt import Assignment, AssignmentInstance, Limits, PositiveInt, Result, Solver, Status
from matchopt_random.drawing import best_of


@dataclass(frozen=True)
class RandomAssignment(Solver):
    """A random assignment; on a layer that is random hardware neurons, each wired at best.

    Without forbidden pairs every assignment is equally likely. With forbidden pairs it is a largest matching under a
    random numbering of rows and columns (Hopcroft and Karp), so one is found whenever there is one; not every one is
    equally likely then.

    Parameters
    ----------
    draws : random assignments to try, >= 1; the cheapest is kept.

    References
    ----------
    J. E. Hopcroft, R. M. Karp, "An n^5/2 algorithm for maximum matchings in bipartite graphs", SIAM Journal on
    Computing 2 (1973), doi:10.1137/0202019.
    """

    name = "random"
    solves = AssignmentInstance
    needs = ("scipy",)
    role = "baseline"
    understands = frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"})

    draws: PositiveInt = 1

    def solve(self, instance: AssignmentInstance, limits: Limits, rng: np.random.Generator) -> Result:
        result, none = best_of(self.draws, lambda: _draw(instance, rng), instance, limits)
        message = "a largest matching leaves out at least one row"
        return Result(None, Status.INFEASIBLE, message=message) if none else result


def _draw(instance: AssignmentInstance, rng: np.random.Generator) -> Assignment | None:
    if instance.indptr is None and (instance.is_integral or bool(np.isfinite(instance.cost).all())):
        return Assignment(rng.permutation(instance.n_cols)[: instance.n_rows])
    return _draw_matching(instance, rng)


def _draw_matching(instance: AssignmentInstance, rng: np.random.Generator) -> Assignment | None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    rows, columns, _ = instance.pairs()
    new_row, new_col = rng.permutation(instance.n_rows), rng.permutation(instance.n_cols)
    pairs = coo_array(
        (np.ones(len(rows), np.int8), (new_row[rows], new_col[columns])), shape=(instance.n_rows, instance.n_cols)
    )
    matched = maximum_bipartite_matching(pairs.tocsr(), perm_type="column")
    if bool((matched < 0).any()):
        return None
    return Assignment(np.argsort(new_col)[matched[new_row]])
