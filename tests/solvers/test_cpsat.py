"""The cpsat solver: integers in, and bounds that stay valid."""

import math
import os
import signal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_cpsat import CpSat
from matchopt_cpsat.model import in_integers
from matchopt_cpsat.scaling import whole_objective, whole_row
from scipy.optimize import linear_sum_assignment
from solvers.small import objective, program, solved, whole_program

from matchopt import AssignmentInstance, Limits, ProgramInstance, ProgramPoint, Solution, Status, reduction, tightened
from matchopt.testing import brute_force

seeds = st.integers(0, 2**32 - 1)
inf = math.inf


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_bounds_stay_valid_under_coarse_scaling(seed: int) -> None:
    """With only 20 bits for the objective, no bound passes the enumerated optimum, during the search or at its end."""
    instance = whole_program(np.random.default_rng(seed))
    bounds: list[float] = []
    result = solved(CpSat(objective_bits=20), instance, Limits(on_incumbent=lambda _, bound: bounds.append(bound)))
    best = brute_force(instance).value
    if best is not None:
        assert max([*bounds, result.bound]) <= best + 1e-15 * abs(best)
        assert objective(instance, result.solution) <= best + 1e-5 * float(np.abs(instance.cost).sum())


@given(seed=seeds, bits=st.integers(4, 53))
@settings(deadline=None, max_examples=60)
def test_the_loss_covers_the_rounding(seed: int, bits: int) -> None:
    """For random points with at most one of each group: coefficients @ x / scale - loss <= cost @ x, in fractions."""
    rng = np.random.default_rng(seed)
    cost, reach = rng.standard_normal(12) * 10.0 ** rng.integers(-30, 30), rng.integers(1, 9, 12).astype(float)
    reach[:8] = 1.0
    groups = [np.arange(0, 5), np.arange(5, 8)]
    found = whole_objective(cost, reach, groups, bits)
    for _ in range(5):
        x = rng.integers(-reach, reach + 1)
        x[:8] = 0
        x[rng.integers(0, 5)] = x[rng.integers(5, 8)] = 1
        scaled = sum(Fraction(c) * int(value) for c, value in zip(found.coefficients, x, strict=True)) / found.scale
        true = sum(Fraction(c) * int(value) for c, value in zip(cost.tolist(), x, strict=True))
        assert scaled - Fraction(found.loss) <= true
        assert sum(abs(c) * int(r) for c, r in zip(found.coefficients, reach, strict=True)) <= 2**bits + 64


def test_whole_and_decimal_objectives_are_exact() -> None:
    """Integers lose nothing; cents lose no more than the rounding of the floats that stand for them."""
    reach = np.ones(3)
    whole = whole_objective(np.array([3.0, -7.0, 2.0**40]), reach, [], 20)
    assert (whole.coefficients, whole.scale, whole.loss) == ([3, -7, 2**40], 1, 0.0)
    cents = whole_objective(np.array([0.1, 0.25, -1.05]), reach, [], 50)
    assert (cents.coefficients, cents.scale) == ([2, 5, -21], 20)
    assert cents.loss < 1e-15


def test_groups_keep_the_loss_small() -> None:
    """Of the variables of a group one can be 1, so the loss grows with the groups, not with the variables."""
    cost = np.random.default_rng(0).random(1000)
    alone = whole_objective(cost, np.ones(1000), [], 30).loss
    assert whole_objective(cost, np.ones(1000), list(np.arange(1000).reshape(10, 100)), 30).loss < alone / 20


def test_rows_are_scaled_exactly() -> None:
    """Decimals become integers without common divisor, and bounds are rounded inwards."""
    ones = np.ones(2)
    assert whole_row(np.array([0.1, 0.25]), 0.3, 0.35, ones) == ([2, 5], 6, 7)
    assert whole_row(np.array([4.0, 6.0]), -inf, 9.0, ones) == ([2, 3], -5, 4)
    assert whole_row(np.array([2.0**60, 3.0]), 0.0, 1.0, ones) is None
    assert whole_row(np.array([0.3, 1e-30]), 0.0, 1.0, ones) is None


def bounds_of(instance: ProgramInstance) -> tuple[np.ndarray, np.ndarray]:
    found = tightened(instance)
    assert isinstance(found, ProgramInstance)
    return found.low, found.high


def test_bounds_are_taken_from_rows() -> None:
    """x + 2y <= 7 with x, y >= 0 bounds both; a chain of rows bounds one variable after the other."""
    low, high = bounds_of(program([-1, -1], [[1, 2]], [-inf], [7]))
    assert (low.tolist(), high.tolist()) == ([0, 0], [7, 3])
    chain = program([1, 1, 1], [[1, 0, 0], [-1, 1, 0], [0, -2, 1]], [-inf] * 3, [4, 1, 0], [0, -inf, 0], [inf] * 3)
    low, high = bounds_of(chain)
    assert high.tolist() == [4, 5, 10]
    assert low.tolist() == [0, 0, 0]
    assert CpSat().refuses(chain) is None


