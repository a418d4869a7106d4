"""Crossbars with leaks, stuck cells, gains and extra inputs, on one bus and on several: against enumeration."""

from dataclasses import replace

import numpy as np
import pytest
from crossbars import VARIANTS, variant
from layers import random_menus
from matchopt_crossbar import Alternation, Annealing, Exact, Perturbation
from matchopt_crossbar.layer import nothing_wired

from matchopt import (
    Gains,
    Hardware,
    LayerInstance,
    Limits,
    ProgramInstance,
    Refused,
    Rules,
    Solver,
    Status,
    Target,
    check,
    reduction,
)
from matchopt.contract import refusal
from matchopt.kernels import Crossbar, wire_lines
from matchopt.testing.brute_layer import best_layers

HEURISTICS: list[Solver] = [Alternation(starts=5), Annealing(scans=60), Perturbation(rounds=60)]
FAST = 2


def agree(name: str, seed: int, engines: tuple[Solver, ...] = ()) -> bool:
    """No solver is better than the best of all mappings, the exact ones are as good, and bounds are below it.

    Returns whether one of them found it, where the exact one does not take the layer.
    """
    layer = variant(name, seed)
    optimum = min(np.inf if best is None else best[0] for best in best_layers(layer, layer.rules.tunable))
    found = []
    for solver in (*HEURISTICS, Exact(rounds=5)):
        if reason := refusal(solver, layer):
            assert solver.name == "crossbar-exact", reason
            continue
        result = solver.solve(layer, Limits(), np.random.default_rng(seed))
        assert result.bound <= optimum * (1.0 + 1e-9) + 1e-12
        if result.solution is None:
            assert solver.name != "crossbar-exact" or result.status is Status.INFEASIBLE
            continue
        report = check(layer, result.solution)
        assert report.feasible, report.violations
        assert report.objective is not None and report.objective >= optimum * (1.0 - 1e-9) - 1e-12
        found.append(report.objective)
        if solver.name == "crossbar-exact":
            assert report.objective == pytest.approx(optimum, rel=1e-8, abs=1e-12)
            assert result.status is Status.OPTIMAL and result.bound == pytest.approx(optimum, rel=1e-7, abs=1e-9)
    for engine in engines:
        try:
            down = reduction(layer, ProgramInstance)
        except Refused:
            continue
        theirs = engine.solve(down.parts[0], Limits(), np.random.default_rng(0))
        assert (theirs.solution is None) == np.isinf(optimum)
        if theirs.solution is not None:
            assert layer.value(down.lift([theirs.solution])) == pytest.approx(optimum, rel=1e-5, abs=1e-6)
    limited = layer.rules.tunable > 0 or layer.rules.writes is not None  # the best need not be best at any price
    return not found or limited or min(found) <= optimum * 1.001 + 1e-9


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_agree_with_enumeration(name: str) -> None:
    """A few layers of each variant."""
    for seed in range(FAST):
        assert agree(name, seed)


def test_a_wire_that_only_drives_a_line_is_written() -> None:
    """Here a cell is written for a wire that alone would not pay, for its line to be driven and leak."""
    layer = variant("menus, leak, extra, drop", 10)
    result = Exact(rounds=5).solve(layer, Limits(), np.random.default_rng(10))
    assert result.status is Status.OPTIMAL and layer.value(result.solution) == pytest.approx(result.bound, rel=1e-7)
    assert result.bound == pytest.approx(0.158698356)  # by enumeration


