"""What the proofs build on, recomputed by enumeration: costs of pairs and sets, choices apart, prices, searches."""

import itertools
import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from layers import random_layer, random_mapping, random_menus
from scipy.optimize import linear_sum_assignment

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, NetworkInstance, NetworkMapping, Rules, Target
from matchopt.checker import check
from matchopt.errors import Refused
from matchopt.proofs import buses, certify, crossbar_loops, crossbar_tree, disjoint, hard_wired, loops, parts, sums
from matchopt.proofs.budget import certify_budget
from matchopt.proofs.crossbar_tree import search
from matchopt.proofs.effort import Effort
from matchopt.proofs.inner import exact_costs
from matchopt.proofs.menus import MenuTable
from matchopt.proofs.separable import pair_bounds, separable
from matchopt.testing.brute import brute_force
from matchopt.testing.brute_layer import all_layers, best_layers

GAINS = Gains.finite(0.5, -1.0)
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "drop": {"drop": True},
    "gains": {"gains": GAINS},
    "drop, gains": {"drop": True, "gains": GAINS},
}


def layer_of(seed: int, rows: int = 2, neurons: int = 2, cells: int = 3, **rules: Any) -> LayerInstance:
    """A layer with noise, dead cells and importances, its first row of two connections."""
    rng = np.random.default_rng(seed)
    support = np.vstack([[True, True], rng.random((rows - 1, 2)) < 0.7])
    target = Target.from_dense(rng.normal(size=(rows, 2)), support, rng.uniform(0.2, 3.0, (rows, 2)))
    shape = (neurons, cells)
    chip = Hardware(rng.normal(size=shape), rng.random(shape) / 5 * (seed % 2), rng.random(shape) < 0.9)
    return LayerInstance(target, chip, Rules(**rules))


def row_alone(layer: LayerInstance, i: int) -> LayerInstance:
    """The layer of one of its rows."""
    target, part = layer.target, layer.target.row(i)
    one = Target(
        np.array([0, part.stop - part.start]), target.indices[part], target.weights[part], target.n_inputs,
        np.asarray(target.importance)[part],
    )  # fmt: skip
    return replace(layer, target=one)


def every_mapping(layer: LayerInstance) -> Any:
    """All mappings of a layer on free lines, at all gains."""
    gains = layer.rules.gains.values or (1.0,)
    for mapping in all_layers(replace(layer, rules=replace(layer.rules, gains=Gains()))):
        for some in itertools.product(gains, repeat=len(mapping.gain)):
            yield replace(mapping, gain=np.array(some))


def by_neurons(layer: LayerInstance, price: float = 0.0, bought: float = 0.0) -> dict[tuple[int, ...], float]:
    """The least cost of a single row on every set of neurons, each write at a price, each tunable weight at another."""
    found: dict[tuple[int, ...], float] = defaultdict(lambda: math.inf)
    for mapping in every_mapping(layer):
        writes = 0 if mapping.written is None else np.count_nonzero(~np.isnan(mapping.written))
        key = tuple(sorted(mapping.neuron_of.tolist()))
        found[key] = min(found[key], layer.value(mapping) + price * writes + bought * len(mapping.tunable))
    return found


