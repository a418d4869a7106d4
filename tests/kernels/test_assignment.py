"""The public assignment call: every engine, costs of every kind, and what it refuses."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from matchopt import AssignmentInstance, InvalidInstance, InvalidOption, MissingExtra, assign
from matchopt.kernels import assignment, sparse_paths
from matchopt.kernels.augmenting import shortest_paths
from matchopt.testing import brute_force

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("engine", ["scipy", "lap", "compiled", "auto"])
@given(seed=seeds, whole=st.booleans())
@settings(deadline=None, max_examples=25)
def test_equals_enumeration(engine: assignment.Engine, seed: int, whole: bool) -> None:
    """The optimum, on floats with forbidden pairs and on integers; None exactly where enumeration finds nothing."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 6))
    shape = (rows, rows + int(rng.integers(0, 3)))
    cost = rng.integers(-9, 9, shape) if whole else rng.normal(size=shape)
    if not whole:
        cost[rng.random(shape) < 0.3] = math.inf
    best, found = brute_force(AssignmentInstance(cost)), assign(cost, engine=engine)
    if best.solution is None:
        assert found is None
        return
    assert found is not None and len(set(found.tolist())) == rows
    assert cost[np.arange(rows), found].sum() == pytest.approx(best.value)


def test_sizes_without_a_choice() -> None:
    """No rows need no column, more rows than columns have no assignment; truth values and lists are costs too."""
    assert assign(np.zeros((0, 3))).tolist() == []  # type: ignore[union-attr]
    assert assign(np.zeros((3, 2))) is None and assign(np.zeros((2, 0))) is None
    assert assign([[True, False], [False, False]]).tolist() == [1, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ["scipy", "lap", "compiled"])
def test_integers_beside_a_large_one_stay_exact(engine: assignment.Engine) -> None:
    """A constant of 2^62 in every cost does not round the differences away; a spread that would is refused."""
    cost = 2**62 + np.array([[1, 2], [1, 4]])
    assert assign(cost, engine=engine).tolist() == [1, 0]  # type: ignore[union-attr]
    with pytest.raises(InvalidInstance, match=r"integers from 0 to 4611686018427387904 are too far apart"):
        assign(np.array([[0, 2**62]]), engine=engine)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_integers_of_every_size(dtype: str) -> None:
    """Their full range, though differences of these do not fit the type."""
    most, least = np.iinfo(dtype).max, np.iinfo(dtype).min
    cost = np.array([[most, least, most], [least, 0, 1], [0, most, 2]], dtype)
    assert assign(cost).tolist() == [1, 0, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ["scipy", "lap", "compiled"])
def test_costs_near_the_largest_float(engine: assignment.Engine) -> None:
    """Sums that would overflow do not turn allowed pairs into forbidden ones."""
    assert assign(1.7e308 * np.array([[1.0, -1.0], [-1.0, 1.0]]), engine=engine).tolist() == [1, 0]  # type: ignore[union-attr]


def test_what_is_refused() -> None:
    """NaN, -inf, what are no real numbers, one axis, an unknown engine."""
    for strange in ([[1j]], [["1"]], [[None]], [[2**70]]):
        with pytest.raises(InvalidInstance, match="must hold real numbers, found type"):
            inspect.unwrap(assign)(strange)
    with pytest.raises(InvalidInstance, match="no -inf"):
        assign([[-math.inf, 0.0]])
    with pytest.raises(InvalidInstance, match="no NaN"):
        assign([[math.nan]])
    with pytest.raises(InvalidInstance, match=r"two axes.*\(3,\)"):
        assign(np.zeros(3))
    with pytest.raises(InvalidOption, match="auto, compiled, scipy or lap, found 'auction'"):
        inspect.unwrap(assign)([[1.0]], engine="auction")  # past the type checks of this suite


