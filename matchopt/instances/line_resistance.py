"""Line resistance: what wires take of a cell's weight, by its place in the array."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.chip import Chip, ChipArray
from matchopt.instances.hardware import Hardware
from matchopt.settings import NonNegativeFloat, checked

# The fields of hardware that are values of cells (1) or variances of them (2).
POWERS = {"weights": 1, "off": 1, "low": 1, "high": 1, "levels": 1, "variance": 2, "write_variance": 2,
          "level_variance": 2}  # fmt: skip


def line_factors(neurons: int, cells: int, segment: float) -> Float[np.ndarray, "neurons cells"]:
    """What is left of every cell's weight, 0 .. 1, shape (neurons, cells).

    Line k is driven beside neuron 0 and crosses the neurons in order; neuron j sums over cells 0, 1, .. in order and is
    read at virtual ground behind the last. Where every cell has the typical conductance G and every line is driven, the
    currents through segments of resistance R drop, in first order of r = R G, the share r * A_j of the voltage on the
    way to neuron j and r * B_k behind cell k:

        A_j = sum over s = 0 .. j of (M - s) = (j + 1) (M - j / 2)
        B_k = sum over s = k .. K - 1 of (s + 1) = (K (K + 1) - k (k + 1)) / 2
        f(j, k) = 1 / (1 + r (A_j + B_k))

    Parameters
    ----------
    neurons, cells : size M x K of the whole array.
    segment : r, resistance of the wire between two neighbouring cells times the typical conductance of a cell, >= 0;
        times the mean activity where lines are seldom driven together.

    Raises
    ------
    InvalidInstance
        when `segment` is out of its range.

    References
    ----------
    A. Chen, "A comprehensive crossbar array model with solutions for line resistance and nonlinear device
    characteristics", IEEE Transactions on Electron Devices 60 (2013), doi:10.1109/TED.2013.2246791, has the circuit and
    its exact equations, of which this is the first order.
    """
    r = checked(segment, NonNegativeFloat, "line_resistance", InvalidInstance)
    j, k = np.arange(neurons)[:, None], np.arange(cells)
    return np.asarray(1.0 / (1.0 + r * ((j + 1) * (neurons - j / 2) + (cells * (cells + 1) - k * (k + 1)) / 2)))


def chip_behind_lines(chip: Chip, segment: float) -> Chip:
    """The chip with the weights that are left of it; every array has lines of its own. See `line_factors`.

    Values that can be written are taken as they are read behind the wires too.
    """
    return replace(chip, arrays=tuple(_array(array, segment) for array in chip.arrays))


def hardware_behind_lines(hardware: Hardware, segment: float) -> Hardware:
    """The same of hardware that is an array by itself."""
    if segment == 0.0:
        return hardware
    f = line_factors(hardware.n_neurons, hardware.n_cells, segment)
    return replace(hardware, **_values({name: getattr(hardware, name) for name in POWERS}, f))


def _array(array: ChipArray, segment: float) -> ChipArray:
    f = line_factors(array.n_neurons, array.n_cells, segment)
    fields = {name: getattr(array, name) for name in ("weights", "off", "variance")}
    readings = None if array.readings is None else array.readings * f
    return replace(array, **_values(fields, f), readings=readings, others=_values(array.others, f))


def _values(fields: Mapping[str, np.ndarray], f: Float[np.ndarray, "neurons cells"]) -> dict[str, Any]:
    """Values of cells times the factor, variances times its square; what is neither stays."""
    return {
        name: values * (f if values.ndim == 2 else f[:, :, None]) ** POWERS[name] if name in POWERS else values
        for name, values in fields.items()
    }
