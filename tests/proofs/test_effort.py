"""What a proof may take: counted work and time, shared out, spent and over."""

import pytest

from matchopt.proofs.effort import STEPS, Effort


def test_what_is_left_is_shared_equally() -> None:
    """Time and work alike; None is the fixed amount of work."""
    third = Effort(300.0, 12.0).share(3)
    assert third.steps == 4.0 and third.seconds == pytest.approx(100.0, abs=20.0)
    assert Effort.of(None).steps == STEPS and Effort.of(2.0).seconds == 2.0


def test_as_many_items_are_afforded_as_there_are_steps_for() -> None:
    """The work on all of them is counted, so that whoever asks for too much is late."""
    effort = Effort(steps=10.0)
    assert effort.afford(2.0, 5) == 5
    assert effort.steps == 0.0 and not effort.late
    assert effort.afford(2.0, 1) == 0
    assert effort.steps == -2.0 and effort.late and not effort.late_by_the_clock
    assert effort.afford(2.0, 3) == 0
    effort = Effort(steps=9.0)
    assert effort.afford(2.0, 5) == 4 and effort.steps == -1.0


def test_time_runs_out() -> None:
    """By the clock, whatever work is left."""
    assert Effort(-1.0).late and Effort(-1.0).late_by_the_clock