def test_no_optimum_is_claimed_that_was_not_wired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mapping wired on the best lines and neurons is worse than the bound, nothing is claimed."""
    layer = variant("menus, leak, extra, drop", 3)
    monkeypatch.setattr("matchopt.kernels.wire_lines", lambda layer, *_: nothing_wired(layer))
    result = Exact(rounds=5).solve(layer, Limits(), np.random.default_rng(3))
    assert result.status is not Status.OPTIMAL and "worse than the bound" in result.message


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", VARIANTS)
def test_many_variants_agree_with_enumeration_and_engines(name: str) -> None:
    """Two hundred layers of each variant, which CP-SAT and HiGHS solve as programs; short searches miss few optima."""
    pytest.importorskip("ortools")
    from matchopt_cpsat import CpSat
    from matchopt_milp import Milp

    missed = sum(not agree(name, seed, (CpSat(), Milp())) for seed in range(FAST, 200))
    assert missed <= 20


@pytest.mark.parametrize("solver", [Alternation(starts=20), Annealing(scans=300), Perturbation(rounds=300)])
def test_a_choice_of_gains_helps(solver: Solver) -> None:
    """Where cells are half as large as targets, gains of an interval beat a set, and both beat gain 1."""
    rng = np.random.default_rng(3)
    target = Target.from_dense(rng.normal(size=(12, 10)), rng.random((12, 10)) < 0.4)
    chip = Hardware(0.5 * rng.normal(size=(14, 12)), bus=np.arange(14) // 7)
    values = []
    for gains in (Gains(), Gains.finite(1.0, 2.0, -2.0), Gains.interval(-3.0, 3.0)):
        layer = LayerInstance(target, chip, Rules(gains=gains))
        result = solver.solve(layer, Limits(), np.random.default_rng(0))
        report = check(layer, result.solution)
        assert report.feasible and report.objective == pytest.approx(layer.value(result.solution))
        assert result.bound <= report.objective
        values.append(report.objective)
    assert values[0] > 1.2 * values[1] > 1.2 * values[2]


@pytest.mark.parametrize(
    "solver", [pytest.param(HEURISTICS[0], marks=pytest.mark.slow), *HEURISTICS[1:]], ids=lambda solver: solver.name
)
@pytest.mark.parametrize("rule", ["writes", "tunable"])
def test_limits_are_spent_in_the_search(solver: Solver, rule: str) -> None:
    """More writes or tuned connections help; mappings beat those found without a thought of the limit; bounds hold."""
    rng = np.random.default_rng(8)
    target, shape = Target.from_dense(rng.normal(size=(12, 12)), rng.random((12, 12)) < 0.4), (14, 14)
    menus = random_menus(rng, shape, "range levels fixed") if rule == "writes" else {}
    chip = Hardware(rng.normal(size=shape), bus=np.zeros(14, np.int64), **menus)  # type: ignore[arg-type]
    (work,) = {"starts", "scans", "rounds"} & set(vars(solver))
    solver, values = replace(solver, **{work: 400}), []  # type: ignore[arg-type]  # a number
    for most in (0, 3, 12):
        layer = LayerInstance(target, chip, Rules(**{rule: most}))  # type: ignore[arg-type]  # a number
        result = solver.solve(layer, Limits(), np.random.default_rng(0))
        report = check(layer, result.solution)
        assert report.feasible and report.objective == pytest.approx(layer.value(result.solution))
        assert 0.0 < result.bound <= report.objective, most
        values.append(report.objective)
    assert values[0] > values[1] > values[2]
    blind = Crossbar(target, chip, np.random.default_rng(0))
    blind.perturb(400, 0.3 * blind.unit, 0.99)
    assert values[2] < layer.value(wire_lines(layer, *blind.best_lines()))


def test_never_worse_than_wiring_nothing() -> None:
    """Cells that are stuck far off are not driven, where connections may be dropped."""
    rng = np.random.default_rng(5)
    target = Target.from_dense(rng.normal(size=(8, 8)), rng.random((8, 8)) < 0.4)
    stuck = rng.random((9, 9)) < 0.15
    weights = np.where(stuck, 50.0, rng.normal(size=(9, 9)))
    chip = Hardware(weights, off=np.where(stuck, weights, 0.0), bus=np.zeros(9, np.int64))
    layer = LayerInstance(target, chip, Rules(drop=True))
    values, nothing = [], float((target.weights**2).sum())
    for solver in HEURISTICS:
        result = solver.solve(layer, Limits(), np.random.default_rng(0))
        values.append(layer.value(result.solution))
        none = solver.solve(layer, Limits(seconds=0.0), np.random.default_rng(0))
        assert layer.value(none.solution) <= nothing * (1 + 1e-12)
    assert max(values) <= nothing * (1 + 1e-12) and min(values) < 0.8 * nothing


def test_one_gain_is_the_same_as_cells_times_it() -> None:
    """A set of one gain, and the hardware at that gain."""
    layer = variant("leak, drop", 1)
    half = replace(layer, rules=replace(layer.rules, gains=Gains.finite(0.5)))
    chip = layer.hardware
    scaled = replace(layer, hardware=replace(chip, weights=0.5 * chip.weights, off=0.5 * chip.off))
    values = [one.value(Exact().solve(one, Limits(), np.random.default_rng(0)).solution) for one in (half, scaled)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
