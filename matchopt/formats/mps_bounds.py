"""The BOUNDS section of MPS, where programs disagree most."""

import math
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Bounds:
    """The bounds given so far, by column number, each with the line it was given on."""

    KINDS: ClassVar[tuple[str, ...]] = ("UP", "LO", "FX", "FR", "MI", "PL", "BV", "LI", "UI")

    low: dict[int, float] = field(default_factory=dict)
    high: dict[int, float] = field(default_factory=dict)
    low_line: dict[int, int] = field(default_factory=dict)
    high_line: dict[int, int] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)

    def takes_value(self, kind: str) -> bool | None:
        """Whether a bound of this kind has a number; None for an unknown kind."""
        return None if kind not in self.KINDS else kind not in ("FR", "MI", "PL", "BV")

    def set(self, kind: str, column: int, value: float, line: int) -> str:
        """Set a bound; returns what is wrong with it, empty if nothing."""
        if kind in ("LI", "UI") and math.isfinite(value) and not value.is_integer():
            return f"must be a whole number, found {value}"
        if kind == "FX" and not math.isfinite(value):
            return "must be finite"
        if (kind in ("UP", "UI") and value == -math.inf) or (kind in ("LO", "LI") and value == math.inf):
            return f"leaves no value at all, found {value}"
        sides = {"UP": "h", "UI": "h", "PL": "h", "LO": "l", "LI": "l", "MI": "l", "FX": "lh", "FR": "lh", "BV": "lh"}
        lows = {"LO": value, "LI": value, "FX": value, "MI": -math.inf, "FR": -math.inf, "BV": 0.0}
        highs = {"UP": value, "UI": value, "FX": value, "PL": math.inf, "FR": math.inf, "BV": 1.0}
        for side, lines in (("l", self.low_line), ("h", self.high_line)):
            if side in sides[kind] and column in lines:
                return f"the {'lower' if side == 'l' else 'upper'} bound was given on line {lines[column]} already"
        if kind in lows:
            self.low[column], self.low_line[column] = lows[kind], line
        if kind in highs:
            self.high[column], self.high_line[column] = highs[kind], line
        if kind in ("BV", "LI", "UI"):
            self.whole.add(column)
        return ""

    def ambiguous(self, column: int) -> str:
        """Why programs would read the bounds of this column differently, and none is right; empty if they would not."""
        if column in self.low or self.high.get(column, 0.0) >= 0:
            return ""
        return (
            f"has the upper bound {self.high[column]} and no lower one, which some programs read as 0 and "
            "others as -infinity; give it a bound, LO or MI"
        )
