"""How much a proof may take: work that is counted, so that what is proved does not depend on the machine, or time."""

import math
import time
from dataclasses import dataclass, field

STEPS = 3e10  # unless told otherwise; half a minute on one core


@dataclass
class Effort:
    """What is left to spend on a proof.

    Parameters
    ----------
    seconds : of wall time from now on.
    steps : of work, each about a nanosecond.
    """

    seconds: float = math.inf
    steps: float = math.inf
    _deadline: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    @classmethod
    def of(cls, seconds: float | None) -> "Effort":
        """So many seconds, or None for the work that a proof may take unless told otherwise."""
        return cls(steps=STEPS) if seconds is None else cls(seconds)

    def share(self, parts: int) -> "Effort":
        """An equal share of what is left, for the next of so many parts."""
        return Effort((self._deadline - time.monotonic()) / parts, self.steps / parts)

    def spend(self, steps: float) -> None:
        """Count work."""
        self.steps -= steps

    def afford(self, each: float, items: int) -> int:
        """Count the work on as many items as there are steps for, and return how many that is."""
        number = items if each * items <= self.steps else max(0, int(self.steps / each))
        self.spend(each * items)
        return number

    @property
    def late_by_the_clock(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() > self._deadline

    @property
    def late(self) -> bool:
        """Whether no time or no steps are left."""
        return self.steps < 0.0 or self.late_by_the_clock
