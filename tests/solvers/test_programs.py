"""What cpsat and milp have in common: both solve programs to optimality."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_cpsat import CpSat
from matchopt_milp import Milp
from solvers.small import COSTS, assignment, objective, program, scale_of, solved, whole_program

from matchopt import AssignmentInstance, Limit, Limits, ProgramInstance, ProgramPoint, Result, Solver, Status, reduction
from matchopt.testing import brute_force

BOTH = pytest.mark.parametrize("solver", [CpSat(), Milp()], ids=["cpsat", "milp"])
seeds = st.integers(0, 2**32 - 1)
inf = math.inf


def point(result: Result) -> list[float]:
    assert isinstance(result.solution, ProgramPoint)
    return list(result.solution.x.tolist())


@BOTH
@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_equals_enumeration(solver: Solver, seed: int) -> None:
    """On programs with thirds, tenths, tiny and huge costs: the enumerated optimum, a bound below it, or infeasible."""
    instance = whole_program(np.random.default_rng(seed))
    best, result = brute_force(instance), solved(solver, instance)
    if best.solution is None:
        assert result.status is Status.INFEASIBLE
        return
    slack = 1e-8 * float(np.abs(instance.cost).sum()) + 1e-14 * abs(instance.offset)
    assert result.status is Status.OPTIMAL
    assert objective(instance, result.solution) <= best.value + slack
    assert result.bound <= best.value + (slack if solver.name == "milp" else 1e-15 * abs(best.value))


@BOTH
@given(seed=seeds, costs=st.sampled_from([name for name in COSTS if name not in ("huge", "wide")]))
@settings(deadline=None, max_examples=25)
def test_solve_assignments_down_the_ladder(solver: Solver, seed: int, costs: str) -> None:
    """Linearised and lifted back, an assignment gets its enumerated optimum, or is infeasible."""
    instance = assignment(np.random.default_rng(seed), costs, most=4)
    down = reduction(instance, ProgramInstance)
    (reduced,) = down.parts
    best, result = brute_force(instance), solved(solver, reduced)
    if best.solution is None:
        assert result.status is Status.INFEASIBLE
        return
    assert result.solution is not None
    lifted = objective(instance, down.lift([result.solution]))
    assert lifted - best.value <= 1e-9 * scale_of(instance)


@BOTH
def test_the_trivial_programs(solver: Solver) -> None:
    """No variables, no rows, crossed bounds, impossible empty rows: answered without the engine's help."""
    nothing = program([], [], [], [], offset=2.5)
    assert (point(result := solved(solver, nothing)), result.status, result.bound) == ([], Status.OPTIMAL, 2.5)
    box = program([1, -1], [], [], [], [-2, 0], [3, 4])
    assert (point(result := solved(solver, box)), result.bound) == ([-2.0, 4.0], -6.0)
    assert solved(solver, program([1], [], [], [], [2], [1])).status is Status.INFEASIBLE
    assert solved(solver, program([1], [], [], [], [0.2], [0.8])).status is Status.INFEASIBLE
    assert solved(solver, program([1], [[0]], [1], [2], [0], [1])).status is Status.INFEASIBLE
    assert solved(solver, program([1], [[1]], [2], [1], [0], [5])).status is Status.INFEASIBLE


@BOTH
def test_whole_variables_between_broken_bounds(solver: Solver) -> None:
    """A whole variable in 0.5 .. 2.5 is 1 or 2."""
    assert point(solved(solver, program([-1], [], [], [], [0.5], [2.5]))) == [2.0]
    assert point(solved(solver, program([1], [], [], [], [0.5], [2.5]))) == [1.0]


@BOTH
def test_a_third_three_times_is_one(solver: Solver) -> None:
    """Rows hold up to the rounding of their coefficients: 3 * (1/3) >= 1 is feasible."""
    assert point(solved(solver, program([1], [[1 / 3]], [1], [inf], [0], [9]))) == [3.0]
    assert point(solved(solver, program([1, 1], [[1 / 3, -2 / 3]], [2], [2], [0, 0], [9, 9]))) == [6.0, 0.0]


@BOTH
def test_time_up_is_no_proof(solver: Solver) -> None:
    """Without time the answer is unknown, because of the time."""
    result = solved(solver, program([1, 1], [[2, 3]], [7], [inf], None, [9, 9]), Limits(seconds=0.0))
    assert (result.status, result.limit) == (Status.UNKNOWN, Limit.TIME)


def hard(n: int = 60) -> ProgramInstance:
    """A market-split program, of which nobody proves the optimum by branching: rows hit a random sum exactly or not."""
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 100, (6, n))
    slack = np.hstack([rows, np.eye(6), -np.eye(6)])
    half = rows.sum(axis=1) // 2
    high = np.concatenate([np.ones(n), np.full(12, 3000)])
    return program(np.concatenate([np.zeros(n), np.ones(12)]), slack, half, half, None, high)


@BOTH
@pytest.mark.slow
def test_a_time_limit_keeps_the_best(solver: Solver) -> None:
    """Stopped by the clock, the best solution comes back with a valid bound, and the limit is named."""
    instance = hard()
    result = solved(solver, instance, Limits(seconds=2.0))
    assert (result.status, result.limit) == (Status.FEASIBLE, Limit.TIME)
    assert result.bound <= objective(instance, result.solution)


@BOTH
def test_a_wide_gap_stops_early_and_claims_nothing(solver: Solver) -> None:
    """Asked for a gap of 50 %, a solver that stops with one says FEASIBLE."""
    rng = np.random.default_rng(0)
    (reduced,) = reduction(AssignmentInstance(rng.integers(1, 100, (12, 12))), ProgramInstance).parts
    lazy = type(solver)(gap=0.5)  # type: ignore[call-arg]
    result = solved(lazy, reduced)
    value = objective(reduced, result.solution)
    assert value - result.bound <= 0.5 * value
    assert (result.status is Status.OPTIMAL) <= (result.bound >= value - 1e-6)


@BOTH
@pytest.mark.parametrize(("option", "value"), [("gap", -0.1), ("gap", inf), ("gap", math.nan)])
def test_options_are_checked(solver: Solver, option: str, value: float) -> None:
    """A gap must be a finite number >= 0."""
    with pytest.raises(ValueError, match="gap must be a finite number >= 0"):
        type(solver)(**{option: value})


@BOTH
def test_too_large_programs_are_refused(solver: Solver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of variables or coefficients the reason is the number."""
    module = type(solver).__module__
    small = program([1, 1, 1], [[1, 1, 1]], [1], [1], None, [1, 1, 1])
    assert solver.refuses(small) is None
    monkeypatch.setattr(f"{module}.MAX_ENTRIES", 2)
    assert solver.refuses(small) == "3 coefficients are too many (at most 2)"
    monkeypatch.setattr(f"{module}.MAX_VARIABLES", 2)
    assert solver.refuses(small) == "3 variables are too many (at most 2)"
