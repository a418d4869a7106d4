"""Certificates of layers and networks: against all choices of neurons, with SciPy inside."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from matchopt.checker import check
from matchopt.errors import Refused
from matchopt.instances import (
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    OutputError,
    Rules,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.kernels import match_rows, pair_costs
from matchopt.proofs import certify, relaxed_bound, streamed
from matchopt.proofs import separable as taking_apart
from matchopt.proofs.effort import Effort
from matchopt.proofs.free_gains import interval_bounds, interval_costs
from matchopt.proofs.inner import exact_costs, window
from matchopt.proofs.layer import certify_layer
from matchopt.proofs.separable import pair_bounds, separable

MODES = {
    "plain": {},
    "drop": {"drop": True},
    "noise": {"noise": True},
    "noise and drop": {"noise": True, "drop": True},
    "gains": {"gains": Gains.finite(0.5, 2.0)},
    "negative and zero gains": {"gains": Gains.finite(0.0, 1.0, -1.0), "noise": True},
    "importance": {"importance": True},
    "importance, drop, noise": {"importance": True, "drop": True, "noise": True},
    "diagonal S": {"diagonal": True},
    "diagonal S and drop": {"diagonal": True, "drop": True},
    "unusable cells": {"unusable": True},
    "unusable cells, drop, gains": {"unusable": True, "drop": True, "gains": Gains.finite(1.0, -0.7)},
    "binary": {"binary": True},
    "extra inputs": {"extra_inputs": True},
}
FREE = {
    "any gain": {"gains": Gains.interval(0.5, 2.0)},
    "any gain, drop, noise": {"gains": Gains.interval(0.1, 5.0), "drop": True, "noise": True},
    "any gain, negative": {"gains": Gains.interval(-2.0, -0.1), "importance": True},
    "any gain, both signs": {"gains": Gains.interval(-1.0, 2.0)},
    "any gain, both signs, drop": {"gains": Gains.interval(-1.5, 3.0), "drop": True, "unusable": True, "noise": True},
    "any gain from 0, diagonal S": {"gains": Gains.interval(0.0, 1.0), "diagonal": True},
    "any gain, binary": {"gains": Gains.interval(0.3, 3.0), "binary": True},
    "one gain": {"gains": Gains.interval(-0.7, -0.7)},
    "any gain, far apart": {"gains": Gains.interval(1e-7, 1e3), "noise": True},
}
MODES |= FREE
NO_GAIN = {"gains": Gains.interval(0.0, 0.0), "unusable": True}


@pytest.fixture(params=["NumPy", "compiled"])
def loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The loops that large layers get, for small ones too."""
    if request.param == "compiled":
        monkeypatch.setattr(taking_apart, "LARGE", 0)
    return str(request.param)


def random_layer(rng: np.random.Generator, options: dict[str, object]) -> LayerInstance:
    """A layer of up to 3 rows, 5 neurons and 8 cells."""
    rows, inputs, cells = int(rng.integers(1, 4)), int(rng.integers(1, 6)), int(rng.integers(1, 9))
    if options.get("gains") in [mode["gains"] for mode in (*FREE.values(), NO_GAIN)]:  # all matchings are enumerated
        inputs, cells = min(inputs, 4), min(cells, 5)
    shape = (rows + int(rng.integers(0, 3)), cells)
    weights, hardware = rng.normal(size=(rows, inputs)), rng.normal(size=shape)
    if options.get("binary"):
        weights, hardware = np.sign(weights), np.sign(hardware)
    importance = rng.integers(0, 3, weights.shape).astype(float) if options.get("importance") else None
    target = Target.from_dense(weights, rng.random(weights.shape) < 0.7, importance)
    chip = Hardware(
        hardware,
        variance=0.5 * rng.random(shape) if options.get("noise") else None,
        usable=rng.random(shape) < 0.7 if options.get("unusable") else None,
    )
    names = ("drop", "gains", "extra_inputs")
    rules = Rules(**{name: options[name] for name in names if name in options})  # type: ignore[arg-type]
    moments = np.diag(rng.random(inputs) * (rng.random(inputs) < 0.8))
    return LayerInstance(target, chip, rules, OutputError(moments) if options.get("diagonal") else WeightError())


