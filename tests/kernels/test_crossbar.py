"""`Crossbar`: tables stay what a recomputation gives, swaps cost what they say, values are the layer's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crossbars import MODES, crossbar
from layers import random_menus
from scipy.optimize import linear_sum_assignment

from matchopt import Hardware, InvalidInstance, LayerInstance, LayerMapping, Rules, Target, check
from matchopt.kernels import Crossbar
from matchopt.kernels.crossbar_costs import LEAKING
from matchopt.kernels.dense_assignment import Paths, place

SEEDS = range(3)


def search(layer: LayerInstance, seed: int) -> Crossbar:
    """A search of the layer, its one gain taken into the hardware's weights."""
    (gain,) = layer.rules.gains.values or (1.0,)
    chip = layer.hardware
    chip = Hardware(gain * chip.weights, gain**2 * chip.variance, chip.usable, gain * chip.off, chip.bus)
    importance = layer.objective.importance(layer.target)
    return Crossbar(layer.target, chip, np.random.default_rng(seed), importance=importance, drop=layer.rules.drop)


def recomputed(search: Crossbar) -> tuple[np.ndarray, np.ndarray]:
    """Both tables from the present neurons and lines, connection by connection, in double precision."""
    board, state = search._problem.board, search._state
    chip, kind, (price, tuned) = board.chip, board.kind, state.prices.astype(float)
    cells, none = chip.weights.astype(float), np.zeros(chip.weights.shape)
    noise, barred, off = (part.astype(float) if part.size else none for part in (chip.noise, chip.barred, chip.off))
    rows, cols = np.zeros(state.rows.shape), np.zeros(state.cols.shape)
    silent, more = np.zeros(cols.shape), np.full(cols.shape, np.inf)  # a line is driven once somebody listens to it
    for i in range(len(rows)):
        for x in range(state.cols.shape[1]):
            e = [n for n in range(board.row_start[i], board.row_start[i + 1]) if board.row_input[n] == x]
            costs = board.driven[x] * off**2
            if e:
                w, q = float(board.row_weight[e[0]]), float(board.row_factor[e[0]])
                costs = q * ((w - cells) ** 2 + noise) + barred
                for low, high, spread in zip(chip.low, chip.high, chip.spread, strict=True):
                    written = q * ((w - np.clip(w, low, high)) ** 2 + spread) + barred + price
                    costs = np.minimum(costs, written)
                here = board.bus_of[state.neuron[i]], x
                more[here] = np.minimum(
                    more[here], np.maximum(0.0, costs - np.minimum(q * (w - off) ** 2, tuned))[state.neuron[i]]
                )
                silent[here] += min(q * w**2, tuned)
                costs = np.minimum(costs, np.minimum(q * (w - off) ** 2 if kind % 2 else np.inf, tuned))
            every = np.arange(len(cells))
            rows[i] += costs[every, state.line[board.bus_of, x]]
            cols[board.bus_of[state.neuron[i]], x] += costs[state.neuron[i]]
    return rows, np.minimum(cols + more, silent) if kind == LEAKING + 1 else cols


def agrees(found: Crossbar) -> None:
    """The tables of a search are those recomputed, and so is its cost."""
    rows, cols = recomputed(found)
    state = found._state
    np.testing.assert_allclose(state.rows, rows, rtol=2e-5, atol=1e-4)
    used = state.used > 0
    np.testing.assert_allclose(state.cols[used], cols[used], rtol=2e-5, atol=1e-4)
    if found._problem.board.kind <= LEAKING:
        assert found.cost == pytest.approx(rows[np.arange(len(rows)), state.neuron[: len(rows)]].sum(), rel=1e-5)
    else:
        chosen = np.take_along_axis(cols, state.line[:, : cols.shape[1], None].astype(int), axis=2)[:, :, 0]
        assert found.cost == pytest.approx(chosen[used].sum(), rel=1e-5)


