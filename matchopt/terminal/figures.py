"""How tables write figures."""

import math

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
