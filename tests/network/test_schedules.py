from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchopt.network.training.optimisers import Schedule, rate_factor


@given(st.sampled_from(get_args(Schedule)), st.integers(1, 40), st.lists(st.integers(1, 50), max_size=3, unique=True))
def test_rates_begin_in_full_and_fall_between_restarts(schedule, epochs, restarts):
    """From 1, never below 0 or above 1, falling except at the restarts; full again right after each of them."""
    restarts = tuple(sorted(restarts))
    steps = 8 * epochs
    found = [rate_factor(schedule, n / steps, epochs, restarts) for n in range(steps)]
    assert found[0] == 1.0
    assert all(0.0 <= factor <= 1.0 for factor in found)
    again = {epoch for epoch in restarts if epoch < epochs} if schedule == "restarts" else set()
    for n in range(1, steps):
        if n % 8 == 0 and n // 8 in again:
            assert found[n] == 1.0
        else:
            assert found[n] <= found[n - 1]
    if schedule != "constant":
        assert rate_factor(schedule, 1 - 1e-9, epochs, restarts) < 1e-3


def test_restarts_are_cosines_one_after_the_other():
    """Epochs 0 .. 25, 25 .. 75 and 75 .. 200, as published; halves of the rate in the middle of each."""
    for middle in (12.5, 50.0, 137.5):
        assert rate_factor("restarts", middle / 200, 200, (25, 75)) == pytest.approx(0.5)
    done = np.linspace(0, 0.999, 50)
    plain = [rate_factor("cosine", x, 20) for x in done]
    assert plain == pytest.approx(0.5 * (1 + np.cos(np.pi * done)))
    assert [rate_factor("restarts", x, 20, (30, 40)) for x in done] == pytest.approx(plain)
