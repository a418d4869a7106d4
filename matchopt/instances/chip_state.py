"""What a measured chip is taken for: which of its readings, behind which wires."""

from dataclasses import dataclass

from matchopt.errors import InvalidInstance
from matchopt.instances.chip import Chip
from matchopt.instances.differential import freed, paired
from matchopt.instances.drift import over_readings
from matchopt.instances.line_resistance import chip_behind_lines
from matchopt.settings import NonNegativeFloat, check_fields


@dataclass(frozen=True)
class ChipState:
    """How a chip is taken; the default is as it was read last.

    Parameters
    ----------
    readings : times, in seconds, of the readings over which errors are expected, see `over_readings`; None for the
        latest reading alone.
    line_resistance : of one segment of wire times the conductance of a cell, >= 0, see `line_factors`.

    Raises
    ------
    InvalidInstance
        when a field is out of its range.
    """

    readings: tuple[NonNegativeFloat, ...] | None = None
    line_resistance: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "chip", InvalidInstance)

    def of(self, chip: Chip) -> Chip:
        """The chip in this state; fixed pairs are subtracted first, so that what drifts in both halves cancels, and the
        halves of free pairs joined at last, as each array has lines of its own.

        Raises InvalidInstance when it was not read at these times.
        """
        chip = paired(chip) if chip.pairs == "fixed" else chip
        chip = chip if self.readings is None else over_readings(chip, self.readings)
        chip = chip_behind_lines(chip, self.line_resistance) if self.line_resistance else chip
        return freed(chip) if chip.pairs == "free" else chip
