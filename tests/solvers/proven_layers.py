"""Small layers whose optimum is known by enumeration: what a solver that proves it, and engines, must say."""

import numpy as np
import pytest

from matchopt import LayerInstance, Limits, ProgramInstance, Solver, Status, certify, check, reduction
from matchopt.testing import brute_force


def proven_optimum(layer: LayerInstance, solver: Solver, *engines: Solver) -> None:
    """The solver finds the optimum and claims it, which is proven; engines find it too; all see where there is none."""
    known, result = brute_force(layer), solver.solve(layer, Limits(), np.random.default_rng(0))
    down = reduction(layer, ProgramInstance)
    points = [engine.solve(down.parts[0], Limits(), np.random.default_rng(0)).solution for engine in engines]
    if known.value is None:
        assert result.status is Status.INFEASIBLE and points == [None] * len(engines)
        return
    assert result.status is Status.OPTIMAL and result.solution is not None
    report, found = check(layer, result.solution), certify(layer, result.solution)
    assert report.objective == pytest.approx(known.value, rel=1e-9, abs=1e-12), report.violations
    assert result.bound <= known.value * (1 + 1e-9) + 1e-12
    assert found.optimal and not found.improvable and found.bound <= known.value * (1 + 1e-9) + 1e-12
    for point in points:
        assert point is not None
        assert layer.value(down.lift([point])) == pytest.approx(known.value, rel=1e-5, abs=1e-6)