def test_without_lapx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine "auto" does without, "lap" names the pip command."""
    monkeypatch.setattr(assignment, "find_lap", lambda: None)
    assert assign([[1.0]], engine="auto").tolist() == [0]  # type: ignore[union-attr]
    with pytest.raises(MissingExtra, match=r"lapx.*matchopt\[engines\]"):
        assign([[1.0]], engine="lap")


@pytest.mark.parametrize("answer", [lambda cost: 1 / 0, lambda cost: np.array([0, -1]), lambda cost: np.array([0])])
def test_a_failing_lap_hands_over_to_scipy(monkeypatch: pytest.MonkeyPatch, answer: object) -> None:
    """Where the engine of lapx gives up or places too few, scipy's decides."""

    def fails(cost: np.ndarray) -> np.ndarray:
        try:
            return answer(cost)  # type: ignore[no-any-return, operator]
        except ZeroDivisionError:
            raise ValueError("cost matrix is infeasible") from None

    monkeypatch.setattr(assignment, "find_lap", lambda: fails)
    assert assign([[1.0, 2.0], [1.0, 4.0]], engine="lap").tolist() == [1, 0]  # type: ignore[union-attr]


def families(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Square costs of every kind that engines find easy or hard."""
    count = np.arange(1.0, n + 1.0)
    return {
        "layer": ((rng.standard_normal((n, 1, 8)) - np.sort(rng.standard_normal((n, 8)))) ** 2).sum(axis=2),
        "uniform": rng.random((n, n)),
        "integers": rng.integers(1, 101, (n, n)).astype(float),
        "product": np.outer(count, count),
        "equal": np.zeros((n, n)),
        "binary": rng.integers(0, 2, (n, n)).astype(float),
        "orders of magnitude": 10.0 ** rng.integers(0, 12, (n, n)),
        "negative": -rng.random((n, n)) - 7.0,
    }


@pytest.mark.parametrize("spare", [0, 30])
def test_the_compiled_engines_prove_every_family(spare: int) -> None:
    """Columns and prices of both forms prove the same optimum as SciPy's, from no prices and from those of others."""
    rng, n = np.random.default_rng(5), 130
    for name, whole in families(rng, n).items():
        cost = whole[: n - spare]
        rows = np.arange(len(cost))
        best = cost[linear_sum_assignment(cost)].sum()
        starts, cols = n * np.arange(len(cost) + 1), np.tile(np.arange(n), len(cost))
        prices: list[np.ndarray | None] = [None, -rng.random(n)]
        for price in prices:
            for found in (shortest_paths(cost, price), sparse_paths(starts, cols, cost.ravel(), n, price)):
                assert found is not None
                column, price_of = found
                assert len(set(column.tolist())) == len(cost), name
                assert cost[rows, column].sum() == pytest.approx(best, rel=1e-12), name
                assert price_of.max() <= 0.0 and not price_of[np.setdiff1d(np.arange(n), column)].any(), name
                bound = (cost - price_of).min(axis=1).sum() + price_of.sum()
                assert bound == pytest.approx(best, rel=1e-9), name


def test_listed_pairs_without_an_assignment() -> None:
    """Two rows that share one column, a row without any, and no rows at all."""
    one = np.ones(2)
    assert sparse_paths(np.array([0, 1, 2]), np.array([1, 1]), one, 3) is None
    assert sparse_paths(np.array([0, 2, 2]), np.array([0, 1]), one, 3) is None
    found = sparse_paths(np.array([0]), np.zeros(0, int), np.zeros(0), 2)
    assert found is not None and found[0].size == 0 and not found[1].any()


def test_listed_pairs_are_left_when_told_so() -> None:
    """Whoever asks to stop before the first path gets none; where no row is left to a path nobody is asked."""
    starts, cols, cost = np.arange(0, 26, 5), np.tile(np.arange(5), 5), np.outer(np.arange(5.0), np.arange(5)).ravel()
    assert sparse_paths(starts, cols, cost, 5) is not None
    assert sparse_paths(starts, cols, cost, 5, stop=lambda: True) is None
    assert sparse_paths(starts[:2], cols[:5], cost[:5], 5, stop=lambda: True) is not None


def test_auto_takes_the_compiled_engine_for_large_matrices() -> None:
    """From 2^14 pairs on, lapx or not."""
    assert assignment.engine_for(2**14) == "compiled" and assignment.engine_for(2**14 - 1) != "compiled"
