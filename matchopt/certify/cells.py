"""The cells of the hardware neurons, and the cheapest one for many weights at once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of all hardware neurons at one gain, ascending by value within a neuron.

    Parameters
    ----------
    value : gain times weight, shape (M, K); unusable cells are +inf and last, or -inf and first.
    noise : gain squared times variance; None where there is none.
    first, last : the usable cells of neuron j are first[j] .. last[j] - 1.
    """

    value: Float[np.ndarray, "neurons cells"]
    noise: Float[np.ndarray, "neurons cells"] | None
    first: Int[np.ndarray, " neurons"]
    last: Int[np.ndarray, " neurons"]


def nearest(
    cells: Cells, j: int, weights: Float[np.ndarray, " weights"]
) -> tuple[Int[np.ndarray, " weights"], Float[np.ndarray, " weights"]]:
    """For each of the ascending `weights` the cheapest usable cell of neuron `j`, and its (a - x)^2 + noise.

    The neuron must have a usable cell.
    Up to a^2, which all cells share, cell (x, w) costs x^2 + w - 2 a x: a line in a. The cheapest cells are therefore
    the lower envelope of the lines, each best between two breakpoints. Without noise every cell is on it, and the
    breakpoints are the midpoints between neighbours.
    """
    begin, end = int(cells.first[j]), int(cells.last[j])
    value = cells.value[j, begin:end]
    if cells.noise is None:
        picked = np.searchsorted(0.5 * (value[1:] + value[:-1]), weights)
        distance = weights - value[picked]
        return picked, distance * distance
    noise = cells.noise[j, begin:end]
    on, breakpoints = _envelope(value.tolist(), (value * value + noise).tolist())
    picked = on[np.searchsorted(breakpoints, weights)]
    distance = weights - value[picked]
    return picked, distance * distance + noise[picked]


def _envelope(
    slope: list[float], height: list[float]
) -> tuple[Int[np.ndarray, " lines"], Float[np.ndarray, " crossings"]]:
    """The lines height - 2 a slope (slopes ascending) that are lowest somewhere, and the points where they cross."""
    on: list[int] = []
    crossings: list[float] = []  # where line on[n + 1] takes over from line on[n]
    for k, (x, r) in enumerate(zip(slope, height, strict=True)):
        skip = False
        while on:
            x_top, r_top = slope[on[-1]], height[on[-1]]
            if x == x_top:
                skip = r >= r_top
                if skip:
                    break
            else:
                at = (r - r_top) / (2.0 * (x - x_top))
                if not crossings or at > crossings[-1]:
                    crossings.append(at)
                    break
            on.pop()
            if crossings:
                crossings.pop()
        if not skip:
            on.append(k)
    return np.array(on), np.array(crossings)
