"""Splits of costs on shared lines, and the search for prices: recomputed cell by cell, and against known maxima."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from crossbars import MODES, VARIANTS, crossbar, optimum, variant
from layers import random_mapping
from programmable import random_layer

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Rules, Target
from matchopt.errors import Refused
from matchopt.proofs import certify, free_gains, menus
from matchopt.proofs.budget import _highest
from matchopt.proofs.certificate import Certificate
from matchopt.proofs.coupled import Coupled, coupled
from matchopt.proofs.effort import Effort
from matchopt.proofs.layer import certify_layer
from matchopt.proofs.menus import MenuTable
from matchopt.proofs.splits import Kept, bounds, rest, side_bound
from matchopt.testing import brute_force

PLAIN = [name for name in VARIANTS if "interval" not in name and "tunable" not in name]


def states(chip: Hardware, j: int, k: int, wanted: float) -> list[tuple[float, float]]:
    """What a cell can read and the variance of that: as it is, at the nearest of its range, at each of its levels."""
    found = [(chip.weights[j, k], chip.variance[j, k])]
    if not math.isnan(chip.low[j, k]):
        found.append((min(max(wanted, chip.low[j, k]), chip.high[j, k]), chip.write_variance[j, k]))
    levels = zip(chip.levels[j, k], chip.level_variance[j, k], strict=True)
    return found + [(level, spread) for level, spread in levels if not math.isnan(level)]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("leaks", [False, True])
def test_connections_cost_what_their_cells_can_do(name: str, leaks: bool) -> None:
    """On every cell the least over gains and states; silent inputs what they leak, or what they read where allowed."""
    for seed in range(2):
        layer = variant(name, seed)
        problem, target, rules = coupled(layer, leaks), layer.target, layer.rules
        chip = layer.hardware if rules.writes != 0 else layer.hardware.fixed()
        inputs = sorted(set(target.indices.tolist()))
        wired = {(i, int(x)): float(w) for i, x, w in zip(target.row_of, target.indices, target.weights, strict=True)}
        pairs = [(i, int(x)) for i, x in zip(target.row_of, target.indices, strict=True)]
        pairs += [(i, x) for i in range(layer.n_rows) for x in inputs if leaks and (i, x) not in wired]
        found = problem.costs(np.arange(len(problem.weight)))
        assert found.shape[:2] == (len(pairs), chip.n_neurons)
        rows, order = problem.item_of
        assert sorted((i, inputs[x]) for i, x in zip(rows.tolist(), order.tolist(), strict=True)) == sorted(pairs)
        for e, (j, k) in itertools.product(range(len(pairs)), itertools.product(*map(range, found.shape[1:]))):
            i, x = int(rows[e]), inputs[order[e]]
            a, q = wired.get((i, x), 0.0), float(layer.objective.diagonal(target, np.array([i]), np.array([x]))[0])
            silent, least = (i, x) not in wired, math.inf
            for gain in rules.gains.values or ():
                inside = k < chip.n_cells
                off = gain * chip.off[j, k] if inside else 0.0
                some = states(chip, j, k, a / gain) if inside and chip.usable[j, k] else []
                each = [(a - gain * h) ** 2 + gain**2 * v for h, v in some]
                if silent:
                    each = [off**2, *(each if rules.extra_inputs else [])]
                least = min([least, *each, *([a**2, (a - off) ** 2] if rules.drop else [])])
            assert found[e, j, k] == pytest.approx(q * least, rel=1e-12, abs=1e-15), (e, j, k)
        some = problem.costs(np.array([len(pairs) - 1]))
        assert (some == found[-1:]).all()
        gains = [problem.at(g).costs(np.arange(len(pairs))) for g in range(len(problem.gains))]
        assert np.allclose(np.min(gains, axis=0), found)


@pytest.mark.parametrize("mode", MODES)
def test_every_step_of_the_ascent_is_a_bound(mode: str) -> None:
    """None passes the optimum, both sides wired freely come first, and what a side keeps is enough for its bound."""
    risen = 0
    for seed in range(3):
        layer = crossbar(np.random.default_rng(seed), mode)
        best, problem = optimum(layer), coupled(layer)
        found = list(bounds(problem, Effort()))
        assert max(found) <= best * (1 + 1e-12)
        first = [_free(problem, side, best) for side in (0, 1)]
        sides = 2 if problem.shape[2] >= len(problem.items[1]) else 1
        assert found[:sides] == pytest.approx(first[:sides])
        assert list(bounds(problem, Effort(steps=-1.0))) == []
        risen += max(found) > max(first) * (1 + 1e-6)
        if sides < 2 or not np.isfinite(problem.costs(np.arange(problem.shape[0]))).all():
            continue
        for side in (0, 1):
            value, kept = side_bound(problem, side, lambda _, e, p=problem: p.costs(e), keep=True)
            assert isinstance(kept, Kept)
            costs, e = problem.costs(np.arange(problem.shape[0])), np.arange(problem.shape[0])
            held = costs - rest(problem, kept, 1 - side, e)
            again = side_bound(problem, side, lambda _, some, held=held: held[some])[0]
            assert again == pytest.approx(value) and value == pytest.approx(first[side])
            assert (rest(problem, None, side, e) == costs).all()
    assert risen or mode not in ("plain", "noise", "importance")


def _free(problem: Coupled, side: int, best: float) -> float:
    """The least that one side costs where every item chooses its place, and the others' places, for itself."""
    costs = problem.costs(np.arange(problem.shape[0]))
    items, places = problem.items[side], problem.shape[1 + side]
    least = np.zeros((len(items), places))
    for a, p in itertools.product(range(len(items)), range(places)):
        block = costs[items[a]][:, p, :] if side == 0 else costs[items[a]][:, :, p]
        ways = itertools.permutations(range(block.shape[1]), len(block))
        least[a, p] = min((sum(block[n, k] for n, k in enumerate(way)) for way in ways), default=math.inf)
    if np.isinf(least).all(axis=1).any():
        return 0.0
    ways = itertools.permutations(range(places), len(items))
    found = min(sum(least[a, p] for a, p in enumerate(way)) for way in ways)
    return 0.0 if math.isinf(found) and math.isinf(best) else found


