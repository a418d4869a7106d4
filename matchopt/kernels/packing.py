"""Targets and hardware neurons sorted and packed for the compiled loops."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import Gains, Hardware, Target
from matchopt.instances.arrays import is_constant
from matchopt.instances.demands import understanding

# Connections per block of rows, so that what one merge writes (4 bytes each) stays in the second-level cache.
BLOCK_CONNECTIONS = 65536
# Every pair of a row and a neuron stands alone here: what lines add, or whom they are shared with, is left to callers.
UNDERSTOOD = {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "gains", "gain-interval"}


class RowBlock(NamedTuple):
    """Consecutive target rows, each sorted by weight; compiled loops take it as it is.

    Parameters
    ----------
    first : number of the first row.
    connection : number of each connection in the target, in the order used here.
    starts : start of each row, shape (rows + 1,).
    weights, importance : of each connection, weights ascending within a row.
    uniform : whether importance is constant within each row.
    skip : cost of leaving each connection without a cell; empty where none may be.
    ascending : all weights of the block in ascending order, with a trailing inf.
    place : position in `weights` of each entry of `ascending`.
    """

    first: int
    connection: Int[np.ndarray, " connections"]
    starts: Int[np.ndarray, " rows_and_one"]
    weights: Float[np.ndarray, " connections"]
    importance: Float[np.ndarray, " connections"]
    uniform: Bool[np.ndarray, " rows"]
    skip: Float[np.ndarray, " some_connections"]
    ascending: Float[np.ndarray, " connections_and_one"]
    place: Int[np.ndarray, " connections"]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.uniform)

    @property
    def steepest(self) -> Int[np.ndarray, " connections"]:
        """Order of importance * weight within each row, counted from the row's start."""
        row = np.repeat(np.arange(self.n_rows), np.diff(self.starts))
        order = np.lexsort((self.importance * self.weights, row))
        within: np.ndarray = (order - self.starts[row]).astype(np.int32)
        return within


@understanding("a kernel of pairs", UNDERSTOOD)
def row_blocks(
    target: Target,
    importance: Float[np.ndarray, " connections"] | None,
    most_rows: int = 4096,
    drop: bool = False,
    price: float | None = None,
) -> list[RowBlock]:
    """Split the target into blocks of at most `most_rows` (below 2^15) consecutive rows.

    A connection without a cell costs its weighted square with `drop`, and `price` where there is one; the less of both.

    Raises
    ------
    InvalidInstance
        when `importance` has the wrong length, or a value is negative or not finite, as for `price`.
    """
    importance, skip = checked_importance(target, importance), np.zeros(0)
    if price is not None and not 0.0 <= price < np.inf:
        raise InvalidInstance(f"price must be finite and >= 0, found {price}")
    if drop or price is not None:
        skip = importance * target.weights * target.weights if drop else np.full(target.n_connections, np.inf)
        skip = skip if price is None else np.minimum(skip, price)
    blocks = []
    first = 0
    while first < target.n_rows:
        room = int(target.indptr[first]) + BLOCK_CONNECTIONS
        last = max(first + 1, int(np.searchsorted(target.indptr, room, side="right")) - 1)
        last = min(last, first + most_rows, target.n_rows)
        blocks.append(_block(target, importance, skip, first, last))
        first = last
    return blocks


class SortedCells(NamedTuple):
    """Usable cells of some hardware neurons in ascending order of their weight; compiled loops take it as it is.

    Parameters
    ----------
    cells : weights, unusable cells last as inf.
    variance : read noise in the same order; no columns where all of it is zero.
    n_usable : number of usable cells of each neuron.
    order : cell of each position; no columns where it was not asked for.
    """

    cells: Float[np.ndarray, "neurons cells"]
    variance: Float[np.ndarray, "neurons noisy_cells"]
    n_usable: Int[np.ndarray, " neurons"]
    order: Int[np.ndarray, "neurons some_cells"]


