"""Assignments and programs: construction, messages, parts, digests."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.checker import check
from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances import Assignment, AssignmentInstance, Parts, ProgramInstance, ProgramPoint

DENSE = AssignmentInstance(np.array([[1.0, np.inf, 3.0], [4.0, 5.0, 6.0]]))
SPARSE = AssignmentInstance(np.array([1.0, 3.0, 4.0, 5.0, 6.0]), np.array([0, 2, 5]), np.array([0, 2, 0, 1, 2]), 3)
PROGRAM = ProgramInstance(
    np.array([1.0, 2.0]), np.array([0, 2]), np.array([0, 1]), np.ones(2), np.array([1.0]), np.array([np.inf])
)

Make = Callable[[], object]
BROKEN: dict[str, tuple[Make, str]] = {
    "cost nan": (lambda: AssignmentInstance(np.array([[1.0, np.nan]])), "found nan at position 0, 1"),
    "cost -inf": (lambda: AssignmentInstance(np.array([[-np.inf]])), "found -inf at position 0, 0"),
    "cost a vector": (lambda: AssignmentInstance(np.ones(3)), "cost must have 2 dimension"),
    "cost text": (lambda: AssignmentInstance(np.array([["a"]])), "cost"),
    "tall": (lambda: AssignmentInstance(np.ones((3, 2))), "3 rows need as many columns, found 2; transpose it"),
    "columns disagree": (lambda: AssignmentInstance(np.ones((2, 2)), n_cols=3), "n_cols is 3, but cost has 2"),
    "indices missing": (lambda: AssignmentInstance(np.ones(1), np.array([0, 1])), "both indptr and indices"),
    "pair twice": (lambda: AssignmentInstance(np.ones(2), np.array([0, 2]), np.array([1, 1]), 2), "1 is repeated"),
    "column out of range": (lambda: AssignmentInstance(np.ones(1), np.array([0, 1]), np.array([2]), 2), "2 is not in"),
    "costs too few": (lambda: AssignmentInstance(np.ones(1), np.array([0, 2]), np.array([0, 1]), 2), "shape"),
    "coefficient nan": (lambda: replace(PROGRAM, coefficients=np.array([1.0, np.nan])), "coefficients must be finite"),
    "cost infinite": (lambda: replace(PROGRAM, cost=np.array([np.inf, 1.0])), "cost must be finite"),
    "row bounds too many": (lambda: replace(PROGRAM, row_low=np.zeros(2)), "row_low must have shape"),
    "row bound nan": (lambda: replace(PROGRAM, row_high=np.array([np.nan])), "row_high must be a number"),
    "lower bound +inf": (lambda: replace(PROGRAM, low=np.array([np.inf, 0.0])), "low must be a number or an open end"),
    "upper bound -inf": (lambda: replace(PROGRAM, high=np.array([0.0, -np.inf])), "found -inf at position 1"),
    "integral numbers": (lambda: replace(PROGRAM, integral=np.ones(2)), "integral must hold bool"),
    "offset nan": (lambda: replace(PROGRAM, offset=float("nan")), "offset must be finite"),
    "name twice": (lambda: replace(PROGRAM, variable_names=("a", "a")), "distinct words, found 'a'"),
    "name with a space": (lambda: replace(PROGRAM, row_names=("a b",)), "distinct words, found 'a b'"),
    "names too few": (lambda: replace(PROGRAM, variable_names=("a",)), "variable_names must have 2 names, found 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_data_is_refused(case: str) -> None:
    """What is no instance raises InvalidInstance, and the sentence names the field and what was found."""
    make, message = BROKEN[case]
    with pytest.raises(InvalidInstance, match=message):
        make()


def test_broken_solutions_are_refused() -> None:
    """Columns must be whole numbers, a point finite."""
    with pytest.raises(InvalidSolution, match=r"col_of must hold whole numbers, found 0.5"):
        Assignment(np.array([0.5]))
    with pytest.raises(InvalidSolution, match=r"col_of must fit 64-bit integers, found -1e\+300"):
        Assignment(np.array([0.0, -1e300]))
    with pytest.raises(InvalidSolution, match="x must be finite, found nan at position 1"):
        ProgramPoint(np.array([0.0, np.nan]))


def test_integers_stay_integers() -> None:
    """Integer costs are kept as int64, floats as float64; only the first are integral."""
    assert AssignmentInstance(np.array([[2**62]])).cost[0, 0] == 2**62
    assert AssignmentInstance(np.array([[1]], dtype=np.uint8)).is_integral
    assert not AssignmentInstance(np.array([[1.0]])).is_integral


def test_dense_and_sparse_say_the_same() -> None:
    """Rows, the expanded table and values agree between the two forms."""
    for i in range(2):
        for dense, sparse in zip(DENSE.row(i), SPARSE.row(i), strict=True):
            np.testing.assert_array_equal(dense, sparse)
    np.testing.assert_array_equal(DENSE.dense, SPARSE.dense)
    assert (DENSE.n_rows, DENSE.n_cols, SPARSE.n_rows, SPARSE.n_cols) == (2, 3, 2, 3)
    assert (SPARSE.is_sparse, SPARSE.n_pairs, DENSE.n_pairs) == (True, 5, 6)
    for columns in ([0, 1], [2, 0], [1, 0]):
        assert DENSE.value(Assignment(np.array(columns))) == SPARSE.value(Assignment(np.array(columns)))
    assert DENSE.value(Assignment(np.array([1, 0]))) == np.inf


def test_a_zero_cost_is_a_pair() -> None:
    """A listed cost of 0 is a cost, not a missing pair."""
    instance = AssignmentInstance(np.zeros(1), np.array([0, 1]), np.array([0]), 1)
    assert instance.value(Assignment(np.array([0]))) == 0.0
    assert check(instance, Assignment(np.array([0]))).objective == 0.0


def test_large_sparse_is_not_expanded() -> None:
    """Expanding beyond the limit is refused instead of filling the memory."""
    n = 20_000
    instance = AssignmentInstance(np.zeros(n), np.arange(n + 1), np.arange(n), n)
    with pytest.raises(InvalidInstance, match="too many to expand"):
        _ = instance.dense


def test_program_defaults_and_names() -> None:
    """Variables are >= 0 and continuous by default; names are made where none are given."""
    assert PROGRAM.low.tolist() == [0.0, 0.0]
    assert PROGRAM.high.tolist() == [np.inf, np.inf]
    assert not PROGRAM.integral.any()
    assert (PROGRAM.row_name(0), PROGRAM.variable_name(1)) == ("r0", "x1")
    named = replace(PROGRAM, row_names=("sum",), variable_names=("a", "b"))
    assert (named.row_name(0), named.variable_name(1)) == ("sum", "b")
    assert PROGRAM.value(ProgramPoint(np.array([1.0, 1.0]))) == 3.0


def test_crossed_bounds_are_legal() -> None:
    """Crossed bounds are data of an infeasible program, not an error."""
    crossed = replace(PROGRAM, low=np.array([2.0, 0.0]), high=np.array([1.0, 1.0]))
    assert not check(crossed, ProgramPoint(np.array([1.5, 0.0]))).feasible


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_parts_round_trip(seed: int, integral: bool, sparse: bool) -> None:
    """Assignments and programs, with their solutions, keep their digest through their parts."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(-9, 9, (2, 3)) if integral else rng.normal(size=(2, 3))
    instance = AssignmentInstance(cost)
    if sparse:
        instance = AssignmentInstance(cost.ravel(), np.array([0, 3, 6]), np.tile(np.arange(3), 2), 3)
    again = AssignmentInstance.from_parts(instance.parts())
    assert (again.digest, again.is_sparse, again.is_integral) == (instance.digest, sparse, integral)
    columns = Assignment(rng.permutation(3)[:2])
    assert Assignment.from_parts(columns.parts()).digest == columns.digest
    program = replace(
        PROGRAM,
        cost=rng.normal(size=2),
        offset=float(rng.normal()),
        integral=rng.random(2) < 0.5,
        variable_names=("a", "b") if integral else None,
        row_names=("r",) if sparse else None,
    )
    again_program = ProgramInstance.from_parts(program.parts())
    assert again_program.digest == program.digest
    assert again_program.variable_names == program.variable_names
    point = ProgramPoint(rng.normal(size=2))
    assert ProgramPoint.from_parts(point.parts()).digest == point.digest
    assert program.value(point) == pytest.approx(float(program.cost @ point.x) + program.offset, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_fast_value_is_the_checkers_objective(seed: int, integral: bool, sparse: bool) -> None:
    """On feasible solutions the fast value and the checker agree, dense and sparse."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(-99, 99, (4, 5)) if integral else rng.normal(size=(4, 5))
    if sparse:
        instance = AssignmentInstance(cost.ravel(), np.arange(0, 21, 5), np.tile(np.arange(5), 4), 5)
    else:
        instance = AssignmentInstance(cost)
    columns = Assignment(rng.permutation(5)[:4])
    report = check(instance, columns)
    assert report.feasible
    assert report.objective == pytest.approx(instance.value(columns), rel=1e-12, abs=1e-12)
    assert isinstance(report.objective, int) == integral


def test_digest_tells_apart() -> None:
    """Types, shapes and forms are part of the content; an offset or a name is too."""
    forms = [
        DENSE,
        SPARSE,
        AssignmentInstance(np.array([[1, 2]])),
        AssignmentInstance(np.array([[1.0, 2.0]])),
        PROGRAM,
        replace(PROGRAM, offset=1.0),
        replace(PROGRAM, integral=np.array([True, False])),
        replace(PROGRAM, row_names=("sum",)),
    ]
    assert len({form.digest for form in forms}) == len(forms)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (Parts({}, {}), "'cost' is missing"),
        (Parts({}, {"cost": np.ones((1, 1)), "stray": np.ones(1)}), "'stray' is unknown"),
        (Parts({"n_cols": 2.5}, SPARSE.parts().arrays), "n_cols must be a whole number"),
        (Parts({"n_cols": True}, SPARSE.parts().arrays), "n_cols must be a whole number"),
    ],
)
def test_broken_parts_are_refused(parts: Parts, message: str) -> None:
    """Parts with a wrong, missing or unknown entry are refused by name."""
    with pytest.raises(InvalidInstance, match=message):
        AssignmentInstance.from_parts(parts)
