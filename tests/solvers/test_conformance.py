"""The built-in solvers keep every law of the conformance kit, with options other than the default too."""

import pytest
from matchopt_cpsat import CpSat
from matchopt_greedy import Greedy, GreedyPairs
from matchopt_hungarian import Hungarian
from matchopt_milp import Milp
from matchopt_random import RandomAssignment, RandomWiring

from matchopt import Solver
from matchopt.plugins import load_plugins
from matchopt.testing import run_checks

QUICK: list[Solver] = [Hungarian(), RandomAssignment(draws=5), GreedyPairs()]
SLOW: list[Solver] = [
    Hungarian(engine="scipy"),
    RandomAssignment(),
    RandomWiring(),
    RandomWiring(draws=3),
    Greedy(),
    Greedy(order="regret"),
    Milp(),
    Milp(presolve=False),
    CpSat(),
    CpSat(linearization=0),
]
ALL = [pytest.param(solver, id=repr(solver)) for solver in QUICK]
ALL += [pytest.param(solver, id=repr(solver), marks=pytest.mark.slow) for solver in SLOW]


@pytest.mark.parametrize("solver", ALL)
def test_keeps_every_law(solver: Solver) -> None:
    """No law fails on any instance of the kit, and most of those asked are answered."""
    report = run_checks(solver)
    print(report.summary())
    assert report.passed, report.summary()
    assert report.counts["passed"] > 100


def test_every_built_in_solver_is_asked() -> None:
    """A built-in solver that is missing in the table above is a gap in the tests."""
    own = {name for name, entry in load_plugins().solvers.items() if entry.cls.__module__.startswith("matchopt_")}
    assert own <= {solver.name for solver in QUICK + SLOW}
