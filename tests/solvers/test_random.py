"""The random baseline of assignments."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_random import RandomAssignment
from solvers.small import COSTS, assignment, columns, objective, solved

from matchopt import AssignmentInstance, Limit, Limits, Solution, Status
from matchopt.testing import brute_force


@given(seed=st.integers(0, 2**32 - 1), costs=st.sampled_from(COSTS), sparse=st.booleans())
@settings(deadline=None, max_examples=50)
def test_finds_a_solution_whenever_there_is_one(seed: int, costs: str, sparse: bool) -> None:
    """With forbidden pairs too, an assignment is found, or the instance is infeasible by enumeration."""
    instance = assignment(np.random.default_rng(seed), costs, sparse=sparse)
    result = solved(RandomAssignment(), instance, seed=seed)
    if brute_force(instance).solution is None:
        assert result.status is Status.INFEASIBLE
    else:
        assert result.status is Status.FEASIBLE
        objective(instance, result.solution)


def test_every_assignment_is_equally_likely_without_forbidden_pairs() -> None:
    """Over 1,200 seeds each of the 6 assignments of 2 rows to 3 columns comes within 5 sigma of 200 times."""
    instance = AssignmentInstance(np.zeros((2, 3)))
    rng = np.random.default_rng(3)
    counts = Counter(tuple(columns(RandomAssignment().solve(instance, Limits(), rng))) for _ in range(1200))
    assert len(counts) == 6
    assert all(abs(count - 200) < 5 * 13 for count in counts.values())


def test_forbidden_pairs_leave_it_random() -> None:
    """With a forbidden pair every feasible assignment of 3 rows still comes up."""
    cost = np.zeros((3, 3))
    cost[0, 0] = np.inf
    rng = np.random.default_rng(3)
    counts = Counter(
        tuple(columns(RandomAssignment().solve(AssignmentInstance(cost), Limits(), rng))) for _ in range(300)
    )
    assert len(counts) == 4


def test_keeps_the_best_of_its_draws() -> None:
    """More draws from one seed are never worse; each incumbent handed on is better than the last, the last is kept."""
    instance = AssignmentInstance(np.random.default_rng(0).random((30, 40)))
    reported: list[Solution] = []
    limits = Limits(on_incumbent=lambda solution, bound: reported.append(solution))
    values = [objective(instance, solved(RandomAssignment(draws=n), instance).solution) for n in (1, 10, 100)]
    assert values == sorted(values, reverse=True)
    assert values[2] < values[0]
    result = solved(RandomAssignment(draws=100), instance, limits)
    costs = [objective(instance, solution) for solution in reported]
    assert costs == sorted(costs, reverse=True)
    assert reported[-1] is result.solution


def test_the_iteration_limit_is_told() -> None:
    """Fewer draws than asked for is stopping early, and says by what."""
    result = solved(RandomAssignment(draws=9), AssignmentInstance(np.ones((2, 2))), Limits(iterations=4))
    assert (result.limit, result.stats["draws"]) == (Limit.ITERATION, 4)
    assert solved(RandomAssignment(draws=9), AssignmentInstance(np.ones((2, 2)))).limit is None


def test_time_up_before_the_first_draw() -> None:
    """Without time there is no solution, and time is the reason."""
    result = solved(RandomAssignment(), AssignmentInstance(np.ones((2, 2))), Limits(seconds=0.0))
    assert (result.status, result.limit) == (Status.UNKNOWN, Limit.TIME)


def test_draws_must_be_positive() -> None:
    """No draws are no method."""
    with pytest.raises(ValueError, match="draws must be a whole number >= 1"):
        RandomAssignment(draws=0)
