"""`matchopt.kernels.pairs`: costs against brute force and SciPy, in every mode."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.cases import by_assignment, by_least_squares, by_permutations, cases

from matchopt import Gains, Hardware, InvalidInstance, Target
from matchopt.kernels import best_pairs, match_rows, pair_costs, pairs

ONE = Gains()


def costs(case, **options):
    return pair_costs(case.target, case.hardware, gains=case.gains, drop=case.drop, **options)


def expected(case, method):
    pairs = np.empty((case.target.n_rows, case.hardware.n_neurons))
    for i, j in np.ndindex(pairs.shape):
        pairs[i, j] = min(method(*case.row(i, j), gain, case.drop) for gain in case.gains.values)
    return pairs


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


@given(cases(most_targets=4, most_cells=5))
@settings(max_examples=80, deadline=None)
def test_brute_force(case):
    """Every cost is the least over all injections, gains and dropped sets, tried one by one."""
    close(costs(case, threads=1), expected(case, by_permutations))


@given(cases(most_targets=40, most_cells=60))
@settings(max_examples=80, deadline=None)
def test_scipy(case):
    """Every cost is what SciPy's assignment finds on the full matrix of the pair."""
    close(costs(case, threads=1), expected(case, by_assignment))


@given(cases(most_targets=20, most_cells=25), st.floats(0.0, 3.0))
@settings(max_examples=80, deadline=None)
def test_price(case, price):
    """With a price for tunable weights every cost is SciPy's, and no row lacks cells; wirings cost as much."""
    found = costs(case, price=price, threads=1)
    close(found, expected(case, lambda *pair: by_assignment(*pair, price)))
    chosen = np.zeros(case.target.n_rows, int)
    wired = match_rows(case.target, case.hardware, chosen, gains=case.gains, drop=case.drop, price=price)
    close(wired.cost, found[:, 0])
    left = wired.cell_of < 0
    squares = case.target.importance * case.target.weights**2 if case.drop else np.full(len(left), np.inf)
    error = case.target.weights - wired.gain[case.target.row_of] * np.where(
        left, 0, case.hardware.weights[0, wired.cell_of]
    )
    noise = wired.gain[case.target.row_of] ** 2 * case.hardware.variance[0, wired.cell_of]
    each = np.where(left, np.minimum(squares, price), case.target.importance * (error**2 + noise))
    close(np.bincount(case.target.row_of, each, case.target.n_rows), found[:, 0])


@given(cases(most_targets=4, most_cells=5, interval=True))
@settings(max_examples=80, deadline=None)
def test_interval_brute_force(case):
    """Over an interval of gains the cost is the least over all injections with their least-squares gain."""
    low, high = case.gains.low, case.gains.high
    wanted = np.empty((case.target.n_rows, case.hardware.n_neurons))
    for i, j in np.ndindex(wanted.shape):
        wanted[i, j] = by_least_squares(*case.row(i, j), low, high, case.drop)
    close(costs(case, threads=1), wanted)


@given(cases(most_targets=25, most_cells=40, interval=True))
@settings(max_examples=40, deadline=None)
def test_interval_against_grid(case):
    """An interval is never worse than any gain in it, and its lower end alone is the worst interval of all."""
    low, high = case.gains.low, case.gains.high
    found = costs(case, threads=1)
    grid = Gains(tuple(np.unique(np.linspace(low, high, 101))))
    on_grid = pair_costs(case.target, case.hardware, gains=grid, drop=case.drop, threads=1)
    finite = np.isfinite(on_grid)
    assert (np.isfinite(found) == finite).all()
    assert (found[finite] <= on_grid[finite] * (1 + 1e-9) + 1e-12).all()


