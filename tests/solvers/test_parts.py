"""Solvers of rows with several hardware neurons: parts whose outputs add, and copies that are averaged."""

from typing import Any

import numpy as np
import pytest
from matchopt_hungarian import Hungarian
from matchopt_milp import Milp
from matchopt_parts import CopiesAlternate, SplitAlternate, TilesCover

import matchopt
from matchopt import (
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    OutputError,
    ProgramInstance,
    Rules,
    Solver,
    Target,
    check,
)
from matchopt.contract import refusal
from matchopt.reduce import reduction

RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "drop": {"drop": True},
    "gains": {"gains": Gains.finite(1.0, -0.5)},
    "interval": {"gains": Gains.interval(0.5, 2.0)},
}
SOLVERS: dict[str, tuple[Solver, dict[str, int]]] = {
    "split": (SplitAlternate(rounds=2), {"neurons_per_row": 2}),
    "copies": (CopiesAlternate(rounds=10), {"copies": 2}),
}


def layer(seed: int, neurons: int = 14, cells: int = 4, **rules: Any) -> LayerInstance:
    """Six rows of up to four connections on noisy neurons, a tenth of their cells out of use."""
    rng = np.random.default_rng(seed)
    support = np.argsort(rng.random((6, 8)), axis=1) < 4 - (np.arange(6) % 2)[:, None]
    target = Target.from_dense(rng.laplace(size=(6, 8)), support, rng.random((6, 8)) + 0.5)
    usable = rng.random((neurons, cells)) < 0.9
    hardware = Hardware(rng.normal(size=(neurons, cells)), rng.random((neurons, cells)) * 0.1, usable)
    return LayerInstance(target, hardware, Rules(**rules))


def value(instance: LayerInstance, solver: Solver, again: bool = True) -> float:
    """The checked value of its answer; the same `again` for the same seed."""
    first, *others = (solver.solve(instance, Limits(), np.random.default_rng(0)).solution for _ in range(1 + again))
    assert isinstance(first, LayerMapping) and all(other.digest == first.digest for other in others)
    report = check(instance, first)
    assert report.violations == () and report.objective is not None
    return float(report.objective)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("rules", RULES)
def test_close_to_the_optimum_and_never_below(kind: str, rules: str) -> None:
    """On layers that an exact engine solves: no better than the optimum, and within a tenth on average."""
    solver, several = SOLVERS[kind]
    excess = []
    for seed in range(2):
        instance = layer(seed, **several, **RULES[rules])
        found = value(instance, solver, again=rules == "plain")
        if rules == "interval":  # no program of whole numbers; no worse than the gain 1 alone
            assert found <= value(layer(seed, **several), solver, again=False) * (1 + 1e-9)
            continue
        step = reduction(instance, ProgramInstance)
        exact = Milp().solve(step.parts[0], Limits(), np.random.default_rng(0))  # type: ignore[arg-type]
        assert exact.status == "optimal" and found >= exact.bound * (1 - 1e-6)
        excess.append(found / exact.bound - 1.0)
    assert not excess or np.mean(excess) < 0.1


@pytest.mark.parametrize("kind", SOLVERS)
def test_more_neurons_per_row_are_no_worse(kind: str) -> None:
    """Parts and copies help where neurons are left over; uncorrelated output errors are taken."""
    solver, several = SOLVERS[kind]
    one, two = layer(9, neurons=18), layer(9, neurons=18, **several)
    assert value(two, solver) < value(one, solver)
    weighed = LayerInstance(two.target, two.hardware, two.rules, OutputError(np.diag(np.arange(1.0, 9.0))))
    assert value(weighed, solver) > 0.0


def test_a_fan_in_beyond_the_cells_of_a_neuron_is_split() -> None:
    """100 connections on neurons of 25 cells, through the front door; with four neurons each all cells are taken."""
    rng = np.random.default_rng(0)
    target, hardware = Target.from_dense(rng.laplace(size=(5, 100))), Hardware(rng.normal(size=(30, 25)))
    found = []
    for parts in (4, 6):
        instance = LayerInstance(target, hardware, Rules(neurons_per_row=parts))
        run = matchopt.solve(instance, "split-alternate", options={"rounds": 1}, prove_seconds=0)
        assert run.status == "feasible" and isinstance(run.solution, LayerMapping)
        assert np.bincount(run.solution.row).max() <= parts
        found.append(run.objective)
    assert found[1] < found[0] < (target.weights**2).sum()
    refused = LayerInstance(target, hardware, Rules(neurons_per_row=3))
    assert matchopt.solve(refused, "split-alternate").status == "unknown"
    assert "several-neurons" in (refusal(Hungarian(), instance) or "")


def tiled(seed: int, tiles: int, **rules: Any) -> LayerInstance:
    """Rows and inputs for several tiles of 5 x 6, a tenth of whose cells is out of use."""
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.laplace(size=(8, 14)), rng.random((8, 14)) < 0.3)
    usable, bus = rng.random((5 * tiles, 6)) < 0.9, np.repeat(np.arange(tiles), 5)
    return LayerInstance(target, Hardware(rng.normal(1.0, 0.3, (5 * tiles, 6)), usable=usable, bus=bus), Rules(**rules))


def test_layers_larger_than_a_tile_are_shared_out() -> None:
    """Feasible, the same again, better with more tiles; negative weights need a negative gain, and nothing is lost."""
    free: dict[str, Any] = {"drop": True, "neurons_per_row": 6}
    both = Gains.finite(-1.0, 1.0)
    solver, leaky = TilesCover(passes=1), tiled(0, 12, gains=both, **free)
    few, many = (value(tiled(0, tiles, gains=both, **free), solver) for tiles in (2, 12))
    plain = value(tiled(0, 12, **free), solver)
    unmapped = float((leaky.target.weights**2).sum())
    assert many < few < unmapped and many < plain < unmapped
    stuck = np.where(leaky.hardware.usable, 0.0, 0.2)
    hardware = Hardware(leaky.hardware.weights, usable=leaky.hardware.usable, off=stuck, bus=leaky.hardware.bus)
    assert value(LayerInstance(leaky.target, hardware, leaky.rules), solver) < unmapped


def test_without_drops_all_connections_are_served_or_nothing_is_said() -> None:
    """Healthy tiles hold the layer; too few of them do not, and the message says what to do."""
    rng = np.random.default_rng(1)
    target = Target.from_dense(rng.normal(size=(4, 10)), rng.random((4, 10)) < 0.5)
    hardware = Hardware(rng.normal(size=(30, 6)), bus=np.repeat(np.arange(6), 5))
    assert value(LayerInstance(target, hardware, Rules(neurons_per_row=4)), TilesCover()) > 0
    short = LayerInstance(target, Hardware(rng.normal(size=(5, 4)), bus=np.zeros(5, int)), Rules(neurons_per_row=2))
    refused = TilesCover().solve(short, Limits(), np.random.default_rng(0))
    assert refused.solution is None and "allow drops" in refused.message


@pytest.mark.parametrize("solver", [SplitAlternate(rounds=1), CopiesAlternate(rounds=1), TilesCover(passes=1)])
def test_layers_without_rows_or_connections_are_taken(solver: Solver) -> None:
    """Nothing to wire is a mapping too."""
    for rows in (0, 2):
        instance = LayerInstance(Target.from_dense(np.zeros((rows, 3))), Hardware(np.ones((3, 2))))
        found = solver.solve(instance, Limits(), np.random.default_rng(0)).solution
        assert found is not None and check(instance, found).objective == 0.0