def inner(layer: LayerInstance, i: int, j: int) -> tuple[float, float, list[int]]:
    """Least cost of row i on neuron j by SciPy, its gain, and the cell of each connection (-1: dropped)."""
    target, hardware, part = layer.target, layer.hardware, layer.target.row(i)
    weights, factor = target.weights[part], target.importance[part]
    if isinstance(layer.objective, OutputError):
        factor = layer.objective.second_moments.diagonal()[target.indices[part]]
    cells, best = np.flatnonzero(hardware.usable[j]), (math.inf, 1.0, [0] * len(weights))
    if layer.rules.gains.is_interval:
        return enumerated(layer, weights, factor, j, cells)
    for gain in layer.rules.gains.values or ():
        distance = (weights[:, None] - gain * hardware.weights[j, cells]) ** 2
        cost = factor[:, None] * (distance + gain**2 * hardware.variance[j, cells])
        if layer.rules.drop:
            cost = np.hstack([cost, np.tile((factor * weights**2)[:, None], (1, len(weights)))])
        if cost.shape[1] >= len(weights):
            chosen = linear_sum_assignment(cost)
            picked = [int(cells[k]) if k < len(cells) else -1 for k in chosen[1]]
            best = min(best, (float(cost[chosen].sum()), gain, picked))
    return best


@cache
def matchings(weights: int, cells: int, drop: bool) -> np.ndarray:
    """Every way to give some (without `drop`: all) weights cells of their own; `cells` stands for none."""
    options = range(cells + 1) if drop else range(cells)
    every = [m for m in itertools.product(options, repeat=weights) if all(m.count(k) < 2 for k in m if k < cells)]
    return np.array(every, dtype=np.int64).reshape(len(every), weights)


def enumerated(
    layer: LayerInstance, weights: np.ndarray, factor: np.ndarray, j: int, cells: np.ndarray
) -> tuple[float, float, list[int]]:
    """`inner` for gains in an interval: the best gain of every matching by its parabola."""
    gains, every = layer.rules.gains, matchings(len(weights), len(cells), layer.rules.drop)
    if not len(every):
        return math.inf, 1.0, [0] * len(weights)
    value, noise = (np.append(array[j, cells], 0.0) for array in (layer.hardware.weights, layer.hardware.variance))
    h, v = value[every], noise[every]
    both, square = (factor * weights * h).sum(axis=1), (factor * (h * h + v)).sum(axis=1)
    best = np.divide(both, square, out=np.full(len(every), gains.default), where=square > 0)
    gain = np.clip(best, gains.low, gains.high)[:, None]
    cost = (factor * ((weights - gain * h) ** 2 + gain**2 * v)).sum(axis=1)
    first = int(cost.argmin())
    return float(cost[first]), float(gain[first, 0]), [int(cells[k]) if k < len(cells) else -1 for k in every[first]]


def mappings(layer: LayerInstance) -> list[tuple[float, LayerMapping]]:
    """All choices of neurons with optimal cells, cheapest first."""
    table = [[inner(layer, i, j) for j in range(layer.hardware.n_neurons)] for i in range(layer.n_rows)]
    found = []
    for neurons in itertools.permutations(range(layer.hardware.n_neurons), layer.n_rows):
        chosen = [table[i][j] for i, j in enumerate(neurons)]
        value = math.fsum(cost for cost, _, _ in chosen)
        if value < math.inf:
            cells = np.array([k for _, _, picked in chosen for k in picked], dtype=np.int64)
            gain = np.array([gain for _, gain, _ in chosen], dtype=float)
            found.append((value, LayerMapping.from_cells(layer.target, np.array(neurons), cells, gain)))
    return sorted(found, key=lambda pair: pair[0])


