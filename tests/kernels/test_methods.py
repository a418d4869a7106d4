"""The methods behind the costs agree with each other on rows too large for brute force."""

import numpy as np
import pytest

from matchopt.kernels.banded import banded_cost, drop_cost
from matchopt.kernels.runs import nearest_cost, nearest_of_row, resolve_conflicts, shift_change
from matchopt.kernels.small_assignment import assign, workspace

NO_NOISE = np.empty(0)


def rows(rng):
    """(name, targets, cells), sorted, of the kinds that make runs long, merging, or tied."""
    n = int(rng.integers(2, 200))
    spare = int(rng.choice([0, 1, 5, 50, 500]))
    yield "gaussian", rng.standard_normal(n), rng.standard_normal(n + spare)
    yield "targets right of all cells", 10 + rng.random(n), rng.standard_normal(n + spare)
    yield "targets left of all cells", -10 - rng.random(n), rng.standard_normal(n + spare)
    yield "one spot", np.full(n, 0.1), rng.standard_normal(n + spare)
    yield "binary cells", rng.standard_normal(n), rng.choice([-1.0, 1.0], n + spare)
    yield "few levels", rng.integers(-3, 4, n) / 2, rng.integers(-3, 4, n + spare) / 2
    yield "two clusters", rng.choice([-1, 1], n) + 1e-3 * rng.random(n), np.linspace(-2, 2, n + spare)
    yield "outward", np.linspace(-2, 2, n), 0.1 * rng.standard_cauchy(n + spare)
    yield "geometric", 2.0 ** -np.arange(n), 2.0 ** -np.arange(n + spare, dtype=float)


def sorted_rows(seed):
    for name, targets, cells in rows(np.random.default_rng(seed)):
        yield name, np.sort(targets.astype(float)), np.sort(cells.astype(float))


def by_runs(w, h):
    near, conflicts = np.empty(len(w), np.int32), np.empty(len(w) + 1, np.int32)
    nearest_of_row(w, h, len(h), near)
    error, found = nearest_cost(0, len(w), w, h, near, conflicts)
    change = resolve_conflicts(0, len(w), w, h, len(h), near, conflicts, found)
    assert change >= -1e-12 * error
    return error + change, near


def by_paths(w, h, v, drop):
    near = np.empty(len(w), np.int32)
    nearest_of_row(w, h, len(h), near)
    return assign(
        0, len(w), w, np.ones(len(w)), h, v, len(h), w**2 if drop else NO_NOISE, near, workspace(len(w), len(h))
    )


@pytest.mark.parametrize("seed", range(12))
def test_runs_against_table(seed):
    """Run merging costs what dynamic programming costs, and its cells are distinct, rising and of that cost."""
    for name, w, h in sorted_rows(seed):
        cost, cells = by_runs(w, h)
        table = banded_cost(0, len(w), w, h, NO_NOISE, len(h), np.empty(len(h) + 1))
        assert cost == pytest.approx(table, rel=1e-9, abs=1e-12), name
        assert (np.diff(cells) > 0).all(), name
        assert ((w - h[cells]) ** 2).sum() == pytest.approx(table, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("seed", range(6))
def test_paths_against_tables(seed):
    """Shortest augmenting paths cost what dynamic programming costs, plain, with noise, and with dropping."""
    rng = np.random.default_rng(seed)
    for name, w, h in sorted_rows(seed):
        v = rng.random(len(h)) * rng.choice([0.0, 0.01, 1.0])
        best = np.empty(len(h) + 1)
        plain = banded_cost(0, len(w), w, h, NO_NOISE, len(h), best)
        noisy = banded_cost(0, len(w), w, h, v, len(h), best)
        dropping = drop_cost(0, len(w), w, 1.0, h, v, len(h), w * w, best)
        assert by_paths(w, h, NO_NOISE, False) == pytest.approx(plain, rel=1e-9, abs=1e-12), name
        assert by_paths(w, h, v, False) == pytest.approx(noisy, rel=1e-9, abs=1e-12), name
        assert by_paths(w, h, v, True) == pytest.approx(dropping, rel=1e-9, abs=1e-12), name
        assert dropping <= noisy * (1 + 1e-12)


def test_scratch_is_left_clean():
    """A workspace used for one row serves the next as if it were new."""
    shared = workspace(200, 700)
    for seed in range(3):
        for _, w, h in sorted_rows(seed):
            near = np.empty(len(w), np.int32)
            nearest_of_row(w, h, len(h), near)
            cost = assign(0, len(w), w, np.ones(len(w)), h, NO_NOISE, len(h), w**2, near, shared)
            assert cost == by_paths(w, h, NO_NOISE, True)


def test_shift_change():
    """The change of shifting a run is the difference of the two squared errors; at the left end there is none."""
    w, h = np.array([0.0, 1.0, 2.5]), np.array([-1.0, 0.3, 0.9, 2.0])
    before, after = ((w - h[1:]) ** 2).sum(), ((w - h[:3]) ** 2).sum()
    assert shift_change(0, 3, 1, w, h) == pytest.approx(after - before)
    assert shift_change(0, 3, 0, w, h) == np.inf


def test_conflicts_are_found():
    """A conflict is a target whose nearest cell is that of the target before."""
    w, h = np.array([-1.0, 0.1, 0.2, 0.3, 5.0, 6.0]), np.array([-1.0, 0.0, 1.0, 4.0])
    near, conflicts = np.empty(6, np.int32), np.empty(7, np.int32)
    nearest_of_row(w, h, 4, near)
    np.testing.assert_array_equal(near, [0, 1, 1, 1, 3, 3])
    error, found = nearest_cost(0, 6, w, h, near, conflicts)
    assert list(conflicts[:found]) == [2, 3, 5]
    assert error == pytest.approx(((w - h[near]) ** 2).sum())
