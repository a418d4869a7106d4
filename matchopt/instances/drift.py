"""Drift: what several readings of a chip over time say of its cells."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances.chip import Chip, ChipArray


def over_readings(chip: Chip, seconds: Sequence[float]) -> Chip:
    """The chip as its readings at several times show it, so that an objective is its expectation over them.

    With h_t the mean reading of a cell at time t and v_t its read noise there, each time counting equally, the squared
    error of a weight w under a gain g is on average

        mean over t of (w - g h_t)^2 + g^2 v_t = (w - g h)^2 + g^2 v,

    where h is the mean of h_t and v the variance of h_t over the times (divided by their number) plus the mean of v_t.
    So `weights` become h and `variance` v. That is the whole expectation where errors of weights add up; under an
    objective with correlated inputs it leaves out that drift moves cells together.

    Parameters
    ----------
    chip : with readings at these times.
    seconds : the times, at least one, none twice.

    Raises
    ------
    InvalidInstance
        when there is no time, one is given twice, or the chip was not read then.
    """
    if not seconds or len(set(seconds)) < len(seconds):
        raise InvalidInstance(f"seconds: times, each once, are needed, found {list(seconds)}")
    return replace(chip, arrays=tuple(_over(array, seconds) for array in chip.arrays))


def _over(array: ChipArray, seconds: Sequence[float]) -> ChipArray:
    at = [array.at(time) for time in seconds]
    means = np.stack([one.weights for one in at])
    noise = np.stack([one.variance for one in at]).mean(axis=0)
    assert array.readings is not None and array.seconds is not None  # else it would not be read at any time
    kept = np.isin(array.seconds, seconds)
    return replace(
        array,
        weights=means.mean(axis=0),
        variance=means.var(axis=0) + noise,
        off=np.where(array.stuck, 0.0, array.off),  # stuck cells add their mean
        readings=array.readings[kept],
        seconds=array.seconds[kept],
    )