@cache  # for both kinds of loops
def cases(mode: str, least: int) -> list[tuple[LayerInstance, list[tuple[float, LayerMapping]]]]:
    """Random layers with the best, a middle and the worst mapping, so that at least so many are optimal."""
    rng, found = np.random.default_rng(11), []
    proved = rejected = 0
    while proved < least or rejected < least // 4:
        layer = random_layer(rng, MODES[mode])
        every = mappings(layer)
        if every:
            chosen = [every[0], every[len(every) // 2], every[-1]]
            optimal = sum(value - every[0][0] <= 1e-11 for value, _ in chosen)
            proved, rejected = proved + optimal, rejected + 3 - optimal
            found.append((layer, chosen))
    return found


class NoThreads(ThreadPoolExecutor):
    """A pool whose work is done by who asks for it."""

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:  # type: ignore[override]
        return map(work, items)


@pytest.mark.parametrize("least", [8, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", MODES)
def test_every_optimum_is_proved_and_nothing_else(
    mode: str, least: int, loops: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against brute force: the optimum is proved, others are bettered, and the bound is the optimum or below."""
    if least > 8:  # to start threads takes a third of the time, which layers that are not tiny make up for
        monkeypatch.setattr(taking_apart, "ThreadPoolExecutor", NoThreads)
    for layer, chosen in cases(mode, min(least, 50) if mode in FREE else least):  # enumeration takes its time
        best = chosen[0][0]
        assert relaxed_bound(layer) <= best
        for value, mapping in chosen:
            assert check(layer, mapping).objective == pytest.approx(value, abs=1e-12)
            found = certify(layer, mapping)
            is_optimal = value - best <= 1e-11
            assert (found.optimal, found.improvable) == (is_optimal, not is_optimal)
            assert best - 1e-11 - found.allowance <= found.bound <= best


@pytest.mark.parametrize("keep", [1, 3])
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in FREE and "gains" not in MODES[mode]])
def test_few_pairs_of_each_row_prove_as_much(mode: str, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What layers with too many pairs for a table get, against brute force; from one pair of a row on, or three."""
    monkeypatch.setattr(streamed, "FROM_PAIRS", 0)
    monkeypatch.setattr(streamed, "KEEP", keep)
    monkeypatch.setattr(streamed, "NEURONS", 2)
    for layer, chosen in cases(mode, 8):
        assert streamed.streams(separable(layer))
        for value, mapping in chosen:
            found = certify(layer, mapping)
            is_optimal = value - chosen[0][0] <= 1e-11
            assert (found.optimal, found.improvable) == (is_optimal, not is_optimal)
            assert chosen[0][0] - 1e-11 - found.allowance <= found.bound <= chosen[0][0]


@pytest.mark.parametrize("neurons", [60, 90])
@pytest.mark.parametrize("noise", [False, True])
def test_streamed_and_tabled_bounds_agree(neurons: int, noise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of crowded cells, at the optimum and elsewhere; without work to spend the bound is too low."""
    rng = np.random.default_rng(31)
    shape = (neurons, 12)
    chip = Hardware(rng.normal(size=shape), 0.1 * rng.random(shape) if noise else None)
    mask = np.argsort(rng.random((60, 20)), axis=1) < 8
    layer = LayerInstance(Target.from_dense(rng.normal(size=mask.shape), mask), chip)
    costs = pair_costs(layer.target, chip, gains=layer.rules.gains, drop=False)
    for neuron_of in (linear_sum_assignment(costs)[1], np.arange(60)):
        wired = match_rows(layer.target, chip, neuron_of, gains=layer.rules.gains, drop=False)
        mapping = LayerMapping.from_cells(layer.target, neuron_of, wired.cell_of, wired.gain)
        monkeypatch.setattr(streamed, "FROM_PAIRS", math.inf)
        table = certify(layer, mapping)
        monkeypatch.setattr(streamed, "FROM_PAIRS", 0)
        monkeypatch.setattr(streamed, "KEEP", 2)
        found = certify(layer, mapping)
        assert (found.optimal, found.improvable) == (table.optimal, table.improvable)
        assert found.bound == pytest.approx(table.bound, rel=1e-9)
        early = certify_layer(layer, mapping, Effort(steps=-1.0))
        assert not early.optimal and not early.improvable and 0.0 <= early.bound < found.bound


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in FREE])
def test_pairs_are_exact_or_bounded(mode: str, loops: str) -> None:
    """Of every pair the exact cost equals SciPy's, and the relaxed cost is below it, or equal where it says so."""
    rng = np.random.default_rng(12)
    for _ in range(8):
        layer = random_layer(rng, MODES[mode])
        problem = separable(layer)
        bounds, exact = pair_bounds(problem, Effort())
        rows, neurons = (index.ravel() for index in np.indices(bounds.shape))
        wanted = np.array([inner(layer, i, j)[0] for i, j in zip(rows, neurons, strict=True)]).reshape(bounds.shape)
        np.testing.assert_allclose(exact_costs(problem, rows, neurons).reshape(bounds.shape), wanted, atol=1e-12)
        assert (bounds <= wanted + 1e-12).all()
        np.testing.assert_allclose(bounds[exact], wanted[exact], atol=1e-12)


@pytest.mark.parametrize("mode", ["plain", "drop", "noise", "gains"])
def test_narrow_windows_lose_nothing(mode: str) -> None:
    """With many cells a weight, where the dynamic program looks at few of them, it still finds SciPy's optimum."""
    rng = np.random.default_rng(13)
    weights = rng.laplace(size=(6, 5))
    weights[:, 2:] += 0.01 * weights[:, 2:3]
    for cells in (6, 12, 40):
        chip = Hardware(rng.normal(size=(6, cells)), 0.1 * rng.random((6, cells)) if mode == "noise" else None)
        options = {name: value for name, value in MODES[mode].items() if name != "noise"}
        layer = LayerInstance(Target.from_dense(weights), chip, Rules(**options))  # type: ignore[arg-type]
        problem = separable(layer)
        rows, neurons = (index.ravel() for index in np.indices((6, 6)))
        wanted = [inner(layer, i, j)[0] for i, j in zip(rows, neurons, strict=True)]
        np.testing.assert_allclose(exact_costs(problem, rows, neurons), wanted, atol=1e-12)
    assert mode == "noise" or window(problem, 5) == 10


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in FREE and "importance" not in mode])
def test_compiled_loops_find_what_numpy_finds(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crowded cells, 20 weights on 24: the same exact costs, and relaxed ones between NumPy's and those."""
    rng = np.random.default_rng(25)
    shape, raised = (7, 24), 0
    for _ in range(3):
        options = {name: value for name, value in MODES[mode].items() if name in ("drop", "gains", "extra_inputs")}
        chip = Hardware(
            np.sign(rng.normal(size=shape)) if mode == "binary" else rng.normal(size=shape).round(1),
            0.05 * rng.random(shape) if "noise" in mode else None,
            rng.random(shape) < 0.9 if "unusable" in mode else None,
        )
        layer = LayerInstance(Target.from_dense(rng.laplace(size=(6, 20))), chip, Rules(**options))  # type: ignore[arg-type]
        rows, neurons = (index.ravel() for index in np.indices((6, 7)))
        found = []
        for large in (math.inf, 0):
            monkeypatch.setattr(taking_apart, "LARGE", large)
            problem = separable(layer)
            found.append((*pair_bounds(problem, Effort()), exact_costs(problem, rows, neurons).reshape(6, 7)))
        (low, certain, cost), (bound, exact, same) = found
        np.testing.assert_allclose(same, cost, rtol=1e-13)
        assert ((low <= bound * (1 + 1e-13)) & (bound <= cost * (1 + 1e-13))).all()
        assert (exact == certain).all()
        raised += int((bound > low * (1 + 1e-9)).sum())
    assert raised or mode not in ("plain", "drop", "gains")


def test_what_is_proved_depends_on_work_not_on_time() -> None:
    """Too little work gives the same bound every time, a valid one; the work for a proof is what it takes."""
    rng = np.random.default_rng(26)
    layer = LayerInstance(Target.from_dense(rng.normal(size=(40, 30))), Hardware(rng.normal(size=(40, 33))))
    neurons = np.arange(40)
    mapping = LayerMapping.from_cells(layer.target, neurons, np.tile(np.arange(30), 40))
    bounds = []
    for steps in (1e4, 1e6, 1e6, 1e10):
        effort = Effort(steps=steps)
        bounds.append(certify_layer(layer, mapping, effort).bound)
        assert effort.late == (steps < 1e10)
    assert bounds[0] < bounds[1] == bounds[2] < bounds[3] <= layer.value(mapping)
    untouched, exact = pair_bounds(separable(layer), Effort(steps=0.0))
    assert not untouched.any() and not exact.any()


def test_an_error_of_zero_is_proved_to_be_the_least() -> None:
    """No bound on a sum of squares is below 0, whatever rounding takes from it, and whatever time there was."""
    rng = np.random.default_rng(27)
    weights = rng.normal(size=(3, 4))
    layer = LayerInstance(Target.from_dense(weights), Hardware(weights[::-1]), Rules(gains=Gains.interval(0.5, 2.0)))
    perfect = LayerMapping.from_cells(layer.target, np.array([2, 1, 0]), np.tile(np.arange(4), 3))
    found = certify(layer, perfect)
    assert (found.optimal, found.bound) == (True, 0.0)
    crossed = replace(perfect, neuron_of=np.array([0, 1, 2]))
    assert certify(layer, crossed, seconds=1e-9).bound == 0.0 and certify(layer, crossed).improvable


def test_wrong_cells_are_seen() -> None:
    """A mapping with the right neurons and one pair of cells crossed is not proved, and is bettered."""
    rng = np.random.default_rng(14)
    layer = LayerInstance(Target.from_dense(rng.normal(size=(4, 3))), Hardware(rng.normal(size=(4, 5))))
    value, mapping = mappings(layer)[0]
    crossed = mapping.cell.copy()
    crossed[[0, 1]] = crossed[[1, 0]]
    found = certify(layer, replace(mapping, cell=crossed))
    assert (found.optimal, found.improvable) == (False, True)
    assert found.bound == pytest.approx(value, abs=1e-11)


def test_a_wrong_gain_is_seen() -> None:
    """A mapping with the right neurons and cells and one gain a thousandth off is not proved, and is bettered."""
    rng = np.random.default_rng(20)
    rules = Rules(gains=Gains.interval(0.2, 5.0))
    layer = LayerInstance(Target.from_dense(rng.normal(size=(3, 3))), Hardware(rng.normal(size=(4, 4))), rules)
    value, mapping = mappings(layer)[0]
    assert certify(layer, mapping).optimal
    found = certify(layer, replace(mapping, gain=mapping.gain * np.array([1.0, 1.001, 1.0])))
    assert (found.optimal, found.improvable) == (False, True)
    assert found.bound == pytest.approx(value, abs=1e-10)


def test_far_away_gains_are_found_or_given_up() -> None:
    """A best gain 29 decades below the largest is found; the mapping without it is bettered, and soon."""
    target = Target.from_dense(np.array([[1e-20], [1.0]]))
    rules = Rules(drop=True, gains=Gains.interval(0.0, 1.0))
    layer = LayerInstance(target, Hardware(np.array([[1e9], [2.0], [0.5]])), rules)
    for gain, optimal in ((1e-29, True), (1.0, False)):
        mapping = LayerMapping.from_cells(target, np.array([0, 1]), np.array([0, 0]), np.array([gain, 0.5]))
        begun = time.perf_counter()
        found = certify(layer, mapping)
        assert (found.optimal, found.improvable) == (optimal, not optimal)
        assert time.perf_counter() - begun < 2.0


@pytest.mark.parametrize("gains", [Gains.interval(0.5, 2.0), Gains.finite(1.0)], ids=str)
@pytest.mark.parametrize("importance", ["even", "uneven"])
def test_the_time_is_kept(gains: Gains, importance: str) -> None:
    """Wide rows, where a single batch takes a while: stopped within a second of the time given."""
    rng = np.random.default_rng(21)
    factor = rng.random((20, 200)) if importance == "uneven" else None
    target = Target.from_dense(rng.normal(size=(20, 200)), None, factor)
    layer = LayerInstance(target, Hardware(rng.normal(size=(20, 200))), Rules(gains=gains))
    mapping = LayerMapping.from_cells(target, np.arange(20), np.tile(np.arange(200), 20), np.ones(20))
    begun = time.perf_counter()
    assert certify(layer, mapping, seconds=0.3).bound <= layer.value(mapping)
    assert time.perf_counter() - begun < 2.0


def test_wire_that_only_adds_error_is_seen() -> None:
    """A wire on an extra input costs, so the mapping with it is not optimal, and the one without it is."""
    target = Target.from_dense(np.array([[1.0, 0.0]]))
    layer = LayerInstance(target, Hardware(np.array([[1.0, 0.1]])), Rules(extra_inputs=True))
    clean = LayerMapping.from_cells(target, np.array([0]), np.array([0]))
    extra = LayerMapping(np.array([0]), np.array([0, 2]), np.array([0, 1]), np.array([0, 1]))
    assert certify(layer, clean).optimal
    assert certify(layer, extra).improvable


def test_a_corrupted_cost_never_proves() -> None:
    """One assigned cell moved by 1e-6, where almost equal cells are free: never proved unless still optimal."""
    rng = np.random.default_rng(15)
    rejected = 0
    for _ in range(12):
        target = Target.from_dense(rng.normal(size=(4, 2)))
        weights = rng.normal(size=(4, 12))
        weights[:, 4:] = np.tile(weights[:, :4] * (1.0 + 1e-9), 2)  # every cell has two twins to flee to
        mapping = mappings(LayerInstance(target, Hardware(weights)))[0][1]
        j, k = int(mapping.neuron_of[0]), int(mapping.cell[0])
        weights[j, k] += math.copysign(1e-6, weights[j, k] - target.weights[0])
        corrupted = LayerInstance(target, Hardware(weights))
        objective, best = check(corrupted, mapping).objective, mappings(corrupted)[0][0]
        assert objective is not None
        found = certify(corrupted, mapping)
        assert (found.optimal, found.improvable) == (objective <= best + 1e-12, objective > best + 1e-12)
        rejected += found.improvable
    assert rejected > 8


def test_no_time_still_gives_a_valid_bound() -> None:
    """Stopped at once the bound is valid, and nothing is claimed."""
    rng = np.random.default_rng(16)
    layer = LayerInstance(Target.from_dense(rng.normal(size=(4, 3))), Hardware(rng.normal(size=(5, 4))))
    value, mapping = mappings(layer)[0]
    for seconds in (-1.0, 0.0, 1e-4):
        found = certify(layer, mapping, seconds=seconds)
        assert found.bound <= value
        assert not found.improvable


REFUSED = {
    "several-cells": LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))), Rules(cells_per_weight=2)),
    "tunable": LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))), Rules(tunable=1)),
    "correlated": LayerInstance(
        Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))), objective=OutputError(np.ones((2, 2)))
    ),
}
REFUSED["numbers beyond"] = LayerInstance(Target.from_dense(np.eye(2) * 1e200), Hardware(np.ones((2, 2))))
REFUSED["below 1e-60"] = LayerInstance(Target.from_dense(np.eye(2) * 2e-162), Hardware(np.ones((2, 2))))
REFUSED["below 1e-30"] = LayerInstance(
    Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))), Rules(gains=Gains.interval(0.0, 5e-324))
)
IDENTITY = LayerMapping(np.array([0, 1]), np.array([0, 1, 2]), np.array([0, 1]), np.array([0, 1]))


