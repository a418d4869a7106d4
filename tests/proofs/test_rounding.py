"""What rounding may do to bounds is allowed for: costs against exact fractions, where large numbers cancel."""

import itertools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Rules, Target
from matchopt.proofs import certify, hard_wired
from matchopt.proofs.assignment import HALF_ULP
from matchopt.proofs.coupled import coupled
from matchopt.proofs.effort import Effort
from matchopt.proofs.inner import exact_costs
from matchopt.proofs.separable import separable
from matchopt.proofs.sums import SumTable
from matchopt.testing.brute_layer import all_layers

LARGE = ("nothing", "targets", "weights", "noise", "gain", "importance", "leaks")


def layer_of(large: str, seed: int, **rules: Any) -> LayerInstance:
    """One row of two connections on two neurons; what is named is a million times as large as the rest."""
    rng = np.random.default_rng(seed)
    size = {name: 1e6 if name == large else 1.0 for name in LARGE}
    target = Target.from_dense(rng.normal(size=(1, 2)) * size["targets"], None, rng.random((1, 2)) * size["importance"])
    chip = Hardware(
        rng.normal(size=(2, 4)) * size["weights"], rng.random((2, 4)) * size["noise"] / 9,
        off=rng.normal(size=(2, 4)) * size["leaks"] if large == "leaks" else None,
    )  # fmt: skip
    gains = Gains.finite(float(rng.normal() * size["gain"]))
    return LayerInstance(target, chip, Rules(**{"gains": gains, **rules}))


def exact(layer: LayerInstance, mapping: LayerMapping) -> Fraction:
    """The error of a row in exact arithmetic; cells that listen to an input leak into it while they are off."""
    target, chip, (j,) = layer.target, layer.hardware, mapping.neuron_of.tolist()
    gain, total = Fraction(float(mapping.gain[0])), Fraction(0)
    for x, a, q in zip(target.indices.tolist(), target.weights, np.asarray(target.importance), strict=True):
        cells = [k for k, own in mapping.wires(0) if own == x]
        leaking = [k for k in range(chip.n_cells) if chip.input[j, k] == x and k not in cells]
        value = sum((Fraction(float(chip.weights[j, k])) for k in cells), Fraction(0))
        value += sum((Fraction(float(chip.off[j, k])) for k in leaking), Fraction(0))
        noise = sum((Fraction(float(chip.variance[j, k])) for k in cells), Fraction(0))
        total += Fraction(float(q)) * ((Fraction(float(a)) - gain * value) ** 2 + gain * gain * noise)
    return total


def least(layer: LayerInstance) -> list[Fraction]:
    """The least error on each neuron in exact arithmetic."""
    found: list[list[Fraction]] = [[], []]
    for mapping in all_layers(replace(layer, rules=replace(layer.rules, gains=Gains()))):
        priced = replace(mapping, gain=np.array(layer.rules.gains.values))
        found[int(mapping.neuron_of[0])].append(exact(layer, priced))
    return [min(costs) for costs in found]


