"""The solvers of shared lines: against enumeration and other engines, on one bus and on several."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from crossbars import MODES, crossbar, optimum
from matchopt_crossbar import Alternation, Annealing, Exact, Perturbation
from matchopt_crossbar.ascent import Ascent, fits
from matchopt_crossbar.cooling import Cooling
from matchopt_crossbar.search import Search

from matchopt import (
    Hardware,
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    ProgramInstance,
    Refused,
    Result,
    Rules,
    Solver,
    Status,
    Target,
    check,
    reduction,
)
from matchopt.contract import refusal
from matchopt.proofs import kept_bound

HEURISTICS: list[Solver] = [Alternation(starts=20), Annealing(scans=200), Perturbation(rounds=200)]
CASES = [pytest.param(mode, seed, id=f"{mode} {seed}") for mode in MODES for seed in range(4)]


def solved(solver: Solver, layer: LayerInstance, seed: int = 0, **limits: object) -> Result:
    """The result, its solution checked and its bound not above its value."""
    result = solver.solve(layer, Limits(**limits), np.random.default_rng(seed))  # type: ignore[arg-type]
    if result.solution is not None:
        report = check(layer, result.solution)
        assert report.feasible, report.violations
        assert report.objective is not None and result.bound <= report.objective * (1.0 + 1e-12)
    return result


@pytest.mark.parametrize(("mode", "seed"), CASES)
def test_exact_agrees_with_enumeration(mode: str, seed: int) -> None:
    """The exact solver finds the optimum and proves it, or that there is no mapping; heuristics never beat it."""
    layer = crossbar(np.random.default_rng(seed), mode)
    best = optimum(layer)
    result = solved(Exact(rounds=2), layer)
    if np.isinf(best):
        assert result.status is Status.INFEASIBLE
    else:
        assert result.status is Status.OPTIMAL
        assert layer.value(result.solution) == pytest.approx(best, rel=1e-8)
        assert result.bound == pytest.approx(best, rel=1e-7, abs=1e-9)
    for solver in HEURISTICS:
        found = solved(solver, layer)
        if found.solution is not None:
            assert layer.value(found.solution) >= best * (1.0 - 1e-9)
            assert found.bound <= best * (1.0 + 1e-9)
            assert found.status is not Status.OPTIMAL or layer.value(found.solution) == pytest.approx(best, rel=1e-8)


def test_heuristics_find_small_optima() -> None:
    """On 5 x 5 layers with drops all three find what is proven, or nearly: one of six may be missed."""
    for solver in (Alternation(), Annealing(scans=2000), Perturbation(rounds=1000)):
        missed = 0
        for seed in range(6):
            layer = crossbar(np.random.default_rng(seed), "drop", 5)
            best = layer.value(solved(Exact(), layer).solution)
            missed += layer.value(solved(solver, layer).solution) > best * (1.0 + 1e-6)
        assert missed <= 1, solver.name


def test_twelve_by_twelve_is_proven() -> None:
    """A layer of twelve rows and inputs at 30 % density, by one tree and by many, with the same optimum."""
    layer = crossbar(np.random.default_rng(0), "plain", 12, 0.3)
    results = [solved(Exact(rounds=20), layer, threads=threads) for threads in (1, 2)]
    assert all(result.status is Status.OPTIMAL and result.stats["nodes"] > 100 for result in results)
    values = [layer.value(result.solution) for result in results]
    assert values[0] == pytest.approx(values[1], rel=1e-8)


def test_a_stopped_proof_keeps_a_valid_bound() -> None:
    """With a few hundred nodes only, the bound lies between that of the root and the optimum."""
    layer = crossbar(np.random.default_rng(1), "plain", 10, 0.5)
    whole, stopped = solved(Exact(), layer), solved(Exact(rounds=5), layer, iterations=300)
    assert stopped.status is Status.FEASIBLE and stopped.limit is Limit.NODE
    assert 0.0 < stopped.bound <= layer.value(whole.solution)


@pytest.mark.parametrize("mode", ["plain", "drop", "unusable", "importance, noise, drop"])
def test_the_ascent_never_passes_the_optimum(mode: str) -> None:
    """Step by step a bound; it rises, and beats wiring one side freely."""
    for seed in range(4):
        layer = crossbar(np.random.default_rng(seed), mode, 4)
        if not fits(layer) or np.isinf(best := optimum(layer)):
            continue
        ascent, bounds = Ascent(layer), []
        for _ in range(4):
            ascent.step()
            bounds.append(ascent.bound())
        assert max(bounds) <= best
        assert bounds[-1] >= bounds[0] * (1.0 - 1e-6) > 0.0


@pytest.mark.parametrize("mode", MODES)
def test_smooth_steps_never_pass_the_optimum(mode: str) -> None:
    """In every mode a bound, which follows from what inputs keep, in any range of numbers."""
    for seed, scale in ((0, 1.0), (1, 2.0**80), (2, 2.0**-80)):
        layer = crossbar(np.random.default_rng(seed), mode)
        target, chip = layer.target, layer.hardware
        if not fits(layer) or np.isinf(best := optimum(layer)):
            continue
        large = replace(
            layer,
            target=replace(target, weights=scale * target.weights),
            hardware=replace(
                chip, weights=scale * chip.weights, variance=scale**2 * chip.variance, off=scale * chip.off
            ),
        )
        ascent = Ascent(large)
        bound = ascent.run(Limits(), np.inf)
        assert 0.0 < bound <= scale**2 * best * (1.0 + 1e-9)
        assert kept_bound(large, *ascent.kept) >= ascent.bound() * (1.0 - 1e-9)
        assert bound == pytest.approx(scale**2 * Ascent(layer).run(Limits(), np.inf), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "noise", "unusable, drop", "importance, noise, drop", "leak"])
def test_smooth_steps_get_further(mode: str) -> None:
    """Where steps alone gain little any more, they are 6 to 20 % below what smooth steps reach."""
    layer = crossbar(np.random.default_rng(0), mode, 24, 0.2)
    plain, smoothed = Ascent(layer), Ascent(layer)
    for _ in range(200):
        plain.step()
    assert smoothed.run(Limits(), np.inf) > 1.05 * plain.bound()


@pytest.mark.parametrize("solver", HEURISTICS, ids=lambda solver: solver.name)
@pytest.mark.parametrize("per_bus", [1, 2, 5, 20])
def test_any_number_of_neurons_per_bus(solver: Solver, per_bus: int) -> None:
    """From free routing to one crossbar: feasible mappings better than the first, and a bound below them."""
    rng = np.random.default_rng(per_bus)
    target = Target.from_dense(rng.normal(size=(15, 12)), rng.random((15, 12)) < 0.3)
    chip = Hardware(rng.normal(size=(20, 14)), bus=np.arange(20) // per_bus)
    for drop in (False, True):
        layer = LayerInstance(target, chip, Rules(drop=drop))
        values = [layer.value(solved(solver, layer, **more).solution) for more in ({}, {"seconds": 0.0})]  # type: ignore[arg-type]
        assert values[0] <= values[1]
        if per_bus == 1:  # free routing, where the first mapping is the best already
            assert solved(solver, layer).status is Status.OPTIMAL


@pytest.mark.parametrize("solver", [*HEURISTICS, Exact(rounds=5)], ids=lambda solver: solver.name)
def test_a_start_is_never_left_for_worse(solver: Solver) -> None:
    """With no time at all the answer is no worse than the start."""
    layer = crossbar(np.random.default_rng(4), "drop", 8)
    best = solved(Perturbation(), layer).solution
    again = solved(solver, layer, seed=1, start=best, seconds=0.0).solution
    assert layer.value(again) <= layer.value(best)


@pytest.mark.parametrize("solver", HEURISTICS, ids=lambda solver: solver.name)
def test_the_same_seed_gives_the_same_mapping(solver: Solver) -> None:
    """Also with a time limit that is not reached."""
    layer = crossbar(np.random.default_rng(6), "unusable, drop", 10)
    found = [solved(solver, layer, seed=2, seconds=seconds).solution for seconds in (None, 60.0)]
    assert found[0].parts().facts == found[1].parts().facts
    assert all(np.array_equal(found[0].parts().arrays[name], part) for name, part in found[1].parts().arrays.items())


@pytest.mark.parametrize(("passes", "long"), [(9_999, False), (10_000, True)])
def test_ten_thousand_passes_are_a_long_run(passes: int, long: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long runs change tables by what moved, and with drops rounds begin hotter; others are as ever."""
    patched, hot = [], []
    monkeypatch.setattr(Search, "patch", lambda self: patched.append(passes))
    monkeypatch.setattr(Cooling, "run", lambda self, *_: (hot.append(self.hot), (1, None))[1])
    monkeypatch.setattr("matchopt_crossbar.search.first_heat", lambda *_: 0.0)
    layer = crossbar(np.random.default_rng(0), "drop", 6)
    spare = layer.hardware.n_neurons * layer.hardware.n_cells / 36
    unit = Search(layer, Limits(), np.random.default_rng(0)).unit
    for solver in (Annealing(scans=passes), Perturbation(rounds=passes)):
        solved(solver, layer)
    assert patched == [passes] * 2 * long
    assert hot == pytest.approx([0.22 * unit, (0.5 * spare**-0.2 if long else 0.28) * unit])


