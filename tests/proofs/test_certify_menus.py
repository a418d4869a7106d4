"""Proofs for layers of cells that can be written: never above the optimum, and at it wherever a price meets it."""

from dataclasses import replace

import numpy as np
import pytest
from matchopt_greedy import PricedWrites
from programmable import random_layer

import matchopt
from matchopt import LayerInstance, LayerMapping, Limits, Refused, certify, check
from matchopt.proofs.effort import Effort
from matchopt.proofs.menus import MenuTable
from matchopt.testing import brute_force

KINDS = ("range", "levels", "range levels fixed fixed")


@pytest.mark.parametrize("seed", range(24))
def test_the_optimum_is_proven_and_nothing_else(seed: int) -> None:
    """Without a limit every optimum is proven; with one no bound is above it; a worse mapping is never optimal."""
    layer = random_layer(seed, shared=False, limited=seed % 2 == 1, kinds=KINDS[seed % 3])
    known = brute_force(layer)
    if known.solution is None or known.value is None:
        return
    assert isinstance(known.solution, LayerMapping)
    found = certify(layer, known.solution)
    assert found.bound <= known.value * (1.0 + 1e-9) + 1e-12
    assert not found.improvable
    if layer.rules.writes is None or layer.rules.writes == 0:
        assert found.optimal
    worse = replace(known.solution, written=None)
    value = check(layer, worse).objective
    assert value is not None
    other = certify(layer, worse)
    assert other.bound <= known.value * (1.0 + 1e-9) + 1e-12
    assert not other.optimal or value <= known.value * (1.0 + 1e-6) + 1e-12


def test_most_limits_on_writes_are_proven() -> None:
    """Of 40 layers of three rows: a price meets the optimum for all but a few."""
    proven = 0
    for seed in range(40):
        layer = random_layer(400 + seed, shared=False, limited=True, kinds=KINDS[seed % 3])
        solution = PricedWrites().solve(layer, Limits(), np.random.default_rng(0)).solution
        proven += solution is None or certify(layer, solution).optimal
    assert proven >= 34


def test_a_false_optimum_is_found_out() -> None:
    """A better mapping is exhibited, where writes are not limited."""
    layer = random_layer(3, shared=False, limited=False, kinds="range")
    best = brute_force(layer).solution
    assert isinstance(best, LayerMapping)
    assert certify(layer, replace(best, written=None)).improvable


@pytest.mark.parametrize("spoilt", [99.0, np.nan])
def test_what_cannot_be_written_is_refused(spoilt: float) -> None:
    """A value out of range, or more writes than are allowed."""
    layer = random_layer(3, shared=False, limited=False, kinds="range")
    best = brute_force(layer).solution
    assert isinstance(best, LayerMapping) and best.written is not None
    if np.isnan(spoilt):
        layer, wrong = replace(layer, rules=replace(layer.rules, writes=0)), best
    else:
        wrong = replace(best, written=np.full(len(best.cell), spoilt))
    with pytest.raises(Refused, match="not feasible"):
        certify(layer, wrong)


def test_bounds_on_pairs_are_bounds() -> None:
    """Relaxed costs never exceed those of a matching, are them where they are called exact, and grow with the price."""
    layer = random_layer(12, shared=False, limited=False, kinds="range levels")
    before = None
    for price in (0.0, 0.1, 1.0):
        table = MenuTable.priced(layer, price, Effort())
        pairs = [(i, j) for i in range(layer.n_rows) for j in range(layer.hardware.n_neurons)]
        exact = np.array([table.wired(i, j)[0] for i, j in pairs]).reshape(table.bounds.shape)
        assert (table.bounds <= exact * (1.0 + 1e-12)).all()
        assert np.allclose(table.bounds[table.exact], exact[table.exact])
        assert before is None or (exact >= before - 1e-12).all()
        before = exact


def test_a_layer_is_proven_from_its_solver() -> None:
    """The run says proven, with and without a limit; a network's layers too."""
    layer = random_layer(8, shared=False, limited=False, kinds="levels")
    assert matchopt.solve(layer, "hungarian", seed=1).proof == "proven"
    limited: LayerInstance = replace(layer, rules=replace(layer.rules, writes=1))
    assert matchopt.solve(limited, "priced-writes", seed=1).proof == "proven"
    network = matchopt.NetworkInstance((limited,), (np.zeros(limited.n_rows),))
    assert matchopt.solve(network, "priced-writes", seed=1).proof == "proven"


@pytest.mark.parametrize("seed", range(16))
def test_on_shared_lines_bounds_are_bounds(seed: int) -> None:
    """No bound is above the optimum; what is called optimal is; without a limit and gains to choose all is proven."""
    layer = random_layer(600 + seed, shared=True, limited=seed % 2 == 1, kinds=KINDS[seed % 3])
    known = brute_force(layer)
    if not isinstance(known.solution, LayerMapping) or known.value is None:
        return
    found = certify(layer, known.solution)
    assert found.bound <= known.value * (1.0 + 1e-9) + 1e-12
    assert not found.improvable
    if layer.rules.writes is None and layer.rules.gains.fixed and not np.any(layer.hardware.off):
        assert found.optimal
    worse = replace(known.solution, written=None)
    value = check(layer, worse).objective
    other = certify(layer, worse)
    assert value is not None and other.bound <= known.value * (1.0 + 1e-9) + 1e-12
    assert not other.optimal or value <= known.value * (1.0 + 1e-6) + 1e-12
    assert not other.improvable or value > known.value
