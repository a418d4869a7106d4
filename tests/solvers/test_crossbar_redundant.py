"""Several cells per weight and several neurons per row on shared lines: against enumeration, and turn by turn."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matchopt_crossbar import Perturbation, Redundant
from matchopt_crossbar.redundant_search import Redundancy

from matchopt import Gains, Hardware, LayerInstance, Limits, Rules, Target, check
from matchopt.testing.brute import brute_force

RULES: dict[str, dict[str, Any]] = {
    "two cells": {"cells_per_weight": 2},
    "copies": {"copies": 2},
    "parts": {"neurons_per_row": 2},
    "copies of two cells": {"copies": 2, "cells_per_weight": 2},
    "parts of two cells": {"neurons_per_row": 2, "cells_per_weight": 2},
}


def layer_of(rng: np.random.Generator, rules: dict[str, Any], shape: tuple[int, int], cells: tuple[int, int],
             leaks: bool, buses: int = 1) -> LayerInstance:  # fmt: skip
    """A layer with read noise and cells out of use, sometimes with drops, extra inputs and a second gain."""
    mask = rng.random(shape) < 0.8
    mask[0, 0] = True
    off = 0.5 * rng.normal(size=cells) * (rng.random(cells) < 0.3) if leaks else None
    chip = Hardware(rng.normal(size=cells), 0.1 * rng.random(cells), rng.random(cells) < 0.85, off,
                    np.arange(cells[0]) % buses)  # fmt: skip
    gains = Gains.finite(1.0, -0.7) if rng.random() < 0.4 else Gains()
    drop, extra = bool(rng.random() < 0.6), bool(rng.random() < 0.3)
    target = Target.from_dense(rng.normal(size=shape) * mask, mask, rng.uniform(0.5, 2.0, shape))
    return LayerInstance(target, chip, Rules(drop=drop, extra_inputs=extra, gains=gains, **rules))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "of" in name else []) for name in RULES]
)
def test_tiny_layers_reach_the_enumerated_optimum(name: str) -> None:
    """Mappings are feasible, never better than the optimum, and optimal for most tiny layers."""
    met, tried = 0, 0
    for seed in range(6):
        rng = np.random.default_rng([seed, len(name)])
        several = "cells" not in name or "of" in name
        layer = layer_of(rng, RULES[name], (2, 2), (3 if several else 2, 2 if several else 3), bool(seed % 2))
        best, result = (
            brute_force(layer).value,
            Redundant(rounds=60).solve(layer, Limits(), np.random.default_rng(seed)),
        )
        assert (result.solution is None) <= (best is None or not layer.rules.drop)
        if best is None or result.solution is None:
            continue
        report = check(layer, result.solution)
        assert report.feasible and report.objective is not None, report.violations
        assert report.objective >= best - 1e-9
        met, tried = met + (report.objective <= best + 1e-9), tried + 1
    assert tried >= 2 and met >= tried - 1


@pytest.mark.parametrize("buses", [1, 2])
@pytest.mark.parametrize("name", RULES)
def test_a_turn_never_makes_the_error_larger(name: str, buses: int) -> None:
    """Without noise every assignment is the best with all else fixed; the search's error is that of its mapping."""
    for seed in range(3):
        layer = layer_of(np.random.default_rng(seed), RULES[name], (6, 7), (14, 15), False, buses)
        layer = replace(layer, rules=replace(layer.rules, drop=True))
        search = Redundancy(layer, np.random.default_rng(seed))
        search.perturb(3, search.unit, 0.8)
        before = search.total
        for _ in range(4):
            search.perturb(1, 0.0, 1.0)
            assert search.total <= before + 1e-7
            before = search.total
        mapping = search.mapping()
        assert mapping is not None and layer.value(mapping) == pytest.approx(search.best_value, rel=1e-9)


@pytest.mark.slow
def test_rows_may_take_all_neurons_there_are() -> None:
    """None is left for another number of a row then: three rows on three neurons, up to two of them each."""
    target = Target.from_dense(np.array([[0.0], [-1.8], [-0.8]]))
    layer = LayerInstance(
        target, Hardware(np.array([[1.5], [-0.2], [0.5]]), bus=np.zeros(3, int)), Rules(neurons_per_row=2)
    )
    best = brute_force(layer)
    for seed in range(5):
        result = Redundant().solve(layer, Limits(), np.random.default_rng(seed))
        assert layer.value(result.solution) == pytest.approx(best.value)


def test_more_cells_are_worth_using() -> None:
    """Two cells for a weight, and two of two copies, beat one; where cells are stuck no mapping is worse than none."""
    rng, shape = np.random.default_rng(5), (20, 20)
    target = Target.from_dense(rng.laplace(size=shape), rng.random(shape) < 0.2)
    layer = LayerInstance(target, Hardware(rng.normal(size=(40, 40)), bus=np.zeros(40, int)), Rules(drop=True))
    one = layer.value(Perturbation(rounds=300).solve(layer, Limits(), rng).solution)  # type: ignore[arg-type]
    for rules, share in (
        (Rules(drop=True, cells_per_weight=2), 0.6),
        (Rules(drop=True, cells_per_weight=2, copies=2), 0.3),
    ):
        several = replace(layer, rules=rules)
        assert several.value(Redundant(rounds=45).solve(several, Limits(), rng).solution) < share * one  # type: ignore[arg-type]
    stuck = np.where(rng.random((40, 40)) < 0.9, 9.0, 0.0)
    worst = LayerInstance(target, replace(layer.hardware, off=stuck), Rules(drop=True, cells_per_weight=2))
    assert worst.value(Redundant(rounds=2).solve(worst, Limits(), rng).solution) <= float((target.weights**2).sum())  # type: ignore[arg-type]


def test_what_it_does_not_take_is_refused_with_a_reason() -> None:
    """Free routing, and more ways to serve a weight than it tries."""
    target = Target.from_dense(np.ones((2, 9)))
    free = LayerInstance(target, Hardware(np.ones((4, 9))), Rules(copies=2))
    many = LayerInstance(target, Hardware(np.ones((4, 9)), bus=np.zeros(4, int)), Rules(cells_per_weight=9))
    assert "share no lines" in str(Redundant().refuses(free))
    assert "more than 256 ways" in str(Redundant().refuses(many))
