"""Programs of layers with several neurons per row: the same optimum as by enumeration, by every exact engine."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float
from matchopt_cpsat import CpSat
from matchopt_milp import Milp

from matchopt import ProgramInstance, check
from matchopt.errors import Refused
from matchopt.instances import Gains, Hardware, LayerInstance, Rules, Target
from matchopt.kernels import copies
from matchopt.reduce import reduction
from matchopt.reduce.layer_program import layers_to_program
from matchopt.reduce.row_sets import not_row_sets, row_sets
from matchopt.solver import Limits, Solver
from matchopt.testing.brute import brute_force

VARIANTS: dict[str, dict[str, Any]] = {
    "split": {"neurons_per_row": 2},
    "split-drop": {"neurons_per_row": 2, "drop": True},
    "split-gains": {"neurons_per_row": 2, "gains": Gains.finite(1.0, -0.5)},
    "split-bus": {"neurons_per_row": 2, "bus": [0, 0, 1]},
    "split-leak": {"neurons_per_row": 2, "bus": [0, 0, 0], "leak": 0.3},
    "split-two-cells": {"neurons_per_row": 2, "cells_per_weight": 2},
    "copies": {"copies": 2},
    "copies-drop": {"copies": 2, "drop": True},
    "copies-gains": {"copies": 2, "gains": Gains.finite(1.0, -0.5)},
    "copies-bus": {"copies": 2, "bus": [0, 0, 1]},
    "copies-leak": {"copies": 2, "bus": [0, 0, 0], "leak": 0.3},
}


def small(seed: int, bus: Any = None, leak: float = 0.0, **rules: Any) -> LayerInstance:
    """Two rows and three inputs on three or four neurons of two cells, some noisy and some out of use."""
    rng = np.random.default_rng(seed)
    neurons = 3 if bus else int(rng.integers(3, 5))
    target = Target.from_dense(rng.normal(size=(2, 3)), rng.random((2, 3)) < 0.6, rng.random((2, 3)) + 0.5)
    noise, usable = (rng.random((neurons, 2)) * 0.1, rng.random((neurons, 2)) < 0.9)
    off = leak * rng.normal(size=(neurons, 2)) if leak else None
    return LayerInstance(target, Hardware(rng.normal(size=(neurons, 2)), noise, usable, off, bus), Rules(**rules))


def agree(variant: str, seed: int, solver: Solver) -> None:
    """The engine and enumeration find the same optimum, which the checker confirms, or both that there is none."""
    layer = small(seed, **VARIANTS[variant])
    wanted, step = brute_force(layer), reduction(layer, ProgramInstance)
    found = solver.solve(step.parts[0], Limits(), np.random.default_rng(0))  # type: ignore[arg-type]
    if wanted.value is None:
        assert found.status == "infeasible"
        return
    assert found.status == "optimal" and found.solution is not None
    report = check(layer, step.lift([found.solution]))
    assert report.violations == () and report.objective == pytest.approx(wanted.value, rel=1e-6, abs=1e-9)
    assert found.bound == pytest.approx(wanted.value, rel=1e-5, abs=1e-8)
    if wanted.solution is not None:
        (point,) = step.lower(wanted.solution)
        assert check(step.parts[0], point).objective == pytest.approx(wanted.value, rel=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_engines_agree_with_enumeration(variant: str) -> None:
    """Three random layers of every variant, by both engines."""
    for seed in range(3):
        for solver in (Milp(), CpSat()):
            agree(variant, seed, solver)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("solver", [Milp(), CpSat()], ids=lambda solver: solver.name)
def test_engines_agree_with_enumeration_on_many(variant: str, solver: Solver) -> None:
    """200 random layers of every variant."""
    for seed in range(1000, 1200):
        agree(variant, seed, solver)


@pytest.mark.parametrize("variant", ["split", "split-drop", "split-gains", "copies", "copies-drop", "copies-gains"])
def test_both_programs_have_one_optimum(variant: str) -> None:
    """That of sets, which the ladder takes where it can, and that of cells."""
    layer = small(6, **VARIANTS[variant])
    found = []
    for step in (row_sets(layer), layers_to_program(layer)):
        point = Milp().solve(step.parts[0], Limits(), np.random.default_rng(0)).solution  # type: ignore[arg-type]
        assert point is not None
        found.append(check(layer, step.lift([point])).objective)
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_too_many_sets_are_refused_before_they_are_made() -> None:
    """The sentence has their number; so does a row that no search could wire."""
    layer = small(0, **VARIANTS["split"])
    wide = replace(layer, hardware=Hardware(np.zeros((3000, 2))))
    assert "4501500 sets of hardware neurons for each of 2 rows" in (not_row_sets(wide) or "")
    with pytest.raises(Refused, match="sets of hardware neurons"):
        row_sets(wide)
    values: Float[np.ndarray, "2 300"] = np.zeros((2, 300))
    with pytest.raises(Refused, match="2 copies of 300 cells are too many"):
        copies.copied_row(np.ones(3), np.ones(3), values, values, True)


def test_ways_to_wire_copies_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Branch and bound and dynamic programming find the same least error, each with wires of that error."""
    rng = np.random.default_rng(0)
    for drop in (False, True):
        for _ in range(10):
            values, noise, w, q = rng.normal(size=(2, 4)), rng.random((2, 4)), rng.normal(size=3), rng.random(3)
            values[0, 1] = np.nan
            found = []
            for most in (10**6, 1):
                monkeypatch.setattr(copies, "MOST_NODES", most)
                cost, cells = copies.copied_row(w, q, values, noise, drop)
                picked = cells >= 0
                mean, spread = (
                    np.where(picked, part[np.arange(2), cells], 0.0).sum(axis=1) for part in (values, noise)
                )
                assert q @ ((w - mean) ** 2 + spread) == pytest.approx(cost)
                assert all(len(set(column[column >= 0])) == (column >= 0).sum() for column in cells.T)
                found.append(cost)
            assert found[0] == pytest.approx(found[1])