@pytest.mark.parametrize("mode", [*MODES, "leak, drop", "buses", "menus", "menus, leak, drop"])
def test_tables_follow_every_move(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After scans, perturbed assignments and descents the tables are those of the mapping there is."""
    monkeypatch.setitem(MODES, "leak, drop", {"leak": True, "drop": True})
    monkeypatch.setitem(MODES, "buses", {"noise": True})
    monkeypatch.setitem(MODES, "menus", {"unusable": True})
    monkeypatch.setitem(MODES, "menus, leak, drop", {"leak": True, "drop": True})
    for seed in SEEDS:
        layer = crossbar(np.random.default_rng(seed), mode, 9)
        if mode == "buses":
            chip = layer.hardware
            bus = np.random.default_rng(seed).integers(0, 3, chip.n_neurons)
            layer = LayerInstance(layer.target, Hardware(chip.weights, chip.variance, bus=bus))
        found = search(layer, seed)
        if "menus" in mode:
            menus = random_menus(np.random.default_rng(seed), layer.hardware.weights.shape, "range levels fixed")
            chip = replace(layer.hardware, **menus)
            found = Crossbar(layer.target, chip, np.random.default_rng(seed), drop=layer.rules.drop, tunable=True)
            found.charge(0.1, 0.6)
        agrees(found)
        moves = [lambda s: s.anneal(5, 0.3, 0.9), lambda s: s.perturb(5, 0.3, 0.9), lambda s: s.descend(2)]
        for move in (*moves, lambda s: s.join(), *moves):
            for _ in range(4):
                move(found)
                agrees(found)
            assert sorted(found._state.neuron.tolist()) == [*range(layer.hardware.n_neurons)]
            for line in found._state.line:
                assert sorted(line.tolist()) == [*range(found.n_lines)]
        assert found.best_cost <= found.cost + 1e-4
        found.resume()
        assert found.cost == pytest.approx(found.best_cost, rel=1e-5)


@pytest.mark.parametrize("drop", [False, True])
def test_tables_changed_by_what_moved_are_those_recomputed(drop: bool) -> None:
    """After hundreds of rounds and scans in which rows are patched, odd numbers of connections too, as after each."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        target = Target.from_dense(rng.normal(size=(12, 12)), rng.random((12, 12)) < 0.6)
        found = Crossbar(target, Hardware(rng.normal(size=(20, 18)), bus=np.zeros(20, int)), rng, drop=drop)
        found.patch()
        most = 0
        for move in (found.perturb, found.anneal):
            for scans in (1, 1, 1, 300, 1):
                move(scans, 0.05 * found.unit)
                agrees(found)
                most = max(most, int(found._state.patched_rows.max()), int(found._state.patched_cols.max()))
        assert 1 < most <= 100
        found.resume()
        agrees(found)


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("spare", [0, 3])
def test_no_joint_move_is_left_after_a_descent(drop: bool, spare: int) -> None:
    """No heavy connection is better off with both ends elsewhere, unless what makes place is connected with it."""
    improved = 0
    for seed in range(6):
        rng = np.random.default_rng([seed, spare])
        wanted = rng.laplace(size=(9, 9)) * (rng.random((9, 9)) < 0.25)
        cells = rng.normal(size=(9 + spare, 9 + spare))
        target = Target.from_dense(wanted)
        found = Crossbar(target, Hardware(cells, bus=np.zeros(len(cells), int)), rng, drop=drop)
        found.descend()
        apart = found.best_cost
        found.join()
        found.descend()
        found.resume()
        assert found.best_cost <= apart
        improved += found.best_cost < apart - 1e-6
        agrees(found)
        neuron, line = found._state.neuron.astype(int), found._state.line[0].astype(int)
        inputs, joint = found._problem.inputs, found._joint
        values = wanted[:, inputs]

        def cost(neuron: Any, line: Any, values: Any = values, cells: Any = cells) -> float:
            errors = (values - cells[neuron[:9]][:, line[: values.shape[1]]]) ** 2
            return float((np.minimum(errors, values**2) if drop else errors)[values != 0].sum())

        here = cost(neuron, line)
        linked = np.pad(values != 0, ((0, spare), (0, len(cells) - len(inputs))))
        scale = (values[values != 0] ** 2).sum() / (found._problem.board.row_weight.astype(float) ** 2).sum()
        for i, x in np.argwhere(values**2 / scale >= float(joint.heavy) * 1.001):
            for a in range(len(neuron)):
                for b in range(len(line)):
                    if not (linked[a, x] or linked[i, b] or linked[a, b]) and i != a and x != b:
                        there, beside = neuron.copy(), line.copy()
                        there[[i, a]], beside[[x, b]] = neuron[[a, i]], line[[b, x]]
                        assert cost(there, beside) >= here - 1e-5 * here
    assert improved > 0


@pytest.mark.slow
def test_joint_moves_reach_what_none_reaches_in_as_many_rounds() -> None:
    """At twice the lines and neurons, drops allowed: a smaller error on each of three layers, a tenth on average."""
    shares = []
    for seed in SEEDS:
        rng = np.random.default_rng([seed, 40])
        target = Target.from_dense(rng.laplace(size=(40, 40)) * (rng.random((40, 40)) < 0.1))
        hardware, best = Hardware(rng.normal(size=(80, 80)), bus=np.zeros(80, int)), []
        for joined in (False, True):
            found = Crossbar(target, hardware, np.random.default_rng(seed), drop=True)
            if joined:
                found.join()
            hot = 0.3 * found.unit
            found.perturb(4000, hot, 0.1 ** (1 / 4000))
            found.descend()
            best.append(found.best_cost)
        shares.append(best[1] / best[0])
    assert max(shares) < 1.0
    assert np.mean(shares) < 0.92


def test_other_costs_are_never_patched() -> None:
    """With importances, noise, cells out of use or leaks `patch` changes no answer."""
    for mode in ("importance, noise, drop", "unusable", "leak"):
        layer = crossbar(np.random.default_rng(2), mode, 9)
        plain, patched = search(layer, 0), search(layer, 0)
        patched.patch()
        for each in (plain, patched):
            each.perturb(50, 0.1 * each.unit)
        assert plain.best_cost == patched.best_cost
        assert not patched._state.patched_rows[patched._state.patched_rows < 100].any()


def test_a_swap_changes_the_cost_by_its_four_loads() -> None:
    """R[a, s_b] + R[b, s_a] - R[a, s_a] - R[b, s_b], spare neurons included, is what the recomputed cost changes by."""
    found = search(crossbar(np.random.default_rng(5), "importance, noise, drop", 8), 0)
    state = found._state
    rows, m = recomputed(found)[0], len(state.rows)
    before = rows[np.arange(m), state.neuron[:m]].sum()
    for a, b in ((0, 3), (2, 7), (5, 8)):
        at = state.neuron.copy()
        delta = state.rows[a, at[b]] - state.rows[a, at[a]]
        delta += state.rows[b, at[a]] - state.rows[b, at[b]] if b < m else 0.0
        at[[a, b]] = at[[b, a]]
        assert rows[np.arange(m), at[:m]].sum() - before == pytest.approx(float(delta), abs=1e-4)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "leak"])
