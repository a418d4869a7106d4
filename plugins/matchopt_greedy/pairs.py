"""Greedy assignment: the cheapest pair left, again and again."""

from dataclasses import dataclass

import numpy as np

from matchopt import AssignmentInstance, Limits, Result, Solver
from matchopt_greedy.augment import augment

CHUNK = 65536  # pairs whose rows and columns are looked up at once


@dataclass(frozen=True)
class GreedyPairs(Solver):
    """Take the cheapest pair whose row and column are both free, until none is left.

    On n random costs this is worse than the optimum by a factor that grows slowly with n; on metric costs by up to
    n^0.585 (Reingold and Tarjan). With forbidden pairs rows may be left out: they are placed by making others
    move along a shortest chain, so a solution is found whenever there is one. Ties by row, then column.

    References
    ----------
    E. M. Reingold, R. E. Tarjan, "On a greedy heuristic for complete matching", SIAM Journal on Computing 10 (1981),
    doi:10.1137/0210050.
    """

    name = "greedy-pairs"
    solves = AssignmentInstance
    role = "heuristic"
    understands = frozenset({"sparse", "forbidden-pairs", "integer-costs", "rectangular"})

    def solve(self, instance: AssignmentInstance, limits: Limits, rng: np.random.Generator) -> Result:
        del limits, rng
        rows, columns, costs = instance.pairs()
        order = np.argsort(costs, kind="stable")
        col_of = np.full(instance.n_rows, -1)
        free = np.ones(instance.n_cols, bool)
        for start in range(0, len(order), CHUNK):
            chunk = order[start : start + CHUNK]
            chunk = chunk[(col_of[rows[chunk]] < 0) & free[columns[chunk]]]
            for i, j in zip(rows[chunk].tolist(), columns[chunk].tolist(), strict=True):
                if col_of[i] < 0 and free[j]:
                    col_of[i], free[j] = j, False
            if (col_of >= 0).all():
                break
        return augment(instance, col_of, lambda solutions: solutions[0])