@given(seed=seeds)
@settings(deadline=None, max_examples=50)
def test_derived_bounds_cut_off_nothing(seed: int) -> None:
    """Bounds removed and derived again hold at every point that the rows allow."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-3, 4, (3, 3)) * rng.choice([1.0, 1 / 3])
    row_low = rng.integers(-9, 0, 3)
    instance = program([1, 1, 1], rows, row_low, row_low + 9, [0, -inf, -2], [inf, 3, 2])
    low, high = bounds_of(instance)
    x = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3), axis=-1).reshape(-1, 3)
    sums = x @ rows.T
    inside = ((sums >= row_low) & (sums <= row_low + 9)).all(axis=1)
    inside &= ((x >= [0, -np.inf, -2]) & (x <= [np.inf, 3, 2])).all(axis=1)
    assert ((low <= x[inside]) & (x[inside] <= high)).all()


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (program([1, 1], [[1, 1]], [1], [2], None, [1, 1], whole=False), "2 variables are continuous, the first is x0"),
        (program([1, -1], [[1, -1]], [0], [inf]), "variable x0 has no finite bounds within 2^53, and no row implies"),
        (
            program([1] * 3, [[2.0**61, 2.0**61, 3]], [2.0**61], [2.0**61], None, [1] * 3),
            "row r0 has coefficients that 64-bit integers cannot hold",
        ),
        (program([1e300], [], [], [], [0], [1e12]), "the objective is too large"),
    ],
)
def test_refuses_with_the_reason(instance: ProgramInstance, reason: str) -> None:
    """Continuous, unbounded, or beyond 64 bits: one sentence; solving all the same is an error, not a wrong answer."""
    assert (CpSat().refuses(instance) or "").startswith(reason)
    assert solved(CpSat(), instance).status is Status.ERROR


def ladder(seed: int, size: int = 12) -> ProgramInstance:
    cost = np.random.default_rng(seed).random((size, size))
    (reduced,) = reduction(AssignmentInstance(cost), ProgramInstance).parts
    assert isinstance(reduced, ProgramInstance)
    return reduced


def test_choices_are_told_as_such() -> None:
    """Rows of an assignment become exactly-one and at-most-one constraints, and every pair is in a group."""
    from matchopt_cpsat.model import build

    found = in_integers(ladder(0, 4), 50)
    assert not isinstance(found, str)
    built = build(found, None)
    assert built is not None
    text = str(built[0].proto)
    assert (text.count("exactly_one"), text.count("at_most_one"), text.count("linear")) == (4, 4, 0)
    assert found.objective.loss * 2**40 < 1


def test_incumbents_improve_and_carry_bounds() -> None:
    """Solutions stream out as they are found, each better than the last, with bounds below the final value."""
    instance = ladder(1)
    reported: list[tuple[Solution, float]] = []
    limits = Limits(on_incumbent=lambda solution, bound: reported.append((solution, bound)))
    final = objective(instance, solved(CpSat(linearization=1), instance, limits).solution)
    values = [objective(instance, solution) for solution, _ in reported]
    assert values == sorted(values, reverse=True)
    assert values[-1] == final
    assert max(bound for _, bound in reported) <= final + 1e-9


def test_the_start_is_used() -> None:
    """Given the optimum to begin with, the first incumbent is that optimum; a start of another kind is ignored."""
    instance = ladder(2)
    best = solved(CpSat(), instance).solution
    reported: list[Solution] = []
    limits = Limits(start=best, on_incumbent=lambda solution, _: reported.append(solution))
    solved(CpSat(presolve=False), instance, limits)
    assert objective(instance, reported[0]) == objective(instance, best)
    assert solved(CpSat(), instance, Limits(start=ProgramPoint(np.zeros(3)))).status is Status.OPTIMAL


def test_two_workers_are_no_slower_than_one() -> None:
    """One of them keeps all of the model as a linear relaxation: without, 40 s did not do what takes .1 s here."""
    costs = np.random.default_rng(5).random((70, 70))
    instance = reduction(AssignmentInstance(costs), ProgramInstance).parts[0]
    result = CpSat().solve(instance, Limits(120.0, threads=2), np.random.default_rng(0))
    assert result.status is Status.OPTIMAL
    assert objective(instance, result.solution) == pytest.approx(costs[linear_sum_assignment(costs)].sum())


def test_one_seed_one_answer() -> None:
    """With one thread, same seed and instance give the same point among many optima."""
    instance = program(np.ones(12), np.ones((1, 12)), [5], [5], None, np.ones(12))
    answers = [solved(CpSat(), instance, seed=7).solution for _ in range(3)]
    assert len({answer.digest for answer in answers if answer is not None}) == 1


@pytest.mark.parametrize(("option", "value"), [("linearization", 3), ("objective_bits", 60), ("objective_bits", 3)])
def test_options_are_checked(option: str, value: int) -> None:
    """Options out of range name their range."""
    with pytest.raises(ValueError, match=f"{option} must be"):
        CpSat(**{option: value})  # type: ignore[arg-type]


def test_ctrl_c_still_reaches_the_process_afterwards() -> None:
    """After a solve in this process Ctrl-C is the exception that it was: the engine leaves the signal alone."""
    solved(CpSat(), whole_program(np.random.default_rng(0)), Limits())
    with pytest.raises(KeyboardInterrupt):
        _interrupt()


def _interrupt() -> None:
    status = Path("/proc/self/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    assert caught >> (signal.SIGINT - 1) & 1, "the signal would end this process"
    os.kill(os.getpid(), signal.SIGINT)
