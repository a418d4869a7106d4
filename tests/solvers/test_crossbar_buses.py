"""Small layers on several buses: the exact solver, its proof, engines and enumeration."""

from dataclasses import replace

import numpy as np
import pytest
from layers import random_layer
from matchopt_crossbar import Buses
from solvers.proven_layers import proven_optimum

from matchopt import Gains, Hardware, LayerInstance, Limits, Rules, Solver, Status, Target, certify
from matchopt.contract import refusal
from matchopt.testing import brute_force


def layer(seed: int) -> LayerInstance:
    """Up to three rows on three buses, at one gain, under any rule that is taken."""
    rng = np.random.default_rng(seed)
    gains = Gains() if seed % 2 else Gains.finite(-0.5)
    made = random_layer(rng, shared=True, cells=1, tunable=0, correlated=False, gains=gains)
    neurons = max(3, made.hardware.n_neurons + 1)
    shape = (neurons, made.hardware.n_cells)
    chip = Hardware(
        rng.normal(size=shape),
        rng.random(shape) * 0.1,
        rng.random(shape) < 0.9,
        bus=np.sort(rng.integers(0, 3, neurons)),
    )
    return replace(made, hardware=chip)


def agree(seed: int, *engines: Solver) -> None:
    """See `proven_optimum`."""
    proven_optimum(layer(seed), Buses(rounds=3), *engines)


@pytest.mark.parametrize("seed", range(16))
def test_small_layers_on_several_buses_are_proven(seed: int) -> None:
    """Against enumeration."""
    agree(seed)


LONG = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(16, 46), marks=pytest.mark.slow), pytest.param(range(46, 216), marks=LONG)]
)
def test_engines_agree_on_several_buses(seeds: range) -> None:
    """CP-SAT and HiGHS on the program of binaries too."""
    pytest.importorskip("ortools")
    from matchopt_cpsat import CpSat
    from matchopt_milp import Milp

    for seed in seeds:
        agree(seed, CpSat(), Milp())


@pytest.mark.parametrize("per_bus", [2, 4])
def test_eight_rows_on_buses_of_a_few_neurons_are_proven(per_bus: int) -> None:
    """Eight rows and inputs at fan-in 4; one that is worse is seen to be improvable, and its optimum is not claimed."""
    rng = np.random.default_rng(0)
    support = np.argsort(rng.random((8, 8)), axis=1) < 4
    target = Target.from_dense(np.where(support, rng.normal(size=(8, 8)), 0.0), support)
    made = LayerInstance(target, Hardware(rng.normal(size=(8, 8)), bus=np.arange(8) // per_bus))
    result = Buses(rounds=1).solve(made, Limits(), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL and result.solution is not None
    found = certify(made, result.solution)
    assert found.optimal and found.bound == pytest.approx(made.value(result.solution))
    if per_bus == 2:
        both = certify(replace(made, rules=Rules(gains=Gains.finite(1.0, -1.0))), result.solution)
        assert both.bound < found.bound and both.improvable and not both.optimal
    stopped = Buses(rounds=1).solve(made, Limits(0.0), np.random.default_rng(0))
    assert stopped.status is not Status.OPTIMAL


def test_leaks_and_gains_on_several_buses_are_proven() -> None:
    """Cells that leak into rows of the same bus, without drops; rows of two gains: against enumeration."""
    proven = 0
    for seed in range(12):
        made = layer(100 + seed)
        rng = np.random.default_rng(seed)
        leaky = replace(made.hardware, off=rng.normal(size=made.hardware.weights.shape) * 0.2)
        made = replace(made, hardware=leaky, rules=Rules(gains=Gains.finite(1.0, -0.5)))
        known = brute_force(made)
        if known.solution is None or known.value is None:
            continue
        found = certify(made, known.solution)
        assert found.bound <= known.value * (1 + 1e-9) + 1e-12 and not found.improvable and found.optimal
        proven += 1
        assert "leak" in (refusal(Buses(), made) or "")
    assert proven >= 6


def test_what_is_too_much_is_refused() -> None:
    """A choice of gains, and more orders than are tried, by name."""
    rng = np.random.default_rng(0)
    target = Target.from_dense(rng.normal(size=(10, 4)))
    made = LayerInstance(target, Hardware(rng.normal(size=(12, 6)), bus=np.arange(12) // 6))
    assert "rows go onto the buses" in (refusal(Buses(), made) or "")
    two = replace(made, rules=Rules(gains=Gains.finite(1.0, 2.0)))
    assert "choice of gains" in (refusal(Buses(), two) or "")
    low = np.full(made.hardware.weights.shape, -1.0)
    writable = replace(made, hardware=replace(made.hardware, low=low, high=-low))
    for name, other in (("tunable", replace(made, rules=Rules(tunable=1))), ("programmable-cells", writable)):
        assert name in (refusal(Buses(), other) or "")
