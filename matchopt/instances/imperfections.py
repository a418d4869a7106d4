"""What real chips do to weights: noise, faults, leaks and shared wiring, in one place for all who draw hardware."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Interval
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.hardware import Hardware
from matchopt.settings import FiniteFloat, NonNegativeFloat, PositiveInt, check_fields


@dataclass(frozen=True)
class Imperfections:
    """The imperfections of a chip; the default is none, and free routing.

    Parameters
    ----------
    scale_error : factor on all weights, for hardware whose range misses the target's, finite.
    read_noise : standard deviation of additive read noise, in units of the weights' root mean square, >= 0.
    relative_noise : standard deviation of multiplicative read noise, as a share of each weight, >= 0.
    bad_cells : probability that a cell is unusable, independently, 0 .. 1.
    bad_lines : probability that cell k is unusable in all neurons (a dead line), independently over k, 0 .. 1.
    stuck_cells : probability that a cell cannot be switched off, independently, 0 .. 1: it adds its weight whenever its
        line is driven.
    leak : what a cell contributes while switched off, as a share of its weight, finite.
    neurons_per_bus : neighbouring neurons that share one wiring; 1 is free routing, all of them one crossbar.

    Raises
    ------
    InvalidInstance
        when a field is out of its range.

    References
    ----------
    Levels of noise and faults as in Aguirre et al. (Electronics 10:2427, 2021) and the measured arrays of Li et al.
    (Nature Communications 2026, s41467-025-67960-6).
    """

    scale_error: FiniteFloat = 1.0
    read_noise: NonNegativeFloat = 0.0
    relative_noise: NonNegativeFloat = 0.0
    bad_cells: Annotated[float, Interval(ge=0, le=1)] = 0.0
    bad_lines: Annotated[float, Interval(ge=0, le=1)] = 0.0
    stuck_cells: Annotated[float, Interval(ge=0, le=1)] = 0.0
    leak: FiniteFloat = 0.0
    neurons_per_bus: PositiveInt = 1

    def __post_init__(self) -> None:
        check_fields(self, "imperfections", InvalidInstance)

    def applied(self, weights: Float[np.ndarray, "neurons cells"], rng: np.random.Generator) -> Hardware:
        """A chip that was meant to have these weights; `rng` draws its faults."""
        full = np.asarray(weights, dtype=np.float64) * self.scale_error
        rms = float(np.sqrt(np.mean(full**2))) if full.size else 0.0
        noisy = self.read_noise > 0 or self.relative_noise > 0
        variance = (self.read_noise * rms) ** 2 + (self.relative_noise * full) ** 2 if noisy else None
        usable = None
        if self.bad_cells > 0 or self.bad_lines > 0:
            dead_line = rng.random(full.shape[1]) < self.bad_lines
            usable = (rng.random(full.shape) >= self.bad_cells) & ~dead_line
        made = Hardware(
            full,
            variance,  # type: ignore[arg-type]  # None means default
            usable,  # type: ignore[arg-type]
            self.leak * full if self.leak else None,  # type: ignore[arg-type]
            np.arange(len(full)) // self.neurons_per_bus,
        )
        return self.stuck(made, rng)

    def stuck(self, cells: Hardware, rng: np.random.Generator) -> Hardware:
        """The chip with some of its usable cells stuck at their weights."""
        if self.stuck_cells == 0:
            return cells
        fails = (rng.random(cells.weights.shape) < self.stuck_cells) & cells.usable
        return replace(cells, usable=cells.usable & ~fails, off=np.where(fails, cells.weights, cells.off))


PERFECT = Imperfections()