@pytest.mark.parametrize("solver", [Annealing(scans=10_000), Perturbation(rounds=10_000)], ids=["anneal", "perturb"])
def test_long_runs_find_small_optima(solver: Solver) -> None:
    """With tables changed by what moved, too."""
    for mode in ("plain", "drop"):
        layer = crossbar(np.random.default_rng(3), mode, 4)
        assert layer.value(solved(solver, layer).solution) == pytest.approx(optimum(layer), rel=1e-8)


def test_leaks_are_searched_and_reckoned_with() -> None:
    """Where cells leak, mappings are better than those of a search that does not know of leaks."""
    seeing, not_seeing = 0.0, 0.0
    for seed in (5, 6, 7):
        layer = crossbar(np.random.default_rng(seed), "leak", 10, 0.4)
        blind = replace(layer, hardware=Hardware(layer.hardware.weights, bus=layer.hardware.bus))
        seeing += layer.value(solved(Perturbation(rounds=2000), layer).solution)
        not_seeing += layer.value(solved(Perturbation(rounds=2000), blind).solution)
    assert seeing < not_seeing


REFUSED = {"several cells": (Rules(cells_per_weight=2), {}, "does not understand several-cells")}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_searched_is_refused_by_name(name: str) -> None:
    """One sentence for each."""
    rules, chip, reason = REFUSED[name]
    cells = {"bus": np.zeros(4, np.int64), **chip}
    layer = LayerInstance(Target.from_dense(np.ones((2, 3))), Hardware(np.ones((4, 3)), **cells), rules)  # type: ignore[arg-type]
    for solver in HEURISTICS:
        assert reason in (refusal(solver, layer) or "")


