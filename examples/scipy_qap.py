"""SciPy's quadratic assignment as a solver of matchopt, for crossbars that are such problems."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import matchopt
from matchopt import LayerInstance, LayerMapping, PositiveInt, Refused, Result, Solver


@dataclass(frozen=True)
class ScipyQap(Solver):
    """Rows and inputs moved together, by SciPy's `quadratic_assignment` from random beginnings.

    Parameters
    ----------
    method : "faq" for a relaxation that is rounded (Vogelstein et al. 2015), "2opt" for swaps.
    beginnings : >= 1.
    """

    name = "scipy-qap"
    solves = LayerInstance
    needs = ("scipy.optimize",)
    understands = frozenset({"shared-bus"})

    method: Literal["faq", "2opt"] = "faq"
    beginnings: PositiveInt = 100

    def refuses(self, instance):
        """What QAPLIB's format cannot say; see `Solver.refuses`."""
        try:
            matrices(instance)
        except Refused:
            return "it is no quadratic assignment, whose rows and inputs are best in the same order"
        return None

    def solve(self, instance, limits, rng):
        """See `Solver.solve`."""
        from scipy.optimize import quadratic_assignment

        first, second = matrices(instance)
        more = {"P0": "randomized"} if self.method == "faq" else {}
        for _ in limits.steps(self.beginnings):
            place = quadratic_assignment(first, second, self.method, {"rng": rng, **more}).col_ind
            mapping = LayerMapping.from_cells(instance.target, place, place[instance.target.indices])
            limits.offer(mapping, instance.value(mapping))
        return Result(limits.best, limit=limits.reached())


def matrices(instance):
    """The two matrices of the problem that a crossbar is; raises Refused for one that is none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.dat"
        matchopt.write(instance, file, "qaplib")
        n, *numbers = map(float, file.read_text().split())
    return np.array(numbers).reshape(2, int(n), int(n))


register_solvers = matchopt.registering(ScipyQap)
