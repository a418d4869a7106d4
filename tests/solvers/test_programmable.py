"""Layers of cells that can be written: every way to solve them against enumeration, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from programmable import random_layer

import matchopt
from matchopt import Gains, LayerInstance, Limits, OutputError, Refused, Rules, Status
from matchopt.checker import check
from matchopt.plugins import load_plugins
from matchopt.reduce import reduction
from matchopt.run.descent import solve_parts
from matchopt.testing import brute_force

REGISTRY = load_plugins()

VARIANTS = pytest.mark.parametrize(
    ("shared", "limited", "kinds"),
    [(s, b, k) for s in (False, True) for b in (False, True) for k in ("range", "levels", "range levels fixed fixed")],
    ids=lambda value: str(value).replace(" ", "+"),
)


def _agree(layer: LayerInstance, solvers: tuple[str, ...]) -> None:
    """All of them find what enumeration finds, and the checker says so."""
    known = brute_force(layer)
    assert known.proven
    for solver in solvers:
        found, _ = solve_parts(layer, REGISTRY.make(solver), np.random.default_rng(1), Limits())
        if known.solution is None:
            assert found.status is Status.INFEASIBLE and found.solution is None, solver
            continue
        assert found.solution is not None, (solver, found.message)
        assert check(layer, found.solution).objective == pytest.approx(known.value, rel=1e-6, abs=1e-9), solver


def _engines(shared: bool, limited: bool) -> tuple[str, ...]:
    return ("cpsat", "milp") if shared or limited else ("hungarian", "cpsat", "milp")


@VARIANTS
@pytest.mark.parametrize("seed", range(3))
def test_engines_agree_with_enumeration(seed: int, shared: bool, limited: bool, kinds: str) -> None:
    """Ranges, levels and both beside fixed cells; free and shared lines; with and without a limit on writes."""
    _agree(random_layer(seed, shared=shared, limited=limited, kinds=kinds), _engines(shared, limited))


@pytest.mark.slow
@pytest.mark.long
@VARIANTS
def test_engines_agree_with_enumeration_at_length(shared: bool, limited: bool, kinds: str) -> None:
    """The same on many layers more."""
    for seed in range(100, 170):
        _agree(random_layer(seed, shared=shared, limited=limited, kinds=kinds), _engines(shared, limited))


def test_what_can_make_up_for_others_is_no_program() -> None:
    """Within a range the best value then depends on the other cells; levels are binaries like any other."""
    layer = random_layer(1, shared=False, limited=False, kinds="range levels")
    moments = OutputError(np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]]))
    for changed in (replace(layer, objective=moments), replace(layer, rules=Rules(cells_per_weight=2))):
        with pytest.raises(Refused, match="give levels instead"):
            reduction(changed, matchopt.ProgramInstance)
        none = np.full(layer.hardware.weights.shape, np.nan)
        levels = replace(changed, hardware=replace(layer.hardware, low=none, high=none))
        assert reduction(levels, matchopt.ProgramInstance).parts
    with pytest.raises(Refused, match=r"does not understand gain-interval .* and programmable-cells"):
        reduction(replace(layer, rules=Rules(gains=Gains.interval(0.5, 2.0))), matchopt.AssignmentInstance)
