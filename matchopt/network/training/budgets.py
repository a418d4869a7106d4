"""How many connections each layer may have, from one number for the network."""

from collections.abc import Sequence
from itertools import pairwise

from matchopt.errors import InvalidOption

OUTPUT_RATIO, HIDDEN_RATIO, INPUT_RATIO = 30.0, 3.0, 1.0  # densities .01, .03, .3 of Bellec et al. 2018, section 4


def layer_budgets(widths: tuple[int, ...], connectivity: float) -> tuple[int, ...]:
    """`matrix_budgets` of a fully connected network.

    Examples
    --------
    >>> layer_budgets((784, 300, 100, 10), 0.05)
    (8903, 3407, 1000)
    """
    return matrix_budgets([(m, n) for n, m in pairwise(widths)], connectivity)


def matrix_budgets(shapes: Sequence[tuple[int, int]], connectivity: float) -> tuple[int, ...]:
    """Share a number of connections out over the layers, in density ratio 1 : 3 : 30 (input, hidden, output matrices).

    A layer that would be more than full is full, and one that would have less than a connection has one, as nothing
    passes a layer without any; the others fill up what is left (bisection on the common factor, then rounding per
    layer). Only a budget of fewer connections than layers is exceeded.

    Parameters
    ----------
    shapes : rows and columns of every weight matrix, in order.
    connectivity : connections as a share of all possible ones, above 0, at most 1.

    Raises
    ------
    InvalidOption
        when the connectivity is outside that range.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, arXiv 1711.05136, section 4.
    """
    if not 0.0 < connectivity <= 1.0:
        raise InvalidOption(f"connectivity must be above 0 and at most 1, found {connectivity}")
    sizes = [rows * cols for rows, cols in shapes]
    ratios = [HIDDEN_RATIO] * len(sizes)
    ratios[0], ratios[-1] = INPUT_RATIO, OUTPUT_RATIO
    wanted = connectivity * sum(sizes)
    low, high = 0.0, 1.0 / min(ratios)
    for _ in range(100):  # far beyond the precision of a float
        middle = (low + high) / 2
        total = sum(min(size, max(1.0, size * ratio * middle)) for size, ratio in zip(sizes, ratios, strict=True))
        low, high = (middle, high) if total < wanted else (low, middle)
    # 1e-9 keeps a density such as .01 from rounding to the wrong side of one half
    return tuple(
        min(size, max(1, int(size * ratio * high + 0.5 + 1e-9))) for size, ratio in zip(sizes, ratios, strict=True)
    )
