"""How far training is, and the learning rate that goes with it, so that it ends in time."""

import math
import time
from typing import Literal

from matchopt import Limits

SHARE = 0.95  # of the time that is left when training begins is planned with
FIRST_LOOK = 200  # steps, or share EARLY of the time, after which the time that a step takes is judged
EARLY = 0.05
Schedule = Literal["linear", "cosine"]


class Pace:
    """Counts steps towards a planned number of them, or time towards the limit where that comes first.

    Where time is long enough for all steps nothing depends on the clock. Where it is not, progress is the share of the
    time that has passed, so that a slow moment early on costs its own time and no more.

    Parameters
    ----------
    limits : the time limit.
    steps : number of steps planned.
    schedule : how the learning rate falls to 0.
    """

    def __init__(self, limits: Limits, steps: int, schedule: Schedule) -> None:
        self._limits, self._planned, self._schedule = limits, steps, schedule
        self._began, self._room, self._judging = 0.0, math.inf, 0.0
        self.steps, self.done = 0, 0.0 if steps else 1.0

    def begin(self) -> None:
        """Start the clock of training."""
        self._began, self._room = time.monotonic(), SHARE * self._limits.remaining()

    @property
    def over(self) -> bool:
        """Whether no step is left."""
        return self.done >= 1.0

    @property
    def complete(self) -> bool:
        """Whether all planned steps have been taken."""
        return self.steps >= self._planned

    @property
    def factor(self) -> float:
        """Share of the full learning rate for the next step."""
        return 1.0 - self.done if self._schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * self.done))

    def step(self) -> None:
        """Count one step."""
        self.steps += 1
        self.done = max(self.done, self.steps / self._planned)
        if math.isinf(self._room):
            return
        passed, room = time.monotonic() - self._began, max(self._room - self._judging, 1e-9)
        known = self.steps >= FIRST_LOOK or passed >= EARLY * room
        if known and passed / self.steps * self._planned > room:
            self.done = min(1.0, max(self.done, passed / room))

    def judged(self, seconds: float) -> None:
        """Take note of how long judging a state took; one more at the end must fit."""
        self._judging = max(self._judging, seconds)
