"""The milp solver: what is its own, and how it guards against its engine."""

import math

import numpy as np
import pytest
from matchopt_milp import Milp
from matchopt_milp.engine import whole
from solvers.small import objective, program, solved

from matchopt import Limit, ProgramInstance, ProgramPoint, Status

inf = math.inf


def mixed() -> ProgramInstance:
    """Minimise -x - 2y, x whole, y <= 1.5 and x + y <= 3.2: the optimum is -4.4 at x = 2, y = 1.2."""
    both = program([-1, -2], [[1, 1]], [-inf], [3.2], None, [4, 1.5])
    return ProgramInstance(
        both.cost, both.indptr, both.indices, both.coefficients, both.row_low, both.row_high, both.low, both.high,
        np.array([True, False]), 0.25,
    )  # fmt: skip


def test_mixed_programs() -> None:
    """Whole and continuous variables together, with the offset in value and bound."""
    result = solved(Milp(), mixed())
    assert isinstance(result.solution, ProgramPoint)
    assert result.solution.x == pytest.approx([2.0, 1.2])
    assert result.bound == pytest.approx(-4.15)


def test_linear_programs() -> None:
    """Without whole variables value and bound are those of the linear program."""
    result = solved(Milp(), program([-1, -1], [[1, 2]], [-inf], [3.5], whole=False))
    assert (result.status, result.bound) == (Status.OPTIMAL, pytest.approx(-3.5))


@pytest.mark.parametrize("whole_variables", [True, False])
def test_unbounded_is_no_status_of_ours(whole_variables: bool) -> None:
    """An objective without lower bound is UNKNOWN, says so, and bounds nothing."""
    result = solved(Milp(), program([-1, -1], [[1, -2]], [-inf], [3.5], whole=whole_variables))
    assert (result.status, result.bound) == (Status.UNKNOWN, -inf)
    assert result.message == "the objective has no lower bound"


@pytest.mark.parametrize("whole_variables", [True, False])
def test_infeasible_or_unbounded_is_decided(whole_variables: bool) -> None:
    """A program with a free direction of falling cost and rows in conflict is infeasible, not unbounded."""
    rows = [[1, 1, 0], [1, 1, 0]]
    instance = program([-1, -1, -1], rows, [3, -inf], [inf, 2], whole=whole_variables)
    assert solved(Milp(), instance).status is Status.INFEASIBLE


def test_siemens_do_not_vanish_in_tolerances() -> None:
    """Costs of 1e-12 are told apart, though HiGHS stops at an absolute gap of 1e-6."""
    rng = np.random.default_rng(0)
    cost = rng.integers(1, 100, 30).astype(float)
    cover = rng.random((20, 30)) < 0.2
    cover[:, 0] = True
    units = [program(cost * unit, cover, np.ones(20), np.full(20, inf), None, np.ones(30)) for unit in (1.0, 1e-12)]
    values = [objective(instance, solved(Milp(), instance).solution) for instance in units]
    assert values[1] == pytest.approx(1e-12 * values[0], rel=1e-9)


def test_bounds_of_whole_objectives_are_whole() -> None:
    """Where every value is a whole number the bound is one too, so that an optimum has a gap of exactly 0."""
    rng = np.random.default_rng(1)
    instance = program(-rng.integers(1, 40, 20), rng.integers(1, 60, (3, 20)), [-inf] * 3, [300] * 3, None, np.ones(20))
    result = solved(Milp(), instance)
    assert result.bound == objective(instance, result.solution)


def test_rounding_is_repaired() -> None:
    """A switch that HiGHS leaves at 1e-7 lets a flow of a tenth pass; at exactly 0 the flow must stop too."""
    big = program([1, -1], [[1e6, -1]], [0], [inf], None, [1, 10])
    instance = ProgramInstance(
        big.cost, big.indptr, big.indices, big.coefficients, big.row_low, big.row_high, big.low, big.high,
        np.array([True, False]),
    )  # fmt: skip
    assert whole(instance, np.array([1e-7, 0.1])).tolist() == [0.0, 0.0]
    assert whole(instance, np.array([1.0 - 1e-9, 5.0])).tolist() == [1.0, 5.0]


def test_the_node_limit_is_told() -> None:
    """Stopped after one node, the reason is the nodes."""
    rng = np.random.default_rng(2)
    rows = rng.integers(0, 100, (5, 40))
    half = rows.sum(axis=1) // 2
    slack = np.hstack([rows, np.eye(5), -np.eye(5)])
    high = np.concatenate([np.ones(40), np.full(10, 2000)])
    instance = program(np.concatenate([np.zeros(40), np.ones(10)]), slack, half, half, None, high)
    result = solved(Milp(node_limit=1), instance)
    assert result.limit is Limit.NODE
    assert result.status in (Status.FEASIBLE, Status.UNKNOWN)
    with pytest.raises(ValueError, match="node_limit must be a whole number >= 1"):
        Milp(node_limit=0)
