"""How tables write figures."""

import math
from collections.abc import Sequence

NONE = "-"  # how tables show what does not exist


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
    found = [scale * figure for figure in figures if figure is not None]
    if not found:
        return NONE

    def text(figure: float) -> str:
        return f"{figure:.4g}" if digits is None else f"{figure:.{digits}f}"

    mean, half = math.fsum(found) / len(found), (max(found) - min(found)) / 2
    if len(found) == 1:
        return text(mean)
    return f"{text(mean)} ±{half:.2g}" if digits is None else f"{text(mean)} ±{text(half)}"
