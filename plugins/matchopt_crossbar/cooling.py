"""A geometric cooling that ends with the work allowed, or with the time where that is shorter."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from matchopt import Limit, Limits

CHUNK = 0.05  # seconds between two looks at the clock
SCARCE = 0.9  # of the passes still to make: with time for fewer the cooling is hurried
KEPT = 0.02  # share of the time limit that is left for the end
MOST_COOLINGS, FEW_COOLINGS = 8, 150.0  # at most; neurons and lines from which on there is one


@dataclass(frozen=True)
class Cooling:
    """Passes at temperatures that fall from `hot` to `cold`.

    Parameters
    ----------
    hot, cold : first and last temperature, > 0.
    passes : passes to make, fewer where the time is short; >= 1.
    times : coolings that share them, one after the other; >= 1.
    """

    hot: float
    cold: float
    passes: int
    times: int = 1

    def run(
        self, step: Callable[[int, float, float], float], after: Callable[[], None], limits: Limits,
        between: Callable[[], None] = lambda: None,
    ) -> tuple[int, Limit | None]:  # fmt: skip
        """Make the passes; returns how many, and why they ended early.

        Temperatures depend on the clock only where the time is too short for all passes.

        Parameters
        ----------
        step : makes so many passes from a temperature that is multiplied by a ratio after each; returns the last.
        after : called after every few passes.
        limits : the time allowed; its number of iterations limits passes.
        between : called after every cooling.
        """
        passes = self.passes if limits.iterations is None else min(self.passes, limits.iterations)
        done = 0
        for number in range(self.times):
            share = -(-(passes - done) // (self.times - number))
            end = 0.0 if limits.seconds is None else KEPT * limits.seconds
            if math.isfinite(limits.remaining()):
                end += (limits.remaining() - end) * (1.0 - 1.0 / (self.times - number))
            made = self._once(step, after, limits, share, end)
            done += made
            between()
            if made < share and (limits.reached() or number == self.times - 1):
                return done, Limit.TIME
        return done, Limit.ITERATION if passes < self.passes else Limit.TIME if done < passes else None

    def _once(
        self, step: Callable[[int, float, float], float], after: Callable[[], None], limits: Limits, passes: int,
        end: float,
    ) -> int:  # fmt: skip
        """One cooling of so many passes, fewer where less than `end` seconds are left then."""
        if passes == 0:
            return 0
        heat, done, chunk = self.hot, 0, 1
        ratio = (self.cold / self.hot) ** (1.0 / passes)
        while done < passes:
            left = limits.remaining() - end
            if left <= 0.0:
                break
            began = time.perf_counter()
            heat = step(chunk, heat, ratio)
            done += chunk
            now = limits.remaining() - end
            spent = left - now if math.isfinite(now) else time.perf_counter() - began  # by the clock of the limits
            each = max(1e-9, spent / chunk)
            after()
            room = (limits.remaining() - end) / each
            if room < SCARCE * (passes - done):
                ratio = min(1.0, (self.cold / heat) ** (1.0 / max(1.0, room)))
            most = max(1.0, min(2.0 * chunk, CHUNK / each, 0.5 * room if math.isfinite(room) else math.inf))
            chunk = max(1, min(passes - done, int(most)))
        return done


def coolings(size: int, least: int = 1) -> int:
    """How many coolings should share the work: small layers have the time for several, of which one is lucky.

    Parameters
    ----------
    size : neurons and lines, >= 1.
    least : coolings of layers of any size, >= 1.
    """
    return max(least, min(MOST_COOLINGS, int((FEW_COOLINGS / size) ** 2)))
