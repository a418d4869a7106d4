"""The plugin files in examples/ that wrap engines for the comparison in docs/benchmarks.md."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from matchopt import AssignmentInstance, read, solve
from matchopt.contract import refusal
from matchopt.plugins import load_plugins

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_networkx_finds_optima_around_forbidden_pairs() -> None:
    """Its value is that of enumeration, for more columns than rows, too."""
    pytest.importorskip("networkx")
    cost = np.random.default_rng(0).random((4, 6))
    cost[0, :3] = np.inf
    best = min(sum(cost[i, j] for i, j in enumerate(columns)) for columns in itertools.permutations(range(6), 4))
    run = solve(AssignmentInstance(cost), "networkx", plugin_files=EXAMPLES / "networkx_matching.py")
    assert run.objective == pytest.approx(best, rel=1e-12)


def test_scipy_solves_the_problem_that_a_crossbar_is(tmp_path: Path) -> None:
    """Of QAPLIB's form the optimum by enumeration; other layers are refused with the reason."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 9, (2, 4, 4))
    (file := tmp_path / "tiny.dat").write_text(f"4\n{' '.join(map(str, [*first.flat, *second.flat]))}\n")
    crossbar = read(file, "qaplib")
    constant = float(crossbar.provenance.source.rpartition(" less ")[2])
    least = min((first * second[np.ix_(p, p)]).sum() for p in map(list, itertools.permutations(range(4))))
    plugin = EXAMPLES / "scipy_qap.py"
    for method in ("faq", "2opt"):
        run = solve(crossbar, "scipy-qap", options={"method": method, "beginnings": 30}, plugin_files=plugin)
        assert run.objective == pytest.approx(least + constant, rel=1e-12)
    solver = load_plugins([plugin], only=()).make("scipy-qap")
    assert "it is no quadratic assignment" in str(
        refusal(solver, read(EXAMPLES.parent / "problems/instances/crossbar-8x8.matchopt"))
    )