@pytest.mark.parametrize("name", [name for name in PLAIN if "menus" not in name and "writes" not in name])
def test_no_mapping_on_lines_lifts_a_bound_past_the_optimum(name: str) -> None:
    """Whatever mapping asks: leaks, faults, gains, several buses, cells that are written."""
    tried = proved = 0
    for seed in range(2):
        layer, rng = variant(name, seed, spare=seed), np.random.default_rng(seed)
        best = brute_force(layer)
        if best.value is None or not isinstance(best.solution, LayerMapping):
            continue
        asked = [best.solution, *(found for _ in range(2) if (found := random_mapping(layer, rng, 20)) is not None)]
        for mapping in asked:
            value, found = layer.value(mapping), certify(layer, mapping)
            worse, tried = value > best.value * (1 + 1e-8) + 1e-12, tried + 1
            assert found.bound <= best.value * (1 + 1e-12) + 1e-13
            assert not (found.optimal and worse) and (worse or not found.improvable)
            proved += found.optimal or found.improvable
    assert tried
    assert proved == tried or name not in ("stuck", "two buses, stuck")


def test_mappings_that_write_too_much_or_what_cannot_be_are_refused() -> None:
    """A level that a cell has not, a value beyond its range, one write more than the limit."""
    target, levels = Target.from_dense(np.ones((1, 2))), np.array([[[0.5, np.nan], [np.nan, np.nan]]] * 2)
    low = np.array([[np.nan, -1.0]] * 2)
    chip = Hardware(np.zeros((2, 2)), levels=levels, low=low, high=low + 2.0)
    layer = LayerInstance(target, chip)
    mapping = LayerMapping.from_cells(target, np.array([0]), np.array([0, 1]))
    for written, fits in (
        ([0.5, 1.0], True), ([0.5, -1.0], True), ([np.nan, 0.2], True), ([0.4, 1.0], False), ([0.5, 1.1], False),
        ([0.5, -1.1], False),
    ):  # fmt: skip
        put = replace(mapping, written=np.array(written))
        if not fits:
            with pytest.raises(Refused, match="not feasible"):
                certify(layer, put)
            continue
        assert certify(layer, put).bound == pytest.approx(0.25, abs=1e-9)
        count = int(np.count_nonzero(~np.isnan(written)))
        for most in range(3):
            limited = replace(layer, rules=replace(layer.rules, writes=most))
            if most < count:
                with pytest.raises(Refused, match="not feasible"):
                    certify(limited, put)
            else:
                assert certify(limited, put).bound <= layer.value(put)


@pytest.mark.parametrize("seed", [1, 3])
def test_a_limit_of_writes_is_priced_at_its_best(seed: int) -> None:
    """The bound is the convex envelope of the least errors with so many writes, nearly, and never above it."""
    kinds = ("range", "levels", "range levels fixed")[seed % 3]
    layer = random_layer(3 * seed + 1, shared=False, limited=False, kinds=kinds)
    limited = [replace(layer, rules=replace(layer.rules, writes=n)) for n in range(layer.target.n_connections + 1)]
    best = [brute_force(one) for one in limited]
    points = [(n, one.value) for n, one in enumerate(best) if one.value is not None]
    for budget, (one, known) in enumerate(zip(limited[:-1], best, strict=False)):
        if not isinstance(known.solution, LayerMapping):
            continue
        pairs = [(s, a, t, b) for s, a in points for t, b in points if s <= budget < t]
        wanted = min([a + (b - a) * (budget - s) / (t - s) for s, a, t, b in pairs])
        found = certify(one, known.solution)
        assert found.bound <= wanted * (1 + 1e-12) + 1e-13
        assert found.bound >= wanted * 0.98
        assert found.optimal <= (one.value(known.solution) <= wanted * (1 + 1e-6) + 1e-12)
        assert budget or (found.optimal and found.bound == pytest.approx(points[0][1]))
    for one in (limited[0], replace(limited[1], hardware=layer.hardware.fixed())):  # nothing can be written either way
        other = random_mapping(one, np.random.default_rng(seed))
        assert other is not None
        assert certify(one, other).improvable == (one.value(other) > points[0][1] * (1 + 1e-9))