@dataclass(frozen=True, eq=False)
class CellSorter:
    """Sorts the cells of a few hardware neurons at a time, so that no sorted copy of the hardware is ever kept."""

    hardware: Hardware
    noisy: bool
    all_usable: bool

    @classmethod
    @understanding("a kernel of pairs", UNDERSTOOD)
    def of(cls, hardware: Hardware) -> "CellSorter":
        """Look once at which arrays are at their default."""
        return cls(hardware, not is_constant(hardware.variance, 0.0), is_constant(hardware.usable, True))

    def sort(self, neurons: slice | Int[np.ndarray, " some"], with_order: bool = False) -> SortedCells:
        """The sorted cells of `neurons`."""
        cells = self.hardware.weights[neurons]
        n_usable = np.full(len(cells), cells.shape[1], np.int64)
        if not self.all_usable:
            usable = self.hardware.usable[neurons]
            cells = np.where(usable, cells, np.inf)
            n_usable = np.asarray(usable.sum(axis=1), np.int64)
        if not (self.noisy or with_order):
            nothing = np.empty((len(cells), 0), np.int64)
            return SortedCells(np.sort(cells, axis=1), np.empty((len(cells), 0)), n_usable, nothing)
        order = np.argsort(cells, axis=1, kind="stable")
        variance = np.empty((len(cells), 0))
        if self.noisy:
            variance = np.take_along_axis(self.hardware.variance[neurons], order, axis=1)
        return SortedCells(np.take_along_axis(cells, order, axis=1), variance, n_usable, order)


def cores() -> int:
    """Cores that the process may use: what NUMBA_NUM_THREADS says (a solve with a thread limit sets it), else all."""
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def neuron_blocks(n_neurons: int, threads: int) -> Iterator[slice]:
    """Slices of hardware neurons, small enough that threads end together."""
    size = max(1, min(16, n_neurons // (8 * threads)))
    for first in range(0, n_neurons, size):
        yield slice(first, min(first + size, n_neurons))


@understanding("a kernel of pairs", UNDERSTOOD)
def finite_values(gains: Gains, price: float | None = None) -> Float[np.ndarray, " gains"] | None:
    """The gains as an array, or None for a true interval, which must not meet a price of tunable weights."""
    if not isinstance(gains, Gains):
        raise InvalidInstance(f"gains must be a matchopt.Gains, such as Gains.finite(1.0), found {gains!r}")
    if gains.values is not None:
        return np.array(gains.values)
    if gains.low != gains.high and price is not None:
        raise InvalidInstance("price: tunable weights have one only under a finite set of gains, found an interval")
    return np.array([gains.low]) if gains.low == gains.high else None


def checked_importance(
    target: Target, importance: Float[np.ndarray, " connections"] | None
) -> Float[np.ndarray, " connections"]:
    """These importances, or those of the target for None."""
    if importance is None:
        given: np.ndarray = target.importance
        return given
    if importance.shape != (target.n_connections,):
        raise InvalidInstance(
            f"importance must have one value per connection, {target.n_connections}, found shape {importance.shape}"
        )
    wrong = ~(np.isfinite(importance) & (importance >= 0.0))
    if wrong.any():
        e = int(np.argmax(wrong))
        raise InvalidInstance(f"importance must be finite and >= 0, found {importance[e]} at connection {e}")
    return importance


def _block(
    target: Target,
    importance: Float[np.ndarray, " connections"],
    skip: Float[np.ndarray, " some_connections"],
    first: int,
    last: int,
) -> RowBlock:
    start, stop = int(target.indptr[first]), int(target.indptr[last])
    starts = target.indptr[first : last + 1] - start
    weights = target.weights[start:stop]
    by_weight = np.argsort(weights)
    # Sorting the rows of `by_weight` stably leaves each row ascending; numpy sorts 16-bit integers by radix.
    row = np.repeat(np.arange(last - first, dtype=np.int16), np.diff(starts))
    by_row = np.argsort(row[by_weight], kind="stable")
    place = np.empty(len(weights), np.int32)
    place[by_row] = np.arange(len(weights), dtype=np.int32)
    connection = start + by_weight[by_row]
    weight = importance[connection]
    differs = np.zeros(last - first, bool)
    if len(weight):
        differs[row[1:][(np.diff(weight) != 0) & (np.diff(row) == 0)]] = True
    ascending = np.append(weights[by_weight], np.inf)
    skip = skip[connection] if skip.size else skip
    return RowBlock(first, connection, starts, target.weights[connection], weight, ~differs, skip, ascending, place)
