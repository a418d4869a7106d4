"""`CellPlacement`: costs are those of the places returned, moves only improve, and small cases reach the optimum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt import Gains, Hardware, InvalidInstance, Target
from matchopt.kernels import CellPlacement, Places, RowErrors, Scales, pair_costs

seeds = st.integers(0, 2**32 - 1)
RANGES = (Scales(), Scales(0.5), Scales(0.5, 2.0), Scales(-1.0, 1.0), Scales(1e-6, 1e6, 0.01, 1.0))


def problem(
    seed: int, rows: int = 4, inputs: int = 7, cells: int = 4, fixed: bool | None = False
) -> tuple[RowErrors, Hardware]:
    """Random rows with correlated inputs, on noisy hardware with one cell of ten unusable (none where `fixed`).

    Where `fixed` is None weights are wanted, but no input is required.
    """
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(inputs, 3 * inputs))
    moments = samples @ samples.T / samples.shape[1]
    support = np.argsort(rng.random((rows, inputs)), axis=1) < cells - 1
    wanted = rng.normal(size=(rows, inputs)) * support
    linear, constant = wanted @ moments, np.einsum("ix,xy,iy->i", wanted, moments, wanted)
    errors = RowErrors(
        moments, linear, constant, rng.random(inputs), support if fixed else None, None if fixed is False else wanted
    )
    usable = np.ones((rows + 2, cells), bool) if fixed else rng.random((rows + 2, cells)) < 0.9
    return errors, Hardware(rng.normal(size=usable.shape), variance=0.1 * rng.random(usable.shape), usable=usable)


def recomputed(
    errors: RowErrors, hardware: Hardware, neuron_of: np.ndarray, found: Places, scales: Scales
) -> np.ndarray:
    """The cost of every row from the definition, and the rules that places must keep."""
    costs = []
    for i, j in enumerate(neuron_of.tolist()):
        weights, noise = np.zeros((2, errors.linear.shape[1]))
        for k, x in enumerate(found.input_of[i].tolist()):
            if x >= 0:
                assert hardware.usable[j, k]
                assert weights[x] == 0.0
                weights[x], noise[x] = hardware.weights[j, k], hardware.variance[j, k]
        if errors.required is not None:
            assert (weights[errors.required[i]] != 0.0).all()
        u, power = found.scale[i], errors.power
        assert scales.low <= u <= scales.high
        assert power is not None
        square = weights @ errors.moments @ weights + power @ noise
        error = errors.constant[i] - 2 * u * errors.linear[i] @ weights + u**2 * square
        costs.append(error + scales.pull * errors.constant[i] * (u - scales.around) ** 2)
    return np.array(costs)


def of_type(errors: RowErrors, kind: type) -> RowErrors:
    """The same errors, counted in another type of float."""
    arrays = (errors.moments, errors.linear, errors.constant, errors.power)
    return RowErrors(*(np.asarray(a, kind) for a in arrays), errors.required, errors.wanted)


def best_cost(errors: RowErrors, hardware: Hardware, i: int, places: np.ndarray, scales: Scales) -> float:
    """The error of row i on neuron i with its cells on these places, at the best scale, from the definition."""
    weights, noise = np.zeros((2, errors.linear.shape[1]))
    used = places >= 0
    weights[places[used]], noise[places[used]] = hardware.weights[i, used], hardware.variance[i, used]
    assert errors.power is not None
    pull = scales.pull * errors.constant[i]
    a = errors.linear[i] @ weights + pull * scales.around
    q = weights @ errors.moments @ weights + errors.power @ noise + pull
    u = np.clip(a / max(q, 1e-300), scales.low, scales.high)
    return float(errors.constant[i] + pull * scales.around**2 - 2 * u * a + u * u * q)


@pytest.mark.parametrize("scales", RANGES, ids=str)
@pytest.mark.parametrize("fixed", [False, True, None])
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_costs_are_those_of_the_places(scales: Scales, fixed: bool, seed: int) -> None:
    """What the moves added up is what the places cost, no worse than the start, and further kicks never raise it."""
    errors, hardware = problem(seed, fixed=fixed)
    search, neuron_of = CellPlacement(hardware), np.arange(4)[::-1].copy()
    plain = search.improve(errors, neuron_of, scales)
    tolerance = 1e-9 * (1.0 + errors.constant.max())
    np.testing.assert_allclose(
        plain.cost, recomputed(errors, hardware, neuron_of, plain, scales), rtol=0, atol=tolerance
    )
    costs = search.costs(errors, scales)
    np.testing.assert_allclose(costs[np.arange(4), neuron_of], plain.cost, rtol=0, atol=tolerance)
    kicked = search.improve(errors, neuron_of, scales, start=plain.input_of, kicks=20, seed=seed % 1000)
    assert (kicked.cost <= plain.cost + tolerance).all()
    np.testing.assert_allclose(
        kicked.cost, recomputed(errors, hardware, neuron_of, kicked, scales), rtol=0, atol=tolerance
    )


def best_places(errors: RowErrors, cells: np.ndarray, noise: np.ndarray) -> float:
    """The least cost of row 0 on these cells over all places, by enumeration."""
    inputs = errors.linear.shape[1]
    assert errors.power is not None
    best = float(errors.constant[0])
    for at in itertools.product(range(-1, inputs), repeat=len(cells)):
        used = [x for x in at if x >= 0]
        if len(set(used)) < len(used):
            continue
        weights, variance = np.zeros((2, inputs))
        for k, x in enumerate(at):
            if x >= 0:
                weights[x], variance[x] = cells[k], noise[k]
        square = weights @ errors.moments @ weights + errors.power @ variance
        best = min(best, float(errors.constant[0] - 2 * errors.linear[0] @ weights + square))
    return best


def test_kicks_reach_the_optimum_of_small_rows() -> None:
    """With 200 kicks, 30 random rows of 3 cells and 5 inputs all end at the enumerated optimum."""
    for seed in range(30):
        errors, hardware = problem(seed, rows=1, inputs=5, cells=3)
        found = CellPlacement(hardware).improve(errors, np.zeros(1, int), kicks=200, seed=1)
        usable = hardware.usable[0]
        best = best_places(errors, hardware.weights[0, usable], hardware.variance[0, usable])
        assert found.cost[0] == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("scales", RANGES, ids=str)
@pytest.mark.parametrize("single", [False, True])
def test_a_descent_ends_where_no_cell_gains_by_a_move(scales: Scales, single: bool) -> None:
    """No cell alone, moved to any other input or to none, lowers the error of its row: no such move was ruled out."""
    for seed in range(8):
        errors, hardware = problem(seed, inputs=30, cells=9, fixed=None)
        on = np.arange(len(errors.linear))
        search = CellPlacement(hardware, single=single)
        found = search.improve(of_type(errors, np.float32) if single else errors, on, scales)
        for i, k in itertools.product(on, range(9)):
            if not hardware.usable[i, k]:
                continue
            free = sorted({*range(30)} - {*found.input_of[i].tolist()})
            for x in [*free, -1]:
                moved = found.input_of.copy()
                moved[i, k] = x
                cost = best_cost(errors, hardware, i, moved[i], scales)
                assert cost > found.cost[i] - (1e-4 if single else 1e-9) * errors.constant[i]


def test_permuted_neurons_and_threads_change_nothing() -> None:
    """Costs follow their neurons, and two threads find what one finds."""
    errors, hardware = problem(1, rows=40, inputs=12, cells=5)
    costs = CellPlacement(hardware).costs(errors)
    order = np.random.default_rng(0).permutation(hardware.n_neurons)
    moved = Hardware(hardware.weights[order], hardware.variance[order], hardware.usable[order])
    np.testing.assert_array_equal(CellPlacement(moved, threads=2).costs(errors), costs[:, order])


def test_only_the_given_inputs_and_neurons_are_used() -> None:
    """A row keeps to its inputs; neurons that are not listed cost inf."""
    errors, hardware = problem(2)
    inputs = np.array([[0, 1, -1], [2, 3, 4], [5, -1, -1], [0, 6, -1]])
    search = CellPlacement(hardware)
    found = search.improve(errors, np.arange(4), inputs=inputs)
    for i in range(4):
        assert set(found.input_of[i].tolist()) <= {-1, *inputs[i].tolist()}
    few = search.costs(errors, neurons=np.array([[0, -1], [1, 2], [3, -1], [2, 0]]))
    assert np.isfinite(few).sum(axis=1).tolist() == [1, 2, 1, 2]


def test_single_precision_agrees() -> None:
    """Single precision gives the same costs to six digits of the rows' constants."""
    errors, hardware = problem(3)
    found = CellPlacement(hardware, single=True).improve(of_type(errors, np.float32), np.arange(4))
    np.testing.assert_allclose(
        found.cost, recomputed(errors, hardware, np.arange(4), found, Scales()), atol=1e-5 * errors.constant.max()
    )
    with pytest.raises(InvalidInstance, match="float32"):
        CellPlacement(hardware, single=True).costs(errors)


