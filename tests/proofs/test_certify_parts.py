"""Bounds for rows of several hardware neurons: never above the optimum, and mostly at it where lines are free."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.errors import Refused
from matchopt.instances import Gains, Hardware, LayerInstance, Rules, Target
from matchopt.proofs import certify, parts
from matchopt.testing.brute import brute_force

RULES: list[dict[str, Any]] = [
    {"neurons_per_row": 2},
    {"neurons_per_row": 2, "drop": True},
    {"neurons_per_row": 2, "gains": Gains.finite(1.0, -0.5)},
    {"copies": 2},
    {"copies": 2, "drop": True},
    {"copies": 2, "gains": Gains.finite(1.0, -0.5)},
]


def small(seed: int, rules: dict[str, Any], bus: Any = None) -> LayerInstance:
    """Two rows and three inputs on four neurons of two noisy cells."""
    rng = np.random.default_rng(seed)
    target = Target.from_dense(rng.normal(size=(2, 3)), rng.random((2, 3)) < 0.6, rng.random((2, 3)) + 0.5)
    usable = rng.random((4, 2)) < 0.9
    return LayerInstance(
        target, Hardware(rng.normal(size=(4, 2)), rng.random((4, 2)) * 0.1, usable, bus=bus), Rules(**rules)
    )


DRAWN = given(st.integers(0, 10**6), st.sampled_from(RULES), st.sampled_from([None, [0, 0, 1, 1]]))


@DRAWN
@settings(max_examples=12, deadline=None)
def test_a_bound_is_never_above_the_optimum(seed: int, rules: dict[str, Any], bus: Any) -> None:
    """Whatever the rules; that of connections on their own neither."""
    bounded(small(seed, rules, bus))


@pytest.mark.slow
@DRAWN
@settings(max_examples=100, deadline=None)
def test_a_bound_is_never_above_the_optimum_of_more(seed: int, rules: dict[str, Any], bus: Any) -> None:
    """The same on a hundred layers."""
    bounded(small(seed, rules, bus))


def bounded(layer: LayerInstance) -> None:
    """The certificate of its optimum by enumeration holds."""
    best = brute_force(layer)
    if best.value is None or best.solution is None:
        return
    found = certify(layer, best.solution)
    assert found.bound <= best.value * (1 + 1e-9) and not found.improvable
    assert not found.optimal or found.bound >= best.value - found.allowance


@pytest.mark.parametrize("rules", RULES)
def test_optima_on_free_lines_are_mostly_proved(rules: dict[str, Any]) -> None:
    """By enumeration found, by a proof that shares nothing with it confirmed; a worse mapping is not."""
    proved = worse = solved = 0
    for seed in range(6):
        layer = small(seed, rules)
        best = brute_force(layer)
        if best.value is not None and best.solution is not None:
            solved += 1
            proved += certify(layer, best.solution).optimal
            other = brute_force(LayerInstance(layer.target, layer.hardware, Rules(drop=layer.rules.drop)))
            if other.value is not None and other.solution is not None and other.value > best.value * 1.001:
                worse += 1
                assert layer.rules.gains.fixed is False or not certify(layer, other.solution).optimal
    assert 2 * proved > solved > 2 and worse >= 1


def test_too_many_sets_leave_the_bound_of_connections_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is below that of sets, and above 0 where cells miss the targets; leaks on shared lines are refused."""
    layer = small(3, {"neurons_per_row": 2})
    best = brute_force(layer).solution
    assert best is not None
    tight = certify(layer, best).bound
    monkeypatch.setattr(parts, "MOST_SETS", 0)
    assert 0 < certify(layer, best).bound < tight
    leaky = Hardware(layer.hardware.weights, off=np.ones((4, 2)), bus=np.zeros(4, int))
    with pytest.raises(Refused, match="several neurons that leak"):
        certify(LayerInstance(layer.target, leaky, layer.rules), best)
