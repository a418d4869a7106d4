"""The optimal wiring itself, for hardware neurons that are already chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidSolution, Refused
from matchopt.instances import Gains, Hardware, Target
from matchopt.instances.arrays import frozen
from matchopt.instances.cell_states import best_states
from matchopt.kernels.block import block_interval_matchings, block_matchings
from matchopt.kernels.menus import menu_cells, menu_gains, menu_matchings
from matchopt.kernels.packing import CellSorter, RowBlock, finite_values, row_blocks

MOST_ROWS = 256  # rows wired together; bounds the sorted cells held at a time


@dataclass(frozen=True, eq=False)
class Matching:
    """Optimal wiring of every row on its hardware neuron.

    Parameters
    ----------
    cell_of : cell of each connection, -1 for dropped or tunable, shape (connections,).
    gain : gain of each row, shape (m,).
    cost : cost of each row, shape (m,), the same as `pair_costs` up to rounding.
    written : value to write into the cell of each connection, NaN for none; None where no cell can be written.
    """

    cell_of: Int[np.ndarray, " connections"]
    gain: Float[np.ndarray, " rows"]
    cost: Float[np.ndarray, " rows"]
    written: Float[np.ndarray, " connections"] | None = None


def match_rows(
    target: Target,
    hardware: Hardware,
    neuron_of: Int[np.ndarray, " rows"],
    *,
    gains: Gains,
    drop: bool,
    importance: Float[np.ndarray, " connections"] | None = None,
    price: float | None = None,
    write_price: float = 0.0,
) -> Matching:
    """Wire every row optimally on the hardware neuron it has been given.

    Parameters
    ----------
    target, hardware, gains, drop, importance, price, write_price : as for `pair_costs`.
    neuron_of : hardware neuron of each row, in 0 .. M - 1; two rows may share one here.

    Returns
    -------
    The cells, gains and costs. Of equally good gains of a finite set the first is taken; rows without connections get
    the first gain, or that of an interval nearest to 1.

    Raises
    ------
    InvalidSolution
        when `neuron_of` has the wrong length or names a neuron that does not exist.
    InvalidInstance
        when `importance` does not fit the target, or there is a price under gains in an interval.
    Refused
        when a row has more connections than its neuron has usable cells, `drop` is off and there is no price; and as
        `pair_costs` does.
    """
    blocks = row_blocks(target, importance, MOST_ROWS, drop, price)
    neuron_of = _checked(target, hardware, neuron_of, drop or price is not None)
    values = finite_values(gains, price)
    sorter = None if hardware.programmable else CellSorter.of(hardware)
    cell_of = np.full(target.n_connections, -1, np.int64)
    gain, cost = np.empty(target.n_rows), np.empty(target.n_rows)
    for block in blocks:
        span = slice(block.first, block.first + block.n_rows)
        if sorter is not None:
            _match_block(sorter, block, neuron_of[span], values, gains, cell_of, gain[span], cost[span])
            continue
        found = np.full(len(block.connection), -1, np.int64)
        cells = menu_cells(hardware, neuron_of[span])
        menu_matchings(cells, block, menu_gains(gains), write_price, found, gain[span], cost[span])
        cell_of[block.connection] = found
    written = (
        None if sorter is not None else _written(target, hardware, neuron_of, cell_of, gain, importance, write_price)
    )
    return Matching(cell_of, gain, cost, written)


def _written(
    target: Target,
    hardware: Hardware,
    neuron_of: Int[np.ndarray, " rows"],
    cell_of: Int[np.ndarray, " connections"],
    gain: Float[np.ndarray, " rows"],
    importance: Float[np.ndarray, " connections"] | None,
    price: float,
) -> Float[np.ndarray, " connections"]:
    """What is best written into the cells, NaN also where a connection has none."""
    wired, written = cell_of >= 0, np.full(len(cell_of), np.nan)
    row, factor = target.row_of[wired], (target.importance if importance is None else importance)[wired]
    where = (hardware, neuron_of[row], cell_of[wired], target.weights[wired])
    written[wired] = best_states(*where, factor=factor, gain=gain[row], price=price)[1]
    return written


def _match_block(
    sorter: CellSorter,
    block: RowBlock,
    neurons: Int[np.ndarray, " rows"],
    values: Float[np.ndarray, " gains"] | None,
    gains: Gains,
    cell_of: Int[np.ndarray, " all_connections"],
    gain: Float[np.ndarray, " rows"],
    cost: Float[np.ndarray, " rows"],
) -> None:
    found = sorter.sort(neurons, with_order=True)
    at = np.full(len(block.connection), -1, np.int32)
    if values is None:
        low, high = gains.low, gains.high
        block_interval_matchings(found, block, block.steepest, low, high, at, gain, cost)
    else:
        block_matchings(found, block, values, at, gain, cost)
    row = np.repeat(np.arange(block.n_rows), np.diff(block.starts))
    wired = at >= 0
    cell_of[block.connection[wired]] = found.order[row[wired], at[wired]]


def _checked(target: Target, hardware: Hardware, wanted: Any, drop: bool) -> Int[np.ndarray, " rows"]:
    neuron_of = frozen(wanted, "neuron_of", int, 1, shape=(target.n_rows,), error=InvalidSolution)
    outside = (neuron_of < 0) | (neuron_of >= hardware.n_neurons)
    if outside.any():
        i = int(np.argmax(outside))
        raise InvalidSolution(f"neuron_of, row {i}: {neuron_of[i]} is not in 0 .. {hardware.n_neurons - 1}")
    usable = hardware.n_usable[neuron_of]
    short = (target.fan_in > usable) & (not drop)
    if short.any():
        i = int(np.argmax(short))
        raise Refused(
            f"row {i} has {target.fan_in[i]} connections, but its hardware neuron {neuron_of[i]} has only {usable[i]} "
            "usable cells; allow dropping or choose another neuron"
        )
    return neuron_of
