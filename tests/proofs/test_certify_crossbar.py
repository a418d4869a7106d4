"""Certificates of layers whose neurons share lines: never above the optimum, from any split whatever."""

import numpy as np
import pytest
from crossbars import MODES, crossbar, optimum
from matchopt_crossbar import Exact, Perturbation
from matchopt_crossbar.ascent import Ascent, fits
from scipy.optimize import linear_sum_assignment

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, Limits, Rules, Target, check
from matchopt.errors import Refused
from matchopt.proofs import buses, certify, kept_bound, smoothing, split_bound
from matchopt.proofs.coupled import coupled
from matchopt.proofs.crossbar_tree import search
from matchopt.proofs.effort import Effort
from matchopt.proofs.splits import potentials

CASES = [pytest.param(mode, seed, id=f"{mode} {seed}") for mode in MODES for seed in range(3)]


def solved(layer: LayerInstance) -> LayerMapping | None:
    """The best mapping, None where there is none."""
    return Exact(rounds=20).solve(layer, Limits(), np.random.default_rng(0)).solution


@pytest.mark.parametrize(("mode", "seed"), CASES)
def test_no_certificate_passes_the_optimum(mode: str, seed: int) -> None:
    """The bound is that of enumeration at most, above 0 where the optimum is, and optimal is true where claimed."""
    layer = crossbar(np.random.default_rng(seed), mode)
    best, mapping = optimum(layer), solved(layer)
    assert (mapping is None) == np.isinf(best)
    if mapping is not None:
        found = certify(layer, mapping)
        assert 0.2 * best < found.bound <= best
        assert not found.improvable and 0.0 < found.allowance <= 1.01e-9 * max(1.0, best)
        other = LayerMapping.from_cells(layer.target, mapping.neuron_of[::-1], _cells(layer, mapping), mapping.gain)
        if not found.optimal or mode in ("unusable", "leak"):
            return
        assert found.bound == pytest.approx(best)
        if layer.value(other) > best * 1.001 and "drop" not in mode:
            assert not certify(layer, other).optimal


def _cells(layer: LayerInstance, mapping: LayerMapping) -> np.ndarray:
    cell_of = np.full(layer.target.n_connections, -1)
    for i in range(layer.n_rows):
        where = dict((x, k) for k, x in mapping.wires(i))
        part = layer.target.row(i)
        cell_of[part] = [where.get(x, -1) for x in layer.target.indices[part].tolist()]
    return cell_of


@pytest.mark.parametrize("mode", MODES)
def test_small_optima_are_proved_and_nothing_else(mode: str) -> None:
    """By branch and bound: the optimum of enumeration; a mapping that costs more is seen to be improvable."""
    for seed in range(6):
        layer = crossbar(np.random.default_rng(100 + seed), mode, 3 + seed % 2)
        best, mapping = optimum(layer), solved(layer)
        if mapping is None:
            continue
        found = certify(layer, mapping)
        assert found.optimal and found.bound <= best <= found.bound + found.allowance
        worse = swapped(layer, mapping)
        if worse is not None and layer.value(worse) > best * 1.001:
            found = certify(layer, worse)
            assert found.improvable and not found.optimal and found.bound <= best


def swapped(layer: LayerInstance, mapping: LayerMapping) -> LayerMapping | None:
    """The first two rows on each other's neurons, where their cells allow it."""
    neuron_of = mapping.neuron_of.copy()
    neuron_of[:2] = neuron_of[1::-1]
    other = LayerMapping.from_cells(layer.target, neuron_of, _cells(layer, mapping), mapping.gain)
    return other if check(layer, other).feasible else None


def test_what_is_no_optimum_of_gains_or_leaks_is_not_called_improvable() -> None:
    """Costs are relaxed there, so that a sum of them below a mapping's says nothing about mappings."""
    rng = np.random.default_rng(5)
    for rules, off in ((Rules(gains=Gains.finite(0.5, 2.0)), None), (Rules(drop=True), rng.normal(size=(4, 4)))):
        target = Target.from_dense(rng.normal(size=(4, 3)))
        layer = LayerInstance(target, Hardware(rng.normal(size=(4, 4)), off=off, bus=np.zeros(4, int)), rules)
        mapping = LayerMapping.from_cells(
            target, np.arange(4), np.tile(np.arange(3), 4), np.full(4, rules.gains.default)
        )
        found = certify(layer, mapping)
        assert not found.improvable and not found.optimal and found.bound <= layer.value(mapping)