def test_the_best_is_worth_what_the_checker_says(mode: str) -> None:
    """The mapping is feasible and worth `value`, before and after polishing, which never makes it worse."""
    kept = 0
    for seed in SEEDS:
        layer = crossbar(np.random.default_rng(seed), mode, 6)
        found = search(layer, seed)
        found.anneal(50, 1.0, 0.9)
        before = found.value()
        found.polish()
        assert found.value() <= before
        if np.isfinite(before):
            neuron_of, cell_of = found.best()
            gain = np.full(layer.n_rows, layer.rules.gains.default)
            report = check(layer, LayerMapping.from_cells(layer.target, neuron_of, cell_of, gain))
            assert report.feasible
            assert report.objective == pytest.approx(found.value(), rel=1e-12)
            kept += 1
    assert kept


def test_a_start_is_taken_over() -> None:
    """A search that starts from a mapping of several buses holds it."""
    rng = np.random.default_rng(3)
    target, chip = Target.from_dense(rng.normal(size=(4, 3))), Hardware(rng.normal(size=(6, 4)), bus=[0, 1, 0, 1, 1, 0])
    first = Crossbar(target, chip, rng)
    first.perturb(20, 0.5, 0.8)
    neuron_of, cell_of = first.best()
    second = Crossbar(target, chip, np.random.default_rng(9))
    second.start(neuron_of, cell_of)
    assert second.cost == pytest.approx(first.best_cost, rel=1e-5)


def test_nothing_to_wire_is_refused() -> None:
    """Without a connection there is nothing to search, and the sentence says so."""
    with pytest.raises(InvalidInstance, match="needs a connection, and a neuron for each row"):
        Crossbar(Target.from_dense(np.zeros((2, 2))), Hardware(np.ones((2, 2))), np.random.default_rng(0))


@pytest.mark.parametrize("ties", [True, False])
def test_dense_assignments_are_optimal(ties: bool) -> None:
    """Of the same value as SciPy's, square and wide, with many equal costs or none."""
    rng = np.random.default_rng(0)
    for n_rows, n_cols in ((1, 1), (1, 5), (6, 6), (7, 20), (40, 40), (30, 90)):
        paths = Paths.of(n_cols)
        for _ in range(20):
            cost: Any = rng.integers(0, 4, (n_rows, n_cols)) if ties else rng.random((n_rows, n_cols))
            cost = cost.astype(np.float32)
            place(cost, n_rows, n_cols, paths)
            chosen, rows = paths.col_of[:n_rows], np.arange(n_rows)
            assert len(set(chosen.tolist())) == n_rows
            best = cost[linear_sum_assignment(cost)].sum(dtype=float)
            assert cost[rows, chosen].sum(dtype=float) == pytest.approx(best, rel=1e-5)


def test_large_numbers_and_small_ones_are_searched_alike() -> None:
    """Costs are counted in units of the weights: a layer in siemens gets the same mapping as one in volts."""
    rng = np.random.default_rng(1)
    weights, cells = rng.normal(size=(5, 5)), rng.normal(size=(6, 6))
    answers = []
    for scale in (1.0, 2.0**-40, 2.0**300):
        layer = LayerInstance(
            Target.from_dense(weights * scale), Hardware(cells * scale, bus=np.zeros(6, int)), Rules()
        )
        found = search(layer, 4)
        found.perturb(50, 0.1 * found.unit, 0.95)
        answers.append([part.tolist() for part in found.best()])
    assert answers[0] == answers[1] == answers[2]
