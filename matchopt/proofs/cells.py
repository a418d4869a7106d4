"""The cells of the hardware neurons, and the cheapest one for many weights at once."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances import Hardware


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


@dataclass(frozen=True, eq=False)
class Chip:
    """The usable cells of all hardware neurons, ascending by weight within a neuron, before any gain.

    Parameters
    ----------
    weights : shape (M, K); behind the usable cells of a neuron there is 0.
    variance : in the same order, of all cells; None where there is no read noise.
    count : usable cells of each neuron.
    """

    weights: Float[np.ndarray, "neurons cells"]
    variance: Float[np.ndarray, "neurons cells"] | None
    count: Int[np.ndarray, " neurons"]

    @classmethod
    def of(cls, hardware: Hardware) -> "Chip":
        """Sort the cells of a layer's hardware."""
        whole = bool(hardware.usable.all())
        padded = hardware.weights if whole else np.where(hardware.usable, hardware.weights, np.inf)
        if not np.any(hardware.variance):
            weights, variance = np.sort(padded, axis=1), None
        else:
            order = np.argsort(padded, axis=1)
            weights = np.take_along_axis(padded, order, axis=1)
            variance = np.take_along_axis(hardware.variance, order, axis=1)
        weights = weights if whole else np.where(np.isfinite(weights), weights, 0.0)
        return cls(weights, variance, hardware.n_usable)

    def at(self, gain: float) -> Cells:
        """All neurons at one gain."""
        if gain == 1.0 and (self.count == self.weights.shape[1]).all():  # no copy of what may be large
            return Cells(self.weights, self.variance, np.zeros_like(self.count), self.count)
        return self.of_pairs(np.arange(len(self.count)), np.full(len(self.count), gain))

    def of_pairs(self, neurons: Int[np.ndarray, " pairs"], gains: Float[np.ndarray, " pairs"]) -> Cells:
        """The neuron neurons[p] at gains[p] as neuron number p; gains below zero must not stand beside others."""
        count, size = self.count[neurons], self.weights.shape[1]
        real = np.arange(size) < count[:, None]
        value = np.where(real, gains[:, None] * self.weights[neurons], np.inf)
        noise = None if self.variance is None else (gains * gains)[:, None] * self.variance[neurons]
        if not (gains < 0.0).any():
            return Cells(value, noise, np.zeros_like(count), count)
        assert (gains < 0.0).all()
        value = np.where(real, value, -np.inf)[:, ::-1]
        noise = None if noise is None else np.ascontiguousarray(noise[:, ::-1])
        return Cells(np.ascontiguousarray(value), noise, size - count, np.full_like(count, size))


def nearest(
    cells: Cells, j: int, weights: Float[np.ndarray, " weights"]
) -> tuple[Int[np.ndarray, " weights"], Float[np.ndarray, " weights"]]:
    """For each of the ascending `weights` the cheapest usable cell of neuron `j`, and its (a - x)^2 + noise.

    The neuron must have a usable cell.
    Up to a^2, which all cells share, cell (x, w) costs x^2 + w - 2 a x: a line in a. The cheapest cells are therefore
    the lower envelope of the lines, each best between two breakpoints. Without noise every cell is on it, and the
    breakpoints are the midpoints between neighbours.
    """
    on, breakpoints = envelope(cells, j)
    begin, end = int(cells.first[j]), int(cells.last[j])
    picked = np.searchsorted(breakpoints, weights)
    picked = picked if on is None else on[picked]
    distance = weights - cells.value[j, begin:end][picked]
    cost = distance * distance
    return picked, cost if cells.noise is None else cost + cells.noise[j, begin:end][picked]


def envelope(cells: Cells, j: int) -> tuple[Int[np.ndarray, " lines"] | None, Float[np.ndarray, " crossings"]]:
    """The usable cells of neuron `j` that are cheapest for some weight (None for all), and where they take turns."""
    begin, end = int(cells.first[j]), int(cells.last[j])
    value = cells.value[j, begin:end]
    if cells.noise is None:
        return None, 0.5 * (value[1:] + value[:-1])
    return _envelope(value.tolist(), (value * value + cells.noise[j, begin:end]).tolist())


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
