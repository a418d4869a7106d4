"""What a measured array is like, in figures: values, faults, neighbours, noise, drift."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from matchopt.instances.chip import ChipArray
from matchopt.instances.places import Place

DEAD = 0.6  # share of faulty cells from which on a line is called dead; in measured arrays lines have 0.1 or 0.8


@dataclass(frozen=True)
class ArrayFigures:
    """One array of a chip; values are those of cells that are usable and not stuck, in its unit.

    Parameters
    ----------
    place : where it was read from.
    n_cells : number of its columns; of rows see `place`.
    levels : number of different values.
    quantiles : least value, 5 %, median, 95 % and largest value; None where no cell is healthy.
    mean, deviation : mean and standard deviation of the values.
    negative : cells with a value below 0.
    unusable : cells that cannot be used.
    stuck_low, stuck_high : cells stuck below and above the median value.
    dead_rows, dead_columns : numbers of the lines of which at least 60 % of the cells are unusable or stuck.
    along_row, along_column : correlation of a value with the next one in its row, and in its column; None where there
        is none to compute.
    shared_lines : number of buses that several rows are on.
    readings : readings besides, 0 for none; `times` when they were taken, in seconds.
    noise : root of the mean read-noise variance.
    drift : root mean square difference of the values between the first and the last time; None without two times.
    """

    place: Place
    n_cells: int
    levels: int
    quantiles: tuple[float, ...] | None
    mean: float
    deviation: float
    negative: int
    unusable: int
    stuck_low: int
    stuck_high: int
    dead_rows: tuple[int, ...]
    dead_columns: tuple[int, ...]
    along_row: float | None
    along_column: float | None
    shared_lines: int
    readings: int
    times: tuple[float, ...]
    noise: float
    drift: float | None


def figures_of(array: ChipArray) -> ArrayFigures:
    """All that is computed of one array."""
    bad = ~array.usable | array.stuck
    values, unusable = array.weights[~bad], ~array.usable
    middle = float(np.median(values if values.size else array.weights)) if array.weights.size else 0.0
    stuck = array.stuck & array.usable
    buses = np.unique(array.bus, return_counts=True)[1]
    return ArrayFigures(
        place=array.place,
        n_cells=array.n_cells,
        levels=len(np.unique(values)),
        quantiles=tuple(np.quantile(values, [0.0, 0.05, 0.5, 0.95, 1.0]).tolist()) if values.size else None,
        mean=float(values.mean()) if values.size else 0.0,
        deviation=float(values.std()) if values.size else 0.0,
        negative=int((values < 0).sum()),
        unusable=int(unusable.sum()),
        stuck_low=int((stuck & (array.weights < middle)).sum()),
        stuck_high=int((stuck & (array.weights >= middle)).sum()),
        dead_rows=_dead(bad),
        dead_columns=_dead(bad.T),
        along_row=_neighbours(array.weights, bad),
        along_column=_neighbours(array.weights.T, bad.T),
        shared_lines=int((buses > 1).sum()),
        readings=0 if array.readings is None else len(array.readings),
        times=array.times,
        noise=float(np.sqrt(array.variance[~bad].mean())) if values.size else 0.0,
        drift=_drift(array, bad),
    )


def _dead(bad: Bool[np.ndarray, "lines cells"]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(bad.mean(axis=1) >= DEAD).tolist()) if bad.size else ()


def _neighbours(weights: Float[np.ndarray, "lines cells"], bad: Bool[np.ndarray, "lines cells"]) -> float | None:
    """The correlation of healthy cells with the healthy ones behind them."""
    both = ~bad[:, :-1] & ~bad[:, 1:]
    first, second = weights[:, :-1][both], weights[:, 1:][both]
    if len(first) < 3 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _drift(array: ChipArray, bad: Bool[np.ndarray, "neurons cells"]) -> float | None:
    if len(array.times) < 2 or bool(bad.all()):
        return None
    first, last = (array.at(time).weights[~bad] for time in (array.times[0], array.times[-1]))
    return float(np.sqrt(np.mean((last - first) ** 2)))
