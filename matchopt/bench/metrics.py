"""Figures of several runs, and how tables write them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

NONE = "-"  # how tables show what does not exist


@dataclass(frozen=True)
class Spread:
    """Mean and range of a figure over repetitions.

    Parameters
    ----------
    mean, low, high : of the figures.
    count : number of figures.
    """

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread | None":
        """Mean and range of `figures`, None for none."""
        if not figures:
            return None
        return cls(math.fsum(figures) / len(figures), min(figures), max(figures), len(figures))


def number(figure: float | None, digits: int = 4) -> str:
    """A figure with at most `digits` significant digits; whole numbers in full."""
    if figure is None:
        return NONE
    if isinstance(figure, int) or (figure == int(figure) if math.isfinite(figure) else False):
        return str(int(figure))
    return f"{figure:.{digits}g}"


def share(figure: float | None, digits: int = 2) -> str:
    """A share of 1 as a percentage, without its sign."""
    return NONE if figure is None else f"{100.0 * figure:.{digits}f}"


def spread(figures: Sequence[float | None], scale: float = 1.0, digits: int | None = 2) -> str:
    """The mean, with half the range behind it where there are several figures.

    Parameters
    ----------
    figures : the figures; None counts as not there.
    scale : factor on every figure, 100 for percent.
    digits : digits after the point; None for four significant digits.
    """
    found = Spread.of([scale * figure for figure in figures if figure is not None])
    if found is None:
        return NONE

    def text(figure: float) -> str:
        return f"{figure:.4g}" if digits is None else f"{figure:.{digits}f}"

    if found.count == 1:
        return text(found.mean)
    half = (found.high - found.low) / 2
    return f"{text(found.mean)} ±{half:.2g}" if digits is None else f"{text(found.mean)} ±{text(half)}"
