"""Where the tolerances of programs end."""

import math

import numpy as np
import pytest
from solvers.small import program

from matchopt import ProgramPoint
from matchopt.checker import check

inf = math.inf


@pytest.mark.parametrize(
    ("low", "high", "value", "whole", "feasible"),
    [
        (0, 10, -1e-6, False, True),
        (0, 10, -1.5e-6, False, False),  # room beyond 1 gives no more
        (-10, 0, 1e-6, False, True),
        (-10, 0, 1.5e-6, False, False),
        (0, 0, 1e-6, False, True),  # of a fixed variable its own size counts, or 1
        (0, 0, -1e-6, False, True),
        (0, 0, 1.5e-6, False, False),
        (0.25, 0.25, 0.25 + 2e-7, False, True),
        (0.25, 0.25, 0.25 + 3e-7, False, False),
        (-10, 10, 1e-6, True, True),
        (-10, 10, 1.5e-6, True, False),
        (-10, 10, -1e-6, True, True),
        (-10, 10, 2 - 1.5e-6, True, False),
    ],
)
def test_bounds_and_wholeness_end_at_their_tolerances(
    low: float, high: float, value: float, whole: bool, feasible: bool
) -> None:
    """A millionth of the room, which is at most 1; a millionth from the next whole number."""
    instance = program([0], [], [], [], [low], [high], whole=whole)
    assert check(instance, ProgramPoint(np.array([value]))).feasible is feasible


@pytest.mark.parametrize(
    ("coefficients", "low", "high", "feasible"),
    [
        ([0.0], 0, 0, True),  # nothing to spare, nothing needed
        ([0.0], 1e-12, 1, False),
        ([0.0], -1, -1e-12, False),
        ([5.0], 1.5e-6, inf, False),  # coefficients beyond 1 give no more
        ([5.0], 0.5e-6, inf, True),
        ([5.0], -inf, -1.5e-6, False),
        ([5.0], -inf, -0.5e-6, True),
        ([0.5], 0.7e-6, inf, False),
        ([0.5], 0.4e-6, inf, True),
    ],
)
def test_rows_end_at_their_tolerances(coefficients: list[float], low: float, high: float, feasible: bool) -> None:
    """A millionth of the largest coefficient, which counts as 1 at most; the variable is 0."""
    instance = program([0], [coefficients], [low], [high], [-1], [1], whole=False)
    assert check(instance, ProgramPoint(np.zeros(1))).feasible is feasible