def test_bounds_that_stay_at_zero_leave_work_for_the_search() -> None:
    """Wired freely, cells that leak and are all equal cost nothing; that they do cost something on lines is proved."""
    chip = Hardware(np.ones((2, 2)), bus=np.zeros(2, int), off=np.full((2, 2), 0.1))
    layer = LayerInstance(Target.from_dense(np.eye(2)), chip)
    mapping = solved(layer)
    assert mapping is not None and layer.value(mapping) == pytest.approx(0.02)
    assert certify(layer, mapping).optimal


def test_a_search_that_is_cut_short_bounds_what_is_left() -> None:
    """With work for some nodes only: no proof, and a bound on what is left, not above the optimum."""
    layer = crossbar(np.random.default_rng(2), "plain", 9, 0.5)
    mapping = solved(layer)
    assert mapping is not None
    problem = coupled(layer)
    row_of, input_of = layer.target.row_of, np.unique(layer.target.indices, return_inverse=True)[1]
    costs, value = problem.costs(np.arange(len(row_of))), layer.value(mapping)
    cut = search(costs, row_of, input_of, value * (1 - 1e-9), Effort(steps=3e7))
    assert not cut.done and not cut.better and 0.0 < cut.bound < value
    whole = search(costs, row_of, input_of, value * (1 - 1e-9), Effort())
    assert whole.done and cut.bound <= whole.bound
    assert search(costs, row_of, input_of, value * 1.01, Effort()).better


@pytest.mark.parametrize("mode", ["plain", "drop", "importance, noise, drop", "diagonal S", "unusable", "leak"])
def test_any_split_is_a_bound(mode: str) -> None:
    """Random shares, all for the rows, none for them: nothing passes the optimum; nonsense is refused."""
    rng = np.random.default_rng(8)
    for seed in range(3):
        layer = crossbar(np.random.default_rng(seed), mode)
        best, costs = optimum(layer), coupled(layer).costs(np.arange(layer.target.n_connections))
        finite = np.where(np.isinf(costs), 0.0, costs)
        splits = [finite, np.zeros_like(finite), rng.random(finite.shape) * finite, rng.normal(size=finite.shape)]
        bounds = [split_bound(layer, split) for split in splits]
        assert max(bounds) <= best
        assert min(bounds[:2]) >= 0.0 and max(bounds[:3]) > 0.0
        for wrong in (finite[1:], np.full_like(finite, np.inf)):
            with pytest.raises(Refused, match="a split has finite shares"):
                split_bound(layer, wrong)


def test_the_solvers_bound_follows_from_its_multipliers_alone() -> None:
    """What the ascent says of its split, the proof finds in it, without having seen how it came about."""
    for mode in ("plain", "drop", "importance, noise, drop"):
        layer = crossbar(np.random.default_rng(4), mode, 6)
        if not fits(layer):
            continue
        ascent = Ascent(layer)
        for _ in range(5):
            ascent.step()
        found = kept_bound(layer, *ascent.kept)
        assert found >= ascent.bound() * (1.0 - 1e-9)
        assert split_bound(layer, ascent.split) == pytest.approx(found, rel=1e-9)
        price, fare = ascent.kept
        with pytest.raises(Refused, match="finite values of shapes"):
            kept_bound(layer, price[:, 1:], fare[:, :, 1:])


def test_the_ascent_beats_free_wiring() -> None:
    """On a layer of twelve rows the certificate is better than both sides wired freely, and short time gives less."""
    layer = crossbar(np.random.default_rng(2), "plain", 12, 0.3)
    mapping = solved(layer)
    assert mapping is not None
    costs = coupled(layer).costs(np.arange(layer.target.n_connections))
    free = max(split_bound(layer, share) for share in (costs, np.zeros_like(costs)))
    found = [certify(layer, mapping, seconds=seconds).bound for seconds in (None, 0.0)]
    assert found[0] > 1.1 * free
    assert 0.0 <= found[1] <= found[0]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "noise", "unusable, drop", "importance, noise, drop"])