@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("kind", ["layer", "sums", "hard-wired"])
def test_costs_are_within_their_allowance_of_exact_ones(large: str, kind: str) -> None:
    """Of pairs, each with its own; and certificates are below the exact optimum, by little."""
    if large == "leaks" and kind != "hard-wired":
        return
    for seed, drop in ((0, False), (1, True), (2, False)):
        layer = layer_of(large, seed, drop=drop, cells_per_weight=1 + (kind != "layer"))
        every = np.zeros(2, int), np.arange(2)
        if kind == "hard-wired":
            layer = replace(
                layer, hardware=replace(layer.hardware, input=np.tile([0, 0, 0, 0] if drop else [0, 0, 1, 1], (2, 1)))
            )
            wired = hard_wired._by_input(layer)
            costs = hard_wired._costs(wired, Effort())
            off, costs = hard_wired._rounding(wired, costs)[0], costs[0]
            (gain,) = layer.rules.gains.values or ()
            reads = abs(gain) * (np.abs(layer.hardware.weights) + np.abs(layer.hardware.off)).max()
            delta = 16 * HALF_ULP * (np.abs(layer.target.weights) + reads)
            entering = float((np.asarray(layer.target.importance) * delta**2).sum())
            assert (off >= 2.0 * np.sqrt(costs * entering)).all() and (
                off <= 2.0**-24 * (costs + 2.0**60 * entering)
            ).all()
        elif kind == "layer":
            problem = separable(layer)
            costs = exact_costs(problem, *every)
            off = problem.rounding[0] * (costs + problem.dropped[0])
        else:
            table = SumTable.of_layer(layer, Effort())
            costs, off = np.array([table.wired(0, j)[0] for j in range(2)]), np.full(2, np.inf)
        wanted = least(layer)
        for cost, allowed, true in zip(costs.tolist(), off.tolist(), wanted, strict=True):
            assert abs(Fraction(cost) - true) <= (Fraction(allowed) if allowed < np.inf else 10**9)
        size = float(max(wanted)) + sum(float(q) * float(a) ** 2 for a, q in zip(
            layer.target.weights, np.asarray(layer.target.importance), strict=True))  # fmt: skip
        best = min(range(2), key=lambda j: wanted[j])
        chosen = min(
            (replace(m, gain=np.array(layer.rules.gains.values))
             for m in all_layers(replace(layer, rules=replace(layer.rules, gains=Gains()))) if m.neuron_of[0] == best),
            key=lambda m: exact(layer, m),
        )  # fmt: skip
        found = certify(layer, chosen)
        assert Fraction(found.bound) <= wanted[best] <= Fraction(found.bound) + Fraction(found.allowance)
        assert 32 * HALF_ULP * float(wanted[best]) <= found.allowance
        assert found.allowance <= 2.0**-38 * size or large in ("weights", "leaks", "gain")


@pytest.mark.parametrize("large", [*LARGE, "menus"])
def test_bounds_on_lines_and_sets_are_rounded_by_their_largest_numbers(large: str) -> None:
    """Some 64 roundings and more of the most that connections can cost, and not a billionth of it."""
    for seed, drop in itertools.product(range(3), (False, True)):
        layer = layer_of(large, seed, drop=drop)
        chip = replace(layer.hardware, bus=np.zeros(2, int))
        if large == "menus":
            levels = np.random.default_rng(seed).normal(size=(2, 4, 2)) * 1e6
            chip = replace(chip, levels=levels, level_variance=np.ones(levels.shape))
        problem = coupled(replace(layer, hardware=chip))
        (gain,) = layer.rules.gains.values or ()
        a, q = layer.target.weights, np.asarray(layer.target.importance)
        reads = chip.levels.ravel() if large == "menus" else chip.weights.ravel()
        noise = chip.level_variance.ravel() if large == "menus" else chip.variance.ravel()
        most = float((q * ((np.abs(a) + abs(gain) * np.abs(reads).max()) ** 2 + gain**2 * noise.max())).sum())
        assert 64 * HALF_ULP * most <= problem.rounding() <= 2.0**-38 * most
        for rules in ({"neurons_per_row": 2}, {"copies": 2}):
            if large in ("leaks", "menus"):
                continue
            several = replace(layer, rules=replace(layer.rules, **rules))  # type: ignore[arg-type]
            mapping = next(iter(all_layers(replace(several, rules=replace(several.rules, gains=Gains())))))
            mapping = replace(mapping, gain=np.full(len(mapping.gain), gain))
            found = certify(several, mapping)
            assert 128 * HALF_ULP * most <= found.allowance <= 2.0**-36 * most


def test_long_sums_are_allowed_for_term_by_term() -> None:
    """Of 300 connections, and of 300 rows: as many roundings more."""
    rng = np.random.default_rng(13)
    for shape, rules in (((300, 1), {"copies": 2}), ((1, 300), {"neurons_per_row": 2}), ((3, 100), None)):
        target = Target.from_dense(rng.normal(size=shape))
        chip = Hardware(rng.normal(size=(2 * shape[0], shape[1])), bus=None if rules else np.zeros(2 * shape[0], int))
        layer = LayerInstance(target, chip, Rules(drop=True, **(rules or {})))
        dropped = LayerMapping.from_cells(target, np.arange(shape[0]), np.full(target.n_connections, -1))
        most = float(((np.abs(target.weights) + np.abs(chip.weights).max()) ** 2).sum())
        allowed = certify(layer, dropped, seconds=0.0).allowance / 2.0 if rules else coupled(layer).rounding()
        assert 300 * HALF_ULP * most <= allowed <= 2.0**-30 * most