def test_rows_that_need_more_cells_than_there_are_cost_inf() -> None:
    """Required inputs that do not fit are no pair."""
    errors, hardware = problem(4, fixed=True)
    short = Hardware(hardware.weights[:, :2])
    assert np.isinf(CellPlacement(short).costs(errors)).all()
    assert np.isinf(CellPlacement(short).improve(errors, np.arange(4)).cost).all()


def test_required_inputs_need_an_order() -> None:
    """Without wanted weights required inputs cannot be placed."""
    with pytest.raises(InvalidInstance, match="wanted"):
        RowErrors(np.eye(2), np.ones((1, 2)), np.ones(1), required=np.ones((1, 2), bool))


def test_a_stop_leaves_rows_at_inf() -> None:
    """Once stopped, the rows left over cost inf."""
    errors, hardware = problem(5)
    assert np.isinf(CellPlacement(hardware).costs(errors, stop=lambda: True)).all()


@given(seed=seeds, cells=st.integers(1, 9), turned=st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_search_begins_near_the_weights_that_are_wanted(seed: int, cells: int, turned: bool) -> None:
    """Where inputs are not correlated the places that it begins with are the best matching, so it ends no worse."""
    rng = np.random.default_rng(seed)
    wanted = rng.normal(size=(3, 6)) * (rng.random((3, 6)) < 0.8)
    hardware = Hardware(rng.normal(size=(3, cells)), usable=rng.random((3, cells)) < 0.9)
    gains = Gains.finite(-0.5) if turned else Gains()
    errors = RowErrors(np.eye(6), wanted, np.einsum("ix,ix->i", wanted, wanted), wanted=wanted)
    least = pair_costs(Target.from_dense(wanted, wanted != 0), hardware, gains=gains, drop=False)
    found = CellPlacement(hardware, factor=-0.5 if turned else 1.0).costs(errors)
    fits = (wanted != 0).sum(axis=1)[:, None] <= hardware.n_usable
    assert (found[fits] <= least[fits] * (1 + 1e-9) + 1e-12).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neuron_of": np.array([0, 3])}, r"neuron_of must be in 0 \.\. 2, found 0 \.\. 3"),
        ({"neuron_of": np.array([-1, 0])}, r"neuron_of must be in 0 \.\. 2, found -1 \.\. 0"),
        ({"neuron_of": np.array([0])}, r"neuron_of must have shape \(2,\), found \(1,\)"),
        ({"inputs": np.array([[0, 5], [0, 1]])}, r"inputs must be in -1 \.\. 4, found 0 \.\. 5"),
        ({"start": np.full((2, 4), 5)}, r"start must be in -1 \.\. 4, found 5 \.\. 5"),
        ({"neurons": np.array([[0, 3], [0, 1]])}, r"neurons must be in -1 \.\. 2, found 0 \.\. 3"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    """Compiled loops would read and write beside their arrays: an author's process died of it."""
    errors = RowErrors(np.eye(5), np.ones((2, 5)), np.ones(2))
    search = CellPlacement(Hardware(np.ones((3, 4))))
    with pytest.raises(InvalidInstance, match=message):
        if "neurons" in change:
            search.costs(errors, **change)
        else:
            search.improve(errors, change.pop("neuron_of", np.array([2, 0])), **change)
