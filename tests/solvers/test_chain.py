"""Solvers of chained arrays: the optimum of tiny ones, no layer left to itself, and what they refuse."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matchopt_crossbar import ChainAlternation, ChainPerturbation
from matchopt_reroute import Reroute

from matchopt import (
    FunctionalError,
    Hardware,
    LayerInstance,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Rules,
    Solver,
    Target,
    check,
)
from matchopt.contract import refusal
from matchopt.reduce import beginning
from matchopt.testing import brute_force, run_checks
from matchopt.testing.tiny_networks import tiny_networks

CHAINED = {name: network for name, network in tiny_networks().items() if network.chained}


def crossbars(
    seed: int, sizes: tuple[int, ...], ratio: float, *, stuck: float = 0.0, dead: float = 0.0, bias: bool = False
) -> NetworkInstance:
    """Crossbars with `ratio` times the neurons and lines, connections at 40 %, a share of cells stuck or dead."""
    rng, lines, layers = np.random.default_rng(seed), int(ratio * sizes[0]), list[LayerInstance]()
    for inputs, rows in pairwise(sizes):
        mask = rng.random((rows, inputs + bias)) < 0.4
        mask[:, inputs:] = True
        target = Target.from_dense(rng.laplace(size=mask.shape), mask)
        weights = rng.normal(size=(int(ratio * rows), lines + bias))
        off = np.where(rng.random(weights.shape) < stuck, weights, 0.0)
        usable = rng.random(weights.shape) >= dead
        chip = Hardware(weights, usable=usable, off=off, bus=np.zeros(len(weights), np.int64))
        layers.append(LayerInstance(target, chip, Rules(drop=True)))
        lines = len(weights)
    biases = None if bias else tuple(rng.normal(size=rows) for rows in sizes[1:])
    return NetworkInstance(tuple(layers), biases, chained=True)


@pytest.mark.parametrize("solver", [ChainAlternation(), ChainPerturbation(rounds=300)], ids=lambda each: each.name)
@pytest.mark.parametrize("name", sorted(set(CHAINED) - {"network-chained-gains"}))
def test_tiny_chains_are_solved(name: str, solver: Solver) -> None:
    """To the optimum of enumeration, with a bound that does not exceed it."""
    network, best = CHAINED[name], brute_force(CHAINED[name]).value
    result = solver.solve(network, Limits(), np.random.default_rng(0))
    if best is None:
        assert result.solution is None
        return
    assert isinstance(result.solution, NetworkMapping)
    report = check(network, result.solution)
    assert report.feasible and report.objective == pytest.approx(best)
    assert result.bound <= best + 1e-9


def test_tunable_connections_are_priced_in_the_bound() -> None:
    """Above 0 where some connections may be tuned, and below what is found."""
    for name in ("network-chained", "network-chained-drop-stuck", "network-chained-gains"):
        plain = CHAINED[name]
        layers = tuple(replace(layer, rules=replace(layer.rules, tunable=1)) for layer in plain.layers)
        network = replace(plain, layers=layers)
        result = ChainAlternation(starts=10).solve(network, Limits(), np.random.default_rng(0))
        assert result.solution is not None and check(network, result.solution).feasible
        assert 0.0 < result.bound <= network.value(result.solution)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"stuck": 0.1}, {"dead": 0.1, "bias": True}], ids=str)
def test_all_permutations_together_beat_one_array_after_the_other(more: dict[str, float]) -> None:
    """At twice the neurons and lines under noise; a start is never lost."""
    network = crossbars(1, (12, 10, 8, 6), 2.0, **more)  # type: ignore[arg-type]
    first = beginning(network)
    assert isinstance(first, NetworkMapping)
    found = ChainPerturbation(rounds=300).solve(network, Limits(), np.random.default_rng(0)).solution
    assert isinstance(found, NetworkMapping)
    report = check(network, found)
    assert report.feasible and report.objective is not None and report.objective < network.value(first)
    again = ChainAlternation(starts=1).solve(network, Limits(start=found), np.random.default_rng(1)).solution
    assert again is not None and network.value(again) <= report.objective * (1 + 1e-12)


def test_fewer_lines_than_inputs_leave_some_unheard() -> None:
    """Connections are dropped then, and none is wired where there is no line."""
    network = crossbars(2, (8, 6, 4), 1.0)
    first = network.layers[0]
    narrow = Hardware(first.hardware.weights[:, :5], bus=first.hardware.bus)
    network = replace(network, layers=(replace(first, hardware=narrow), network.layers[1]))
    mapping = ChainAlternation(starts=2).solve(network, Limits(), np.random.default_rng(0)).solution
    assert mapping is not None and check(network, mapping).feasible


def test_other_networks_are_refused() -> None:
    """With the reason."""
    network = crossbars(0, (3, 2, 2), 1.0)
    assert "chained" in (refusal(ChainAlternation(), replace(network, chained=False)) or "")


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"stuck": 0.1, "dead": 0.1}, {}, {"bias": True}], ids=str)
def test_outputs_come_right_behind_other_arrays(more: dict[str, float]) -> None:
    """Cells on the lines that the neurons before say, chosen for the signals; least weight error is far worse."""
    network = crossbars(3, (12, 10, 8, 4), 2.0, **more)  # type: ignore[arg-type]
    inputs = np.random.default_rng(4).normal(size=(200, 12))
    rules = Rules(drop=True, extra_inputs=True)
    layers = tuple(replace(layer, rules=rules) for layer in network.layers)
    network = replace(network, layers=layers, objective=FunctionalError(inputs), adjustable=not more.get("bias"))
    plain = ChainAlternation(starts=2).solve(replace(network, objective=None), Limits(), np.random.default_rng(0))
    result = Reroute(aim="signals", rounds=1).solve(network, Limits(), np.random.default_rng(0))
    assert plain.solution is not None and result.solution is not None
    report = check(network, result.solution)
    assert report.feasible and report.objective is not None
    assert report.objective < 0.8 * network.value(plain.solution)
    again = Reroute(aim="signals", rounds=1).solve(network, Limits(start=result.solution), np.random.default_rng(1))
    assert again.solution is not None and network.value(again.solution) <= report.objective * (1 + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [ChainAlternation(starts=3), ChainPerturbation(rounds=20)], ids=lambda s: s.name)
def test_keeps_every_law(solver: Solver) -> None:
    """The conformance kit passes."""
    report = run_checks(solver)
    assert report.passed, report.summary()