def test_layers_too_large_for_a_proof_are_refused() -> None:
    """100 x 100 lines, told from the sizes alone; and neurons on several buses."""
    rng = np.random.default_rng(0)
    target = Target.from_dense(rng.normal(size=(100, 100)), rng.random((100, 100)) < 0.1)
    one = Hardware(rng.normal(size=(100, 100)), bus=np.zeros(100, np.int64))
    assert "too many for a proof" in (refusal(Exact(), LayerInstance(target, one)) or "")
    two = Hardware(rng.normal(size=(100, 100)), bus=np.arange(100) // 50)
    assert "share one bus" in (refusal(Exact(), LayerInstance(target, two)) or "")


@pytest.mark.parametrize("size", [100, 400])
def test_too_large_for_exact_engines_is_said_at_once(size: int) -> None:
    """By their size alone: within a second of processor time and 50 MB, for the tree and for programs."""
    rng = np.random.default_rng(0)
    target = Target.from_dense(rng.normal(size=(100, 100)), rng.random((100, 100)) < 0.1)
    layer = LayerInstance(target, Hardware(rng.normal(size=(size, size)), bus=np.zeros(size, np.int64)))
    assert refusal(Exact(), layer) and layer.demands  # what is loaded once is not counted
    tracemalloc.start()
    began = time.process_time()
    assert "too many for a proof" in (refusal(Exact(), layer) or "")
    with pytest.raises(Refused, match="program"):
        reduction(layer, ProgramInstance)
    assert time.process_time() - began < 1.0
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "drop", "unusable", "importance, noise, drop", "leak"])
def test_an_engine_of_programs_agrees(mode: str) -> None:
    """HiGHS on the layer as a program has the same optimum, and finds the same layers infeasible."""
    from matchopt_milp import Milp

    for seed in range(3):
        layer = crossbar(np.random.default_rng(seed), mode, 2)
        ours = solved(Exact(), layer)
        down = reduction(layer, ProgramInstance)
        (program,) = down.parts
        theirs = Milp().solve(program, Limits(), np.random.default_rng(0))
        assert (theirs.solution is None) == (ours.solution is None)
        if ours.solution is not None:
            value = layer.value(down.lift([theirs.solution]))
            assert layer.value(ours.solution) == pytest.approx(value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-90, 1e20, 1e90])
@pytest.mark.parametrize("solver", [*HEURISTICS, Exact()], ids=lambda solver: solver.name)
def test_any_unit_gives_the_same_error_and_bound(solver: Solver, scale: float) -> None:
    """Costs may leave the range of single precision, in which the bound keeps what it knows."""
    rng = np.random.default_rng(3)
    weights, cells, answers = rng.normal(size=(4, 4)), rng.normal(size=(5, 5)), []
    for unit in (1.0, scale):
        layer = LayerInstance(Target.from_dense(unit * weights), Hardware(unit * cells, bus=np.zeros(5, int)))
        found = solved(solver, layer, iterations=50)
        assert isinstance(found.solution, LayerMapping)
        answers.append((layer.value(found.solution) / unit**2, found.bound / unit**2))
    assert answers[1] == pytest.approx(answers[0], rel=1e-5)
    assert answers[0][1] > 0.0