def pair_costs(layer: LayerInstance, price: float = 0.0, bought: float = 0.0) -> np.ndarray:
    """The least cost of every row on every neuron."""
    tables = [by_neurons(row_alone(layer, i), price, bought) for i in range(layer.n_rows)]
    return np.array([[table[(j,)] for j in range(layer.hardware.n_neurons)] for table in tables])


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_pairs_of_fixed_cells_cost_what_enumeration_says(rules: dict[str, Any]) -> None:
    """At the best gain and cells; inf where the row does not fit."""
    for seed in range(3):
        layer = layer_of(seed, cells=3 - seed % 2, **rules)
        rows, neurons = (index.ravel() for index in np.indices((2, 2)))
        found = exact_costs(separable(layer), rows, neurons).reshape(2, 2)
        np.testing.assert_allclose(found, pair_costs(layer), rtol=1e-12)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_pairs_of_sums_cost_what_enumeration_says(rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """By all sets of cells and by the search; below, every connection on the best sum of all, or dropped."""
    for seed in range(2):
        layer = layer_of(seed, cells_per_weight=2, **rules)
        table, wanted = sums.SumTable.of_layer(layer, Effort()), pair_costs(layer)
        for most in (sums.MOST_OF_SETS, 0):
            monkeypatch.setattr(sums, "MOST_OF_SETS", most)
            found = np.array([[table.wired(i, j)[0] for j in range(2)] for i in range(2)])
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
        relaxed = np.zeros((2, 2))
        for j, i in itertools.product(range(2), range(2)):
            alone = row_alone(layer, i)
            cells = np.flatnonzero(layer.hardware.usable[j]).tolist()
            some = [s for n in (1, 2) for s in itertools.combinations(cells, n)]
            costs = []
            for gain in layer.rules.gains.values or ():
                total = 0.0
                for a, q in zip(alone.target.weights, np.asarray(alone.target.importance), strict=True):
                    each = [
                        q * ((a - gain * layer.hardware.weights[j, list(s)].sum()) ** 2
                             + gain**2 * layer.hardware.variance[j, list(s)].sum())
                        for s in some
                    ]  # fmt: skip
                    total += min([*each, *([q * a * a] if layer.rules.drop else [])], default=math.inf)
                costs.append(total)
            short = not layer.rules.drop and len(cells) < alone.target.n_connections
            relaxed[i, j] = math.inf if short else min(costs)
        np.testing.assert_allclose(table.bounds, relaxed, rtol=1e-12)
        assert (table.exact == np.isinf(relaxed)).all()


def test_all_sums_of_usable_cells_are_there_once() -> None:
    """Values, noise and members of every set of one to three cells, ascending."""
    rng = np.random.default_rng(1)
    chip = Hardware(rng.normal(size=(2, 5)), rng.random((2, 5)), np.array([[1, 0, 1, 1, 1], [0] * 5], bool))
    found = sums.Sums.of(chip, 0, 3)
    members = [tuple(k for k in row if k >= 0) for row in found.cells.tolist()]
    assert sorted(members) == sorted(s for n in (1, 2, 3) for s in itertools.combinations(range(4), n))
    usable = np.array([0, 2, 3, 4])
    assert found.value == pytest.approx([chip.weights[0, usable[list(s)]].sum() for s in members])
    assert found.noise == pytest.approx([chip.variance[0, usable[list(s)]].sum() for s in members])
    assert (np.diff(found.value) >= 0).all() and len(sums.Sums.of(chip, 1, 3).value) == 0
    for gain, noise in itertools.product((1.0, -0.5, 0.0), (found.noise, 0.0 * found.noise)):
        wanted = np.array([-9.0, -0.3, 0.0, found.value[3] * gain, 9.0])
        near = replace(found, noise=noise).nearest(wanted, gain)
        every = (wanted[:, None] - gain * found.value) ** 2 + gain**2 * noise
        assert near == pytest.approx(every.min(axis=1), abs=1e-15)


def menus_of(seed: int, **rules: Any) -> LayerInstance:
    """A layer whose cells are fixed, in a range or of levels, two of them a neuron."""
    layer, rng = layer_of(seed, cells=2, **rules), np.random.default_rng(seed + 50)
    return replace(layer, hardware=replace(layer.hardware, **random_menus(rng, (2, 2), "range levels fixed")))


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("price", [0.0, 0.3])
def test_pairs_of_written_cells_cost_what_enumeration_says(rules: dict[str, Any], price: float) -> None:
    """The states of cells in all ways, each write at its price; every connection on its cheapest state is below."""
    for seed in range(2):
        layer = menus_of(seed, **rules)
        table, wanted = MenuTable.priced(layer, price, Effort()), pair_costs(layer, price)
        found = np.array([[table.wired(i, j)[0] for j in range(2)] for i in range(2)])
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
        every, part = np.arange(2), slice(None)
        cheapest = np.full((2, 2), math.inf)
        for j, gain in itertools.product(range(2), layer.rules.gains.values or ()):
            least = table.costs(j, part, gain)[0].min(axis=1, initial=math.inf)
            least = np.minimum(least, table.problem.unrealised) if layer.rules.drop else least
            each = np.array([least[table.problem.row_of == i].sum() for i in every])
            fits = layer.rules.drop | (table.problem.fan_in <= layer.hardware.usable[j].sum())
            cheapest[:, j] = np.minimum(cheapest[:, j], np.where(fits, each, math.inf))
        np.testing.assert_allclose(table.bounds, cheapest, rtol=1e-12)
        np.testing.assert_allclose(table.bounds[table.exact], wanted[table.exact], rtol=1e-9)
        different = [
            (i, j) for i, j in itertools.product(every, every)
            if np.isinf(table.bounds[i, j]) or np.isclose(table.bounds[i, j], wanted[i, j], rtol=1e-12)
        ]  # fmt: skip
        assert all(table.exact[pair] for pair in different)  # ties of two cells would be no reason, and there are none
        table.bounds[:], table.exact[:] = 0.0, False
        assert table.settle(np.array([0]), np.array([1])) and table.exact[0, 1] and not table.exact[1].any()
        assert table.bounds[0, 1] == pytest.approx(wanted[0, 1], rel=1e-9)
        cost = table.exhibited(np.array([1, 0]))
        assert cost == (math.inf if price else pytest.approx(wanted[0, 1] + wanted[1, 0], rel=1e-9))


def wired_of(seed: int, **rules: Any) -> LayerInstance:
    """Two inputs, four cells a neuron that are wired to them, leaking and noisy by turns."""
    rng = np.random.default_rng(seed)
    layer = layer_of(seed, cells=4, **rules)
    own = np.array([[0, 1, 0, 1], [0, 0, 1, 1]]) if seed % 3 else np.array([[0, 0, 1, 0], [1, 1, 1, 0]])
    off = rng.normal(size=(2, 4)) * (seed % 4 > 1)
    return replace(layer, hardware=replace(layer.hardware, input=own, off=off))


@pytest.mark.parametrize(
    "rules", [*RULES.values(), {"extra_inputs": True, "drop": True}, {"extra_inputs": True, "gains": GAINS}], ids=str
)
@pytest.mark.parametrize("how", ["NumPy", "loops", "halves"])
def test_pairs_of_hard_wired_cells_cost_what_enumeration_says(
    rules: dict[str, Any], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of up to two cells of each input; by loops also with few sums sorted, and the rest gone through."""
    monkeypatch.setattr(hard_wired, "PLAIN", math.inf if how == "NumPy" else 0)
    monkeypatch.setattr(hard_wired, "SORTED", 1 if how == "halves" else 12)
    for seed in range(4):
        layer = wired_of(seed, cells_per_weight=2, **rules)
        found = hard_wired._costs(hard_wired._by_input(layer), Effort())
        np.testing.assert_allclose(found, pair_costs(layer), rtol=1e-10, atol=1e-13)
    assert np.isnan(hard_wired._costs(hard_wired._by_input(layer), Effort(steps=0.0))).all()


def test_the_nearest_sum_is_found_however_many_are_sorted() -> None:
    """Of one to three of six cells, against all sets, for few weights and for many."""
    rng = np.random.default_rng(2)
    value, noise = rng.normal(size=6), rng.random(6) / 9
    sets = [s for n in range(7) for s in itertools.combinations(range(6), n)]
    for fewest, most, count in ((0, 6, 3), (1, 3, 1), (1, 2, 40), (2, 2, 5), (0, 0, 2)):
        wanted = np.sort(rng.normal(size=count) * 2)
        allowed = [list(s) for s in sets if fewest <= len(s) <= most]
        every = np.array([(wanted - value[s].sum()) ** 2 + noise[s].sum() for s in allowed]).min(axis=0)
        for together in (0, 1, 3, 6, 9):
            found = loops.nearest_sums(wanted, value, noise, fewest, most, together)
            assert found == pytest.approx(every, rel=1e-9, abs=1e-15)
    assert np.isinf(loops.nearest_sums(np.zeros(1), value, noise, 7, 9, 3)).all()


def test_connections_that_want_one_cell_pay_for_all_but_one_of_them() -> None:
    """The loops' relaxation: the least costs, and of those in one row that want one cell all but the dearest move."""
    rng = np.random.default_rng(14)
    for seed in range(24):
        n_rows, count, noisy, drop = 2, int(rng.integers(1, 9)), seed % 2 == 1, seed % 4 > 1
        weight, value = np.sort(rng.normal(size=count)), np.sort(rng.normal(size=int(rng.integers(1, 4))))
        row_of, factor = rng.integers(0, n_rows, count), rng.uniform(0.5, 2.0, count)
        noise = rng.random() / 9 * np.ones(len(value)) if noisy else np.zeros(0)
        skip = weight**2 if drop else np.zeros(0)
        distance = (weight[:, None] - value) ** 2 + (noise if noisy else 0.0)
        wanted = distance.argmin(axis=1)
        kept = ~np.less_equal(skip, distance.min(axis=1)) if drop else np.ones(count, bool)
        sums, clashes = np.zeros(n_rows), np.zeros(n_rows, int)
        for i in range(n_rows):
            own = np.flatnonzero(row_of == i)
            sums[i] = sum(factor[e] * (distance[e].min() if kept[e] else skip[e]) for e in own)
            for _, same in itertools.groupby(own, key=lambda e: wanted[e] if kept[e] else -1 - e):
                group, moves = list(same), []
                for e in group if kept[group[0]] else []:
                    k, others = wanted[e], [math.inf]
                    if not noisy:
                        others += [distance[e, n] for n in (k - 1, k + 1) if 0 <= n < len(value)]
                    away = min([*others, *([skip[e]] if drop else []), *([distance[e, k]] if noisy else [])])
                    moves.append(factor[e] * (away - distance[e, k]) if away < math.inf else 0.0)
                clashes[i] += max(0, len(moves) - 1)
                sums[i] += sum(sorted(moves)[:-1])
        found = loops.relax(weight, row_of, factor, value, noise, 0.5 * (value[1:] + value[:-1]), skip, n_rows)
        np.testing.assert_allclose(found[0], sums, rtol=1e-12)
        assert found[1].tolist() == clashes.tolist()


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_pairs_whose_connections_may_be_bought_are_bounded(rules: dict[str, Any]) -> None:
    """At a price: never above the least cost, equal where that is claimed, for rows of equal importance too."""
    claimed = 0
    for seed in range(8):
        layer = layer_of(seed, rows=3, neurons=3, cells=2, **rules)
        if seed % 2:
            layer = replace(
                layer,
                target=replace(
                    layer.target, importance=np.repeat([0.5 * (seed % 4 == 1), 1.0, 2.0], layer.target.fan_in)
                ),
            )
        problem = replace(separable(layer), price=0.1 + 0.1 * seed)
        rows, neurons = (index.ravel() for index in np.indices((3, 3)))
        costs = exact_costs(problem, rows, neurons).reshape(3, 3)
        bounds, certain = pair_bounds(problem, Effort())
        wanted = pair_costs(replace(layer, rules=replace(layer.rules, tunable=2)), bought=problem.price)
        np.testing.assert_allclose(costs, wanted, rtol=1e-12)
        assert (bounds <= costs * (1 + 1e-12)).all() and np.allclose(bounds[certain], costs[certain], rtol=1e-12)
        claimed += int(certain[problem.uniform].sum())
    assert claimed > 8


def test_choices_apart_are_those_of_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all ways to choose, with forbidden ones, none at all, and no connections; cut short, what is shared."""
    rng = np.random.default_rng(3)
    for seed in range(30):
        n, choices, most = int(rng.integers(0, 4)), int(rng.integers(1, 6)), int(rng.integers(1, 3))
        cells = np.sort(rng.integers(-1, 4, (choices, most)), axis=1)
        table = np.where(rng.random((n, choices)) < 0.2, np.inf, rng.integers(0, 9, (n, choices)).astype(float))
        own = [{k for k in row if k >= 0} for row in cells.tolist()]
        best = math.inf
        for some in itertools.product(range(choices), repeat=n):
            if all(not own[a] & own[b] for a, b in itertools.combinations(some, 2)):
                best = min(best, math.fsum(table[e, c] for e, c in enumerate(some)))
        assert disjoint.least_apart(table, cells) == (best, True), seed
        assert disjoint.least_of_sets(table, cells, 4) == best
    monkeypatch.setattr(disjoint, "MOST_TRIED", 2)
    table = rng.random((4, 5))
    value, done = disjoint.least_apart(table, np.zeros((5, 1), np.int64))
    assert value == pytest.approx(table.min(axis=1).sum()) and not done


def test_rows_on_buses_cost_what_enumeration_says() -> None:
    """Every row on a neuron of its own at a gain, on each bus every input of its rows on a line of its own."""
    rng = np.random.default_rng(4)
    for seed in range(16):
        bus = np.array([0, 0, 1] if seed % 2 else [0, 1, 1, 0])
        rows, inputs = (3, 1) if seed % 4 > 1 else (2, 2)
        row_of, input_of = (index.ravel() for index in np.indices((rows, inputs)))
        silent = np.arange(len(row_of)) == (1 if seed % 3 == 0 else -1)
        costs = rng.random((1 + seed % 2, len(row_of), len(bus), inputs + seed % 2))
        costs[rng.random(costs.shape) < 0.1] = np.inf
        best = math.inf
        for neurons in itertools.permutations(range(len(bus)), rows):
            for gains in itertools.product(range(len(costs)), repeat=rows):
                for lines in itertools.product(itertools.permutations(range(costs.shape[3]), inputs), repeat=2):
                    total = 0.0
                    for e, (i, x) in enumerate(zip(row_of, input_of, strict=True)):
                        same = bus[np.array(neurons)[row_of]] == bus[neurons[i]]
                        heard = bool((same & (input_of == x) & ~silent).any())
                        total += costs[gains[i], e, neurons[i], lines[bus[neurons[i]]][x]] if heard else 0.0
                    best = min(best, total)
        assert buses.least_on_buses(costs, row_of, input_of, silent, bus) == pytest.approx(best)


def test_orders_are_counted() -> None:
    """Rows chosen, neurons of a bus in order, and gains; none where rows are too many."""
    bus, count = np.array([0, 1, 1, 0, 1]), 0
    for one in (0, 1):
        neurons = np.flatnonzero(bus == one).tolist()
        for rows in range(1, 4):
            for _ in itertools.product(
                itertools.combinations(range(3), rows), itertools.permutations(neurons, rows), range(2**rows)
            ):
                count += 1
    assert buses.n_orders(3, 2, bus) == count
    assert buses.n_orders(buses.MOST_ROWS + 1, 1, bus) == math.inf > buses.n_orders(buses.MOST_ROWS, 1, bus)


SETS: list[dict[str, Any]] = [
    {"neurons_per_row": 2}, {"neurons_per_row": 2, "drop": True}, {"neurons_per_row": 2, "gains": GAINS},
    {"copies": 2}, {"copies": 2, "drop": True}, {"copies": 2, "gains": GAINS, "drop": True},
]  # fmt: skip


@pytest.mark.parametrize("rules", SETS, ids=str)
def test_rows_on_sets_of_neurons_cost_what_enumeration_says(rules: dict[str, Any]) -> None:
    """Every set, exactly; each connection on its cheapest choice, and all cells for all connections, are below."""
    tight = 0
    for seed in range(2):
        layer = layer_of(seed, neurons=3, cells=2, **rules)
        rows, total = parts._Rows(layer), 0.0
        for i in range(2):
            wanted = by_neurons(row_alone(layer, i))
            for chosen in [c for n in (1, 2) for c in itertools.combinations(range(3), n)]:
                least = rows._least(i, chosen)
                assert least <= wanted[chosen] * (1 + 1e-12)
                assert np.isinf(least) == np.isinf(wanted[chosen])
                if np.isfinite(least):
                    assert rows._cost(i, chosen) == pytest.approx(wanted[chosen], rel=1e-12)
                    tight += least > wanted[chosen] * (1 - 1e-12)
            total += min(wanted.values())
        found = [value for value, _ in rows.bounds(Effort())]
        assert found[0] <= total * (1 + 1e-12) and found[-1] >= found[0]
    assert tight


def plain_relaxation(layer: LayerInstance) -> float:
    """Connections on the cheapest of all cells; of the mean of two copies between the least and the largest value."""
    chip, target, total = layer.hardware, layer.target, 0.0
    options = [
        (gain * h, gain**2 * v) for gain in layer.rules.gains.values or ()
        for h, v, usable in zip(chip.weights.ravel(), chip.variance.ravel(), chip.usable.ravel(), strict=True) if usable
    ] + [(0.0, 0.0)] * layer.rules.drop  # fmt: skip
    for a, q in zip(target.weights, np.asarray(target.importance), strict=True):
        if layer.rules.copies > 1:
            values = [value for value, _ in options]
            beyond = max(0.0, min(values) - a, a - max(values))
            total += q * (beyond**2 + min(noise for _, noise in options) / 2)
        else:
            total += q * min((a - value) ** 2 + noise for value, noise in options)
    return total


@pytest.mark.parametrize("rules", SETS, ids=str)
def test_too_many_sets_leave_connections_on_their_own(rules: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the only bound is that of every connection on the cheapest cell of all."""
    monkeypatch.setattr(parts, "MOST_SETS", 0)
    for seed in range(2):
        layer = layer_of(seed, neurons=3, cells=2, **rules)
        ((value, duals),) = parts._Rows(layer).bounds(Effort())
        assert value == pytest.approx(plain_relaxation(layer)) == duals.rows.sum() and not duals.columns.any()


KINDS: dict[str, dict[str, Any]] = {
    "layer": {"shared": False, "cells": 1},
    "sums": {"shared": False, "cells": 2},
    "lines": {"shared": True, "cells": 1},
    "hard-wired": {"shared": False, "cells": 2, "wired": True},
    "hard-wired lines": {"shared": True, "cells": 2, "wired": True},
}
EXACT = ("layer", "sums")


@pytest.mark.parametrize("kind", KINDS)
def test_no_mapping_lifts_a_bound_past_the_optimum(kind: str) -> None:
    """Whatever mapping asks: bounds are bounds, what is optimal is, what is improvable is not."""
    tried = 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        layer = random_layer(rng, tunable=0, correlated=False, **KINDS[kind])
        asked = [random_mapping(layer, rng, 20) for _ in range(2)]
        try:
            found = [(certify(layer, mapping), layer.value(mapping)) for mapping in asked if mapping is not None]
        except Refused:
            continue
        best = brute_force(layer).value if found else 0.0
        assert best is not None
        tried += len(found)
        for proof, value in found:
            worse = value > best * (1 + 1e-9) + 1e-12
            assert proof.bound <= best * (1 + 1e-12) + 1e-13
            assert not (proof.optimal and worse) and (worse or not proof.improvable)
            if kind in EXACT or kind.startswith("hard-wired"):
                assert (proof.optimal, proof.improvable) == (not worse, worse)
                assert proof.bound >= best * (1 - 1e-9) - 1e-12
    assert tried >= 8


def envelope(layer: LayerInstance) -> list[float]:
    """Of the least error with so many tunable weights or fewer, the largest convex function below it."""
    most = min(layer.rules.tunable, layer.target.n_connections)
    least = [math.inf if best is None else best[0] for best in best_layers(layer, most)]
    points = [(t, value) for t, value in enumerate(least) if value < math.inf]
    found = []
    for t in range(most + 1):
        lines = [
            a + (b - a) * (t - s) / (u - s) if u > s else a for s, a in points for u, b in points if s <= t <= u
        ]  # fmt: skip
        found.append(min([*lines, *(value for s, value in points if s <= t)], default=math.inf))
    return found


@pytest.mark.parametrize("rules", [{}, {"drop": True}, {"gains": GAINS}], ids=str)
def test_a_budget_of_tunable_weights_is_priced_at_its_best(rules: dict[str, Any]) -> None:
    """The bound is the convex envelope of the least errors, alone and where two layers share, from any mapping."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        layers, mappings, envelopes = [], [], []
        for turn in range(2):
            layer = layer_of(seed + 10 * turn, rows=2 - turn, cells=2 + turn, tunable=2 - turn, **rules)
            target, size = layer.target, 1e6 if seed == 2 else 1.0
            layer = replace(layer, target=replace(target, importance=np.asarray(target.importance) * size))
            best = brute_force(layer).solution
            if not isinstance(best, LayerMapping):
                break
            layers.append(layer)
            mappings.append(best)
            envelopes.append(envelope(layer))
            asked = [best, random_mapping(layer, rng)]
            for mapping in asked if seed else asked[:1]:
                if mapping is not None:
                    found = certify(layer, mapping)
                    assert found.bound <= envelopes[-1][-1] * (1 + 1e-12) + 1e-13
                    assert found.bound >= envelopes[-1][-1] * (1 - 1e-5) - 1e-9
                    value = layer.value(mapping)
                    assert not found.improvable
                    assert found.optimal == (value <= envelopes[-1][-1] * (1 + 1e-9) + 1e-12)
        if len(layers) == 2:
            for total in (0, 1, 2, 3):
                few = NetworkInstance(tuple(layers), (np.zeros(2), np.zeros(1)), tunable=total)
                pairs = itertools.product(*map(range, map(len, envelopes)))
                best_value = min(envelopes[0][s] + envelopes[1][t] for s, t in pairs if s + t <= total)
                if math.isfinite(best_value) and sum(len(m.tunable) for m in mappings) <= total:
                    found = certify(few, NetworkMapping(tuple(mappings)))
                    assert found.bound == pytest.approx(best_value, rel=1e-4, abs=1e-9)
                    assert found.bound <= best_value * (1 + 1e-12) + 1e-13


def test_no_assignment_of_open_places_is_cheaper() -> None:
    """The loops' assignments are SciPy's; their potentials fit, and what is left is beyond them; none is inf."""
    rng = np.random.default_rng(5)
    for rows, cols in ((1, 1), (2, 3), (3, 3), (3, 5)):
        for _ in range(6):
            table, open_ = rng.normal(size=(rows, cols)), rng.random((rows, cols)) < 0.7
            closed = np.where(open_, table, 1e6)
            value, place, potentials = (
                closed[linear_sum_assignment(closed)].sum(),
                np.zeros(rows, int),
                np.zeros((2, 9)),
            )
            left = table.copy()
            found = crossbar_loops.assigned(left, open_, place, potentials)
            if value > 1e5:
                assert found == math.inf
                continue
            assert found == pytest.approx(value)
            assert table[np.arange(rows), place].sum() == pytest.approx(value)
            assert open_[np.arange(rows), place].all() and len(set(place.tolist())) == rows
            assert (potentials[0, :cols] <= 0.0).all() and (left[open_] >= 0.0).all()
            assert (left == table)[~open_].all()
            assert left[np.arange(rows), place] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("together", [1, 2, 64])
def test_a_search_is_right_about_what_beats_its_goal(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all mappings: nothing costs less than the optimum, something less than a bit more, whatever is closed."""
    monkeypatch.setattr(crossbar_tree, "PARTS", together)
    monkeypatch.setattr(crossbar_tree, "CHUNK", 3)
    rng = np.random.default_rng(6)
    for _ in range(6):
        rows, inputs, neurons, lines = 2, int(rng.integers(1, 4)), int(rng.integers(2, 4)), 3
        wired = [(i, x) for i in range(rows) for x in range(inputs) if x == 0 or rng.random() < 0.7]
        wired += [(0, x) for x in range(inputs) if all(x != other for _, other in wired)]
        row_of, input_of = (np.array(part) for part in zip(*sorted(wired), strict=True))
        cost = rng.random((len(row_of), neurons, lines))
        cost[rng.random(cost.shape) < 0.15] = np.inf
        every = [
            math.fsum(cost[e, js[row_of[e]], ks[input_of[e]]] for e in range(len(row_of)))
            for js in itertools.permutations(range(neurons), rows)
            for ks in itertools.permutations(range(lines), inputs)
        ]  # fmt: skip
        best = min(every)
        if np.isinf(best):
            assert search(cost, row_of, input_of, 9.0, Effort()).done
            continue
        found = search(cost, row_of, input_of, best * (1 - 1e-9), Effort())
        assert (found.done, found.better, found.bound) == (True, False, best * (1 - 1e-9))
        assert 0.0 < found.rounding < 1e-9 * best + 1e-9
        spent = Effort(steps=1e9)
        assert search(cost, row_of, input_of, best * (1 - 1e-9), spent).done and spent.steps <= 1e9
        found = search(cost, row_of, input_of, best * 1.001, Effort())
        assert (found.done, found.better, found.bound) == (False, True, 0.0)
        cut = search(cost, row_of, input_of, best * (1 - 1e-9), Effort(steps=-1.0))
        assert not cut.done and not cut.better and cut.bound <= best


def test_certificates_of_infeasible_budgets_are_refused() -> None:
    """More tunable weights than there may be, one twice, or one that there is not."""
    layer = layer_of(0, cells=2, tunable=1)
    plain = brute_force(layer).solution
    assert isinstance(plain, LayerMapping) and check(layer, plain).feasible
    for tuned in ([0, 1], [0, 0], [-1], [9]):
        with pytest.raises(Refused, match="not feasible"):
            certify_budget([layer], [replace(plain, tunable=np.array(tuned))], math.inf, Effort())
