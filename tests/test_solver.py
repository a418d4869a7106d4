"""The contract's own arithmetic: what is left of the time, and the best of what was offered."""

import math
import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from matchopt import Assignment, Limits

FIRST, SECOND = Assignment(np.array([0, 1])), Assignment(np.array([1, 0]))


def test_only_the_best_offered_is_kept_and_reported():
    """Equal, worse and undefined values change nothing; a bound is never reported above its solution's value."""
    seen = []
    limits = Limits(on_incumbent=lambda *pair: seen.append(pair))
    assert limits.best is None and limits.best_value == math.inf
    assert [limits.offer(FIRST, value) for value in (3.0, 3.0, 4.0, math.nan)] == [True, False, False, False]
    assert limits.offer(SECOND, 2.0, bound=5.0)
    assert (limits.best, limits.best_value) == (SECOND, 2.0)
    assert seen == [(FIRST, -math.inf), (SECOND, 2.0)]


def test_limits_without_a_caller_keep_the_best_too():
    """Nobody listens in an author's own test."""
    limits, others = Limits(seconds=1.0), Limits()
    assert limits.offer(FIRST, 1.0) and limits.best is FIRST and others.best is None


def test_remaining_time_never_goes_below_zero():
    """Some engines take a negative limit for none."""
    assert Limits(seconds=1.0, began=time.monotonic() - 5).remaining() == 0.0
    assert Limits().remaining() == math.inf


def test_a_solver_cannot_widen_its_limits():
    """They are the caller's."""
    with pytest.raises(FrozenInstanceError):
        Limits(seconds=1.0).seconds = 2.0