@pytest.mark.parametrize("reason", REFUSED)
def test_layers_without_a_proof_are_refused(reason: str) -> None:
    """The refusal names what stands in the way, for both bounds."""
    if reason not in ("tunable", "several-cells"):  # which have proofs of their own
        with pytest.raises(Refused, match=reason):
            certify(REFUSED[reason], IDENTITY)
    with pytest.raises(Refused, match=reason):
        relaxed_bound(REFUSED[reason])


@pytest.mark.parametrize(
    "changes",
    [
        {"neuron_of": np.array([0, 0])},
        {"neuron_of": np.array([0, 2])},
        {"cell": np.array([0, 2])},
        {"input": np.array([0, 2])},
        {"input": np.array([0, 0])},
        {"gain": np.array([1.0, 2.0])},
        {"tunable": np.array([0])},
        {"wire_indptr": np.array([0, 1, 1]), "cell": np.array([0]), "input": np.array([0])},
        {"wire_indptr": np.array([0, 2, 3]), "cell": np.array([0, 0, 1]), "input": np.array([0, 1, 1])},
    ],
)
def test_infeasible_mappings_are_refused(changes: dict[str, np.ndarray]) -> None:
    """A mapping that breaks a rule is refused with a pointer to the checker, which agrees."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))))
    broken = replace(IDENTITY, **changes)  # type: ignore[arg-type]
    assert check(layer, IDENTITY).feasible
    assert not check(layer, broken).feasible
    with pytest.raises(Refused, match="check tells"):
        certify(layer, broken)


def test_networks_add_up() -> None:
    """A network is proved when every layer is, bettered when one is, and its bound is the sum."""
    rng = np.random.default_rng(17)
    first = LayerInstance(Target.from_dense(rng.normal(size=(3, 4))), Hardware(rng.normal(size=(3, 6))))
    second = LayerInstance(Target.from_dense(rng.normal(size=(2, 3))), Hardware(rng.normal(size=(3, 4))))
    network = NetworkInstance((first, second), (np.zeros(3), np.zeros(2)))
    one, two = mappings(first), mappings(second)
    best = certify(network, NetworkMapping((one[0][1], two[0][1])))
    assert (best.optimal, best.improvable) == (True, False)
    assert best.bound == pytest.approx(one[0][0] + two[0][0], abs=1e-11)
    assert certify(network, NetworkMapping((one[0][1], two[0][1])), seconds=60.0) == best
    worse = certify(network, NetworkMapping((one[0][1], two[-1][1])))
    assert (worse.optimal, worse.improvable) == (False, True)
    loss = TaskLoss(np.zeros((1, 4)), np.array([0]))
    with pytest.raises(Refused, match="task-loss"):
        certify(replace(network, objective=loss), NetworkMapping((one[0][1], two[0][1])))
    with pytest.raises(Refused, match=r"layer 1.*tunable"):
        several = replace(second, rules=Rules(2, tunable=1))
        certify(replace(network, layers=(first, several)), NetworkMapping((one[0][1], two[0][1])))


def test_empty_layers() -> None:
    """No rows cost nothing, proved; so does a row without connections; without cells everything must be dropped."""
    nobody = LayerMapping(np.zeros(0, int), np.zeros(1, int), np.zeros(0, int), np.zeros(0, int))
    empty = LayerInstance(Target.from_dense(np.zeros((0, 2))), Hardware(np.ones((2, 2))))
    assert (certify(empty, nobody).optimal, relaxed_bound(empty)) == (True, 0.0)
    unwired = LayerMapping(np.array([1]), np.zeros(2, int), np.zeros(0, int), np.zeros(0, int))
    assert certify(LayerInstance(Target.from_dense(np.zeros((1, 2))), Hardware(np.ones((2, 2)))), unwired).optimal
    dropped = LayerInstance(Target.from_dense(np.array([[1.0, 2.0]])), Hardware(np.ones((2, 0))), Rules(drop=True))
    assert certify(dropped, unwired).optimal
    assert relaxed_bound(dropped) == pytest.approx(5.0)


@pytest.mark.parametrize("mode", [*FREE, "no gain"])
def test_pairs_with_free_gains_are_exact_or_bounded(mode: str, loops: str) -> None:
    """Bounds from a grid of gains and from splitting, against all matchings; the latter exact unless less is enough."""
    rng = np.random.default_rng(19)
    for _ in range(6):
        layer = random_layer(rng, (MODES | {"no gain": NO_GAIN})[mode])
        problem = separable(layer)
        relaxed, exact = interval_bounds(problem, Effort())
        rows, neurons = (index.ravel() for index in np.indices(relaxed.shape))
        truth = [inner(layer, i, j) for i, j in zip(rows, neurons, strict=True)]
        wanted = np.array([cost for cost, _, _ in truth])
        assert (relaxed.ravel() <= wanted).all()
        assert (exact.ravel() == np.isposinf(wanted)).all()
        found = interval_costs(problem, rows, neurons)
        assert found.exact.all()
        assert (found.bound <= wanted).all()
        np.testing.assert_allclose(found.bound, wanted, rtol=1e-11, atol=1e-11)
        enough = wanted * rng.uniform(0.0, 1.2, len(wanted))
        some = interval_costs(problem, rows, neurons, enough)
        assert (some.bound <= wanted).all()
        assert (some.exact | (some.bound >= enough)).all()
        for i, j, gain, value in zip(rows, neurons, found.gain, wanted, strict=True):
            fixed = replace(layer, rules=replace(layer.rules, gains=Gains.finite(float(gain))))
            assert layer.rules.gains.allow(float(gain)) or value == math.inf
            assert inner(fixed, i, j)[0] == pytest.approx(value, rel=1e-9, abs=1e-11)


def test_a_layer_of_lenet_is_proved_quickly() -> None:
    """300 rows of 8 weights on 300 neurons of 784 cells, and of 10: proved within seconds under all checks."""
    rng = np.random.default_rng(18)
    weights = np.zeros((300, 784))
    for i in range(300):
        weights[i, rng.permutation(784)[:8]] = rng.laplace(size=8)
    target = Target.from_dense(weights)
    for cells in (784, 10):
        layer = LayerInstance(target, Hardware(rng.normal(size=(300, cells))))
        problem = separable(layer)
        bounds, exact = pair_bounds(problem, Effort())
        rows, neurons = np.nonzero(~exact)
        bounds[rows, neurons] = exact_costs(problem, rows, neurons)
        neuron_of = linear_sum_assignment(bounds)[1]
        cell_of = np.concatenate([inner(layer, i, int(j))[2] for i, j in enumerate(neuron_of)])
        assert certify(layer, LayerMapping.from_cells(target, neuron_of, cell_of), seconds=60.0).optimal


@pytest.mark.parametrize("change", ["cell", "input", "neuron_of"])
def test_a_mapping_out_of_range_is_refused(change: str) -> None:
    """Nothing is proved of a mapping whose cells, inputs or neurons are not there."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 2))))
    good = LayerMapping(np.arange(2), np.arange(3), np.arange(2), np.arange(2))
    assert certify(layer, good).optimal
    beyond = np.array(getattr(good, change))
    beyond[0] = 2
    network = NetworkInstance((layer,), (np.zeros(2),))
    for instance, mapping in ((layer, replace(good, **{change: beyond})), (network, NetworkMapping(()))):
        with pytest.raises(Refused, match="not feasible"):
            certify(instance, mapping)
