"""The public assignment call: every engine, costs of every kind, and what it refuses."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt import AssignmentInstance, InvalidInstance, InvalidOption, MissingExtra, assign
from matchopt.kernels import assignment
from matchopt.testing import brute_force

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("engine", ["scipy", "lap", "auto"])
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


@pytest.mark.parametrize("engine", ["scipy", "lap"])
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


@pytest.mark.parametrize("engine", ["scipy", "lap"])
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
    with pytest.raises(InvalidOption, match="auto, scipy or lap, found 'auction'"):
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