@given(cases(most_targets=20, most_cells=30), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_invariances(case, seed):
    """Permuting cells or neurons permutes nothing but neurons; scaling both sides by s scales costs by s^2."""
    rng = np.random.default_rng(seed)
    cells, neurons = rng.permutation(case.hardware.n_cells), rng.permutation(case.hardware.n_neurons)
    h, scale = case.hardware, 4.0  # a power of two, so that scaling does not round

    def moved(array):
        return array[neurons][:, cells]

    hardware = Hardware(scale * moved(h.weights), scale**2 * moved(h.variance), moved(h.usable))
    t = case.target
    target = Target(t.indptr, t.indices, scale * t.weights, t.n_inputs, t.importance)
    found = pair_costs(target, hardware, gains=case.gains, drop=case.drop, threads=1)
    close(found, scale**2 * costs(case, threads=1)[:, neurons])


def test_threads_and_blocks():
    """The number of threads does not change a bit of the result, over several blocks of rows and of neurons."""
    rng = np.random.default_rng(5)
    target = Target.from_dense(rng.standard_normal((4500, 20)), rng.random((4500, 20)) < 0.3)
    hardware = Hardware(rng.standard_normal((41, 24)))
    one = pair_costs(target, hardware, gains=ONE, drop=False, threads=1)
    for threads in (0, 2, 5):
        np.testing.assert_array_equal(pair_costs(target, hardware, gains=ONE, drop=False, threads=threads), one)
    i, j = 4321, 40
    e = target.row(i)
    w = target.weights[e]
    h = hardware.weights[j]
    assert one[i, j] == pytest.approx(by_assignment(w, np.ones_like(w), h, np.zeros_like(h), 1.0, False))


def test_importance_override():
    """An importance given to the call replaces that of the target."""
    rng = np.random.default_rng(6)
    q = rng.random((5, 7))
    weights, hardware = rng.standard_normal((5, 7)), Hardware(rng.standard_normal((3, 9)))
    plain = Target.from_dense(weights)
    found = pair_costs(plain, hardware, gains=ONE, drop=True, importance=q.ravel(), threads=1)
    close(found, pair_costs(Target.from_dense(weights, importance=q), hardware, gains=ONE, drop=True, threads=1))
    assert not np.allclose(found, pair_costs(plain, hardware, gains=ONE, drop=True, threads=1))


def test_neurons_without_cells():
    """A neuron without a usable cell, or hardware without cells, fits only rows that are empty or dropped."""
    target = Target(np.array([0, 0, 2]), np.array([0, 1]), np.array([1.0, 2.0]), 2)
    for hardware in (Hardware(np.ones((2, 3)), usable=np.zeros((2, 3), bool)), Hardware(np.empty((2, 0)))):
        for gains in (ONE, Gains.interval(0.0, 1.0)):
            tight = pair_costs(target, hardware, gains=gains, drop=False, threads=1)
            np.testing.assert_array_equal(tight, [[0.0, 0.0], [np.inf, np.inf]])
            loose = pair_costs(target, hardware, gains=gains, drop=True, threads=1)
            np.testing.assert_array_equal(loose, [[0.0, 0.0], [5.0, 5.0]])


def test_no_rows():
    """A layer without rows has an empty cost matrix."""
    target = Target(np.array([0]), np.zeros(0, int), np.zeros(0), 3)
    assert pair_costs(target, Hardware(np.ones((2, 3))), gains=ONE, drop=False).shape == (0, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": -1}, "threads must be >= 0"),
        ({"importance": np.ones(3)}, "one value per connection, 2, found shape"),
        ({"importance": np.array([1.0, -2.0])}, "found -2.0 at connection 1"),
        ({"importance": np.array([np.nan, 1.0])}, "found nan at connection 0"),
        ({"price": -1.0}, "price must be finite and >= 0, found -1"),
        ({"price": 1.0, "gains": Gains.interval(0.5, 2.0)}, "only under a finite set of gains"),
    ],
)
def test_bad_arguments(options, message):
    """A bad argument is refused with the value that was found."""
    target = Target.from_dense(np.ones((1, 2)))
    with pytest.raises(InvalidInstance, match=message):
        pair_costs(target, Hardware(np.ones((1, 2))), **{"gains": ONE, "drop": False, **options})


@pytest.mark.parametrize("keep", [1, 5, 99])
def test_the_best_pairs_are_those_of_all(keep, monkeypatch):
    """Each row's cheapest neurons and the least cost left out, to the last digit, block after block."""
    monkeypatch.setattr(pairs, "BLOCK_NEURONS", 7)
    rng = np.random.default_rng(3)
    usable = rng.random((23, 6)) < 0.8
    target = Target.from_dense(rng.normal(size=(11, 9)) * (rng.random((11, 9)) < 0.5))
    hardware = Hardware(rng.normal(size=(23, 6)), usable=usable)
    every = pair_costs(target, hardware, gains=ONE, drop=False)
    assert np.isinf(every).any()
    found = best_pairs(target, hardware, gains=ONE, drop=False, keep=keep)
    size = min(keep, 23)
    np.testing.assert_array_equal(np.take_along_axis(every, found.neuron, axis=1), found.cost)
    np.testing.assert_array_equal(np.sort(found.cost, axis=1), np.sort(every, axis=1)[:, :size])
    np.testing.assert_array_equal(found.left, np.sort(np.pad(every, ((0, 0), (0, 1)), constant_values=np.inf))[:, size])
    assert all(len(set(row)) == size for row in found.neuron.tolist())


def test_pairs_of_the_neurons_that_there_was_time_for(monkeypatch):
    """Stopped at any look, some neurons are missing, what is there is right, and nothing is said of the others."""
    monkeypatch.setattr(pairs, "BLOCK_NEURONS", 7)
    rng = np.random.default_rng(4)
    target, hardware = Target.from_dense(rng.normal(size=(5, 3))), Hardware(rng.normal(size=(20, 4)))
    every, seen = pair_costs(target, hardware, gains=ONE, drop=False), []
    for most in (0, 3, 9, 99):
        looks = iter(range(most))
        stop = partial(lambda left: next(left, None) is None, looks)
        found = best_pairs(target, hardware, gains=ONE, drop=False, keep=20, threads=1, stop=stop)
        known = np.isfinite(found.cost)
        np.testing.assert_array_equal(np.take_along_axis(every, found.neuron, axis=1)[known], found.cost[known])
        seen.append(int(known.sum()))
        assert (found.left == (np.inf if most == 99 else 0.0)).all()
    assert seen[0] == 0 < seen[1] < seen[2] < seen[3] == 100
