"""How tables write figures."""

import math

EXACT = 2.0**53  # floats below tell all whole numbers apart
NONE = "-"  # how tables show what does not exist


def number(figure: float | None, digits: int = 4) -> str:
    """A figure with at most `digits` significant digits; whole numbers in full."""
    if figure is None:
        return NONE
    if isinstance(figure, int) or (math.isfinite(figure) and abs(figure) < EXACT and figure == int(figure)):
        return str(int(figure))
    return f"{figure:.{digits}g}"


def count(things: int, noun: str) -> str:
    """So many things, in words: "1 run", "2 runs"."""
    return f"{things} {noun}" if things == 1 else f"{things} {noun}s"


def share(figure: float | None, digits: int = 2) -> str:
    """A share of 1 as a percentage, without its sign."""
    return NONE if figure is None else f"{100.0 * figure:.{digits}f}"