def test_smooth_steps_prove_more(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the ascent alone gets stuck, smooth steps go on by several percent, and never past a mapping."""
    layer = crossbar(np.random.default_rng(0), mode, 20, 0.2)
    mapping = Perturbation(rounds=50).solve(layer, Limits(), np.random.default_rng(0)).solution
    smooth = certify(layer, mapping).bound
    monkeypatch.setattr(smoothing, "SMOOTH_STEPS", 0)
    assert 1.04 * certify(layer, mapping).bound < smooth <= layer.value(mapping)


def test_several_buses_are_bounded_by_free_routing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where lines are shared by some only, the bound is that of rows wired freely; more where all orders are tried."""
    rng = np.random.default_rng(0)
    target, cells = Target.from_dense(rng.normal(size=(4, 3))), rng.normal(size=(6, 4))
    shared = LayerInstance(target, Hardware(cells, bus=np.array([0, 1, 0, 2, 1, 2])))
    free = LayerInstance(target, Hardware(cells))
    mapping = LayerMapping.from_cells(target, np.arange(4), np.tile(np.arange(3), 4))
    best = LayerMapping.from_cells(target, *_freely(free))
    tried = certify(shared, mapping)
    monkeypatch.setattr(buses, "MOST_ROWS", 0)
    assert certify(shared, mapping).bound == pytest.approx(free.value(best))
    assert tried.bound > free.value(best)


def _freely(layer: LayerInstance) -> tuple[np.ndarray, np.ndarray]:
    from matchopt import Gains, match_rows, pair_costs

    costs = pair_costs(layer.target, layer.hardware, gains=Gains(), drop=False)
    rows = linear_sum_assignment(costs)[1]
    return rows, match_rows(layer.target, layer.hardware, rows, gains=Gains(), drop=False).cell_of


def test_potentials_are_valid_and_tight() -> None:
    """u + v is below every block, v below 0, and their sum is the value of the assignment, forbidden pairs included."""
    rng = np.random.default_rng(1)
    for rows, cols in ((1, 1), (2, 5), (4, 4), (6, 9)):
        blocks = rng.normal(size=(8, rows, cols))
        blocks[rng.random(blocks.shape) < 0.1] = np.inf
        u, v = potentials(blocks)
        assert (v <= 0.0).all()
        assert (u[:, :, None] + v[:, None, :] <= blocks + 1e-12).all()
        for block, value in zip(blocks, u.sum(axis=1) + v.sum(axis=1), strict=True):
            try:
                best = block[linear_sum_assignment(block)].sum()
            except ValueError:
                continue
            assert value == pytest.approx(best)


BAD = {
    "a line with two inputs": ([0, 1], [0, 1, 1, 0]),
    "a neuron twice": ([1, 1], [0, 1, 0, 1]),
    "an unrealised connection": ([0, 1], [0, -1, 0, 1]),
}


@pytest.mark.parametrize("name", BAD)
def test_an_infeasible_mapping_has_no_certificate(name: str) -> None:
    """Whoever asks is sent to the checker."""
    neuron_of, cell_of = BAD[name]
    target = Target.from_dense(np.array([[1.0, 2.0], [3.0, 4.0]]))
    layer = LayerInstance(target, Hardware(np.ones((2, 2)), bus=np.zeros(2, int)))
    mapping = LayerMapping.from_cells(target, np.array(neuron_of), np.array(cell_of))
    with pytest.raises(Refused, match=r"matchopt\.check tells why"):
        certify(layer, mapping)


def test_gains_of_an_interval_have_no_certificate_on_shared_lines() -> None:
    """Refused by name."""
    target, chip = Target.from_dense(np.ones((2, 2))), Hardware(np.ones((2, 2)), bus=np.zeros(2, int))
    mapping = LayerMapping.from_cells(target, np.arange(2), np.array([0, 1, 0, 1]))
    with pytest.raises(Refused, match="gain-interval"):
        certify(LayerInstance(target, chip, Rules(gains=Gains.interval(0.5, 2.0))), mapping)
    several = LayerInstance(target, chip, Rules(gains=Gains.finite(0.5, 1.0)))
    assert certify(several, mapping).bound == 0.0 == several.value(mapping)


def test_what_proofs_run_can_be_compiled_ahead() -> None:
    """`python -m matchopt.proofs` proves a layer by each of the compiled loops, whatever they come to take."""
    from matchopt.proofs import crossbar_loops, loops
    from matchopt.proofs.__main__ import compile_all

    compile_all()
    loaded = (loops.relax, loops.in_order, loops.wired_costs, crossbar_loops.search)
    assert all(each.signatures for each in loaded)
