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

SOLVERS: list[Solver] = [
    Hungarian(),
    Hungarian(engine="scipy"),
    RandomAssignment(),
    RandomAssignment(draws=5),
    RandomWiring(),
    RandomWiring(draws=3),
    GreedyPairs(),
    Greedy(),
    Greedy(order="regret"),
    Milp(),
    Milp(presolve=False),
    CpSat(),
    CpSat(linearization=0),
]


@pytest.mark.slow
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_keeps_every_law(solver: Solver) -> None:
    """No law fails on any instance of the kit, and most of those asked are answered."""
    report = run_checks(solver)
    print(report.summary())
    assert report.passed, report.summary()
    assert report.counts["passed"] > 100


def test_every_built_in_solver_is_asked() -> None:
    """A built-in solver that is missing in the table above is a gap in the tests."""
    own = {name for name, entry in load_plugins().solvers.items() if entry.cls.__module__.startswith("matchopt_")}
    assert own <= {solver.name for solver in SOLVERS}