def test_a_price_is_the_least_at_which_the_budget_is_kept() -> None:
    """On the neurons of a mapping: a little lower, and more is written; 0 where nothing need be paid."""
    for seed in range(5):
        layer = random_layer(seed, shared=False, limited=False, kinds="range levels")
        mapping = brute_force(layer).solution
        if not isinstance(mapping, LayerMapping):
            continue
        table = MenuTable.priced(layer, 0.0, Effort(steps=0.0))
        assert not table.bounds.any() and not table.exact.any()

        def writes(price: float, table: MenuTable = table, mapping: LayerMapping = mapping) -> int:
            own = enumerate(mapping.neuron_of.tolist())
            return sum(replace(table, price=price).wired(i, j)[1] for i, j in own)

        for budget in range(writes(0.0) + 1):
            price = menus._price(table, mapping, budget, Effort())
            assert writes(price) <= budget
            assert price == 0.0 if writes(0.0) <= budget else writes(price * (1 - 1e-6)) > budget


@pytest.mark.parametrize("peak", [0.06, 0.5, 1.0, 1.9, 18.0])
def test_the_best_price_around_is_found(peak: float) -> None:
    """Of a function with one maximum, each price asked once; at once where a bound is optimal or effort is spent."""
    asked: list[float] = []

    def at(price: float) -> Certificate:
        asked.append(price)
        bound = 5.0 - math.log(price / peak) ** 2
        return Certificate(bound, abs(math.log(price)) < 0.4 and peak == 1.9, False, 0.0, "made up")

    start = Certificate(5.0 - math.log(peak) ** 2, False, False, 0.0, "made up")
    best = menus._sought(at, 1.0, start, Effort(), 1.0)
    assert peak == 1.9 or best.bound == max(start.bound, *(5.0 - math.log(price / peak) ** 2 for price in asked))
    if peak == 1.9:
        assert best.optimal and sum(abs(math.log(price)) < 0.4 for price in asked) == 1
    else:
        assert best.bound >= 5.0 - 1e-4 and len(asked) == len(set(asked)) == menus.SECTIONS + 1
    asked.clear()
    assert menus._sought(at, 1.0, replace(start, optimal=True), Effort(), 1.0).optimal and not asked
    assert menus._sought(at, 1.0, start, Effort(steps=1.9), 1.0) is start and not asked
    assert menus._sought(at, 1.0, start, Effort(steps=2.0), 1.0) is not None and asked


def test_where_a_concave_function_is_highest_is_found() -> None:
    """Minima of lines in a price of 0 to the most; 0 where it falls from there on."""
    rng = np.random.default_rng(12)
    for seed in range(10):
        heights, slopes = rng.random(6), rng.normal(size=6)
        slopes[0] = -1.0

        def value(p: float, heights: np.ndarray = heights, slopes: np.ndarray = slopes) -> float:
            return float((heights + slopes * p).min())

        most = 10.0 ** (seed % 3)
        grid = [0.0, *np.geomspace(1e-14 * most, most, 4000)]
        found = _highest(value, most)
        assert 0.0 <= found <= most
        assert value(found) >= max(map(value, grid)) - 1e-6
        if max(map(value, grid)) == value(0.0):
            assert found == 0.0
    assert _highest(lambda p: -p, 3.0) == 0.0 == _highest(lambda _: 1.0, 3.0)
    assert _highest(lambda p: p, 3.0) == pytest.approx(3.0)


@pytest.mark.parametrize("rounds", [1, 2, 4])
def test_optima_whose_bound_is_given_up_are_not_called_improvable(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few splits of an interval of gains: no proof, a bound, and no better mapping where there is none."""
    monkeypatch.setattr(free_gains, "ROUNDS", rounds)
    given_up = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        layer = LayerInstance(
            Target.from_dense(rng.normal(size=(2, 2))), Hardware(rng.normal(size=(3, 3))),
            Rules(gains=Gains.interval(-2.0, 3.0)),
        )  # fmt: skip
        best = brute_force(layer)
        assert isinstance(best.solution, LayerMapping) and best.value is not None
        found = certify_layer(layer, best.solution, Effort())
        assert not found.improvable and found.bound <= best.value
        assert not found.optimal or found.bound >= best.value - found.allowance
        given_up += not found.optimal
    assert given_up or rounds > 1
