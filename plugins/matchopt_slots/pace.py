"""How far training is, and the learning rate that goes with it, so that it ends in time."""

import math
import time
from typing import Literal

from matchopt import Limits

SHARE = 0.95  # of the time that is left is planned with
FIRST_LOOK = 20  # steps after which the time that one takes is first known
Schedule = Literal["linear", "cosine"]


class Pace:
    """Counts steps towards a planned number of them, which falls where time is short.

    Where time is long enough nothing depends on the clock.

    Parameters
    ----------
    limits : the time limit.
    steps : number of steps planned.
    schedule : how the learning rate falls to 0.
    """

    def __init__(self, limits: Limits, steps: int, schedule: Schedule) -> None:
        self._limits, self._left, self._schedule = limits, steps, schedule
        self._began, self._judging = time.monotonic(), 0.0
        self.steps, self.done, self.shortened = 0, 0.0, False

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self._left <= 0

    @property
    def factor(self) -> float:
        """Share of the full learning rate for the next step."""
        return 1.0 - self.done if self._schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * self.done))

    def step(self) -> None:
        """Count one step."""
        self.done += (1.0 - self.done) / self._left
        self._left -= 1
        self.steps += 1
        if self.steps == FIRST_LOOK or self.steps % 500 == 0:
            self._look()

    def judged(self, seconds: float) -> None:
        """Take note of how long judging an epoch took; one more at the end must fit."""
        self._judging = max(self._judging, seconds)

    def _look(self) -> None:
        """Plan fewer steps if those left do not fit the time left."""
        left = self._limits.remaining()
        if math.isinf(left):
            return
        per_step = (time.monotonic() - self._began) / self.steps  # judging included
        fit = int((SHARE * left - self._judging) / per_step)
        if fit < self._left:
            self._left, self.shortened = max(0, fit), True
