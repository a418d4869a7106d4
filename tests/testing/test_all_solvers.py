"""Every registered solver keeps every law on every tiny instance."""

import pytest

from matchopt.plugins import load_plugins
from matchopt.testing import run_checks

REGISTRY = load_plugins()
LESS = {  # by default they do the same up to a hundred times as often
    "chain-perturb": {"rounds": 40},
    "copies-alternate": {"rounds": 2},
    "crossbar-alternate": {"starts": 5},
    "crossbar-anneal": {"scans": 50},
    "crossbar-perturb": {"rounds": 40},
    "slots": {"epochs": 3},
    "split-alternate": {"rounds": 2},
    "tiles-cover": {"scans": 30},
}
LESS["crossbar-redundant"] = {"rounds": 30}
LEAST = {"network": 30}  # checks a solver must pass: few of the tiny networks bring what one of networks asks for


def test_no_plugin_of_the_project_failed_to_load() -> None:
    """The solver families that ship with matchopt are all there."""
    assert [failed.plugin for failed in REGISTRY.failed] == []
    assert {"cpsat", "greedy", "hungarian", "milp", "random"} <= set(REGISTRY.solvers)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(REGISTRY.solvers))
def test_solver_passes_the_kit(name: str) -> None:
    """A registered solver, with its default options, or as few rounds as need the least time, breaks no law."""
    solver = REGISTRY.make(name, LESS.get(name, {}))
    report = run_checks(solver)
    print(report.summary())
    assert report.passed, report.summary()
    least = 50 if name == "crossbar-tandem" else LEAST.get(solver.solves.kind, 100)  # it takes square crossbars only
    assert report.counts["passed"] > least
