"""Matching costs of all target rows with all hardware neurons."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels.block import block_costs, block_interval_costs
from matchopt.kernels.menus import menu_cells, menu_costs, menu_gains
from matchopt.kernels.packing import CellSorter, RowBlock, SortedCells, cores, finite_values, neuron_blocks, row_blocks


def pair_costs(
    target: Target,
    hardware: Hardware,
    *,
    gains: Gains,
    drop: bool,
    importance: Float[np.ndarray, " connections"] | None = None,
    price: float | None = None,
    threads: int = 0,
    write_price: float = 0.0,
) -> Float[np.ndarray, "rows neurons"]:
    """Cost of the best wiring of every target row on every hardware neuron.

    cost[i, j] = min over gains g and over injective maps of the connections e of row i to usable cells k of neuron j of
    sum q_e ((w_e - g h_k)^2 + g^2 v_k), and of what to write into cells where that is possible. Exact up to rounding,
    for every gain set, importance and noise.

    Parameters
    ----------
    target : the m target rows; rows without connections cost 0.
    hardware : the M hardware neurons; buses and off values play no part.
    gains : the gains of the minimum; an interval is solved jointly with the wiring.
    drop : whether a connection may stay without a cell at cost q_e w_e^2.
    importance : q, >= 0, instead of `target.importance`.
    price : cost of a fully tunable weight, which any connection may have in place of a cell, >= 0; None for none.
    threads : number of threads; 0 means one per core that the process may use.
    write_price : what a write costs besides, >= 0.

    Returns
    -------
    Array of shape (m, M), >= 0; inf where the row has more connections than the neuron usable cells and `drop` is off.

    Raises
    ------
    InvalidInstance
        when `importance` does not fit the target, `threads` is negative, or there is a price under gains in an
        interval.
    Refused
        for cells that can be written under gains of an interval.
    """
    if threads < 0:
        raise InvalidInstance(f"threads must be >= 0 (0 = all cores), found {threads}")
    threads = min(threads or cores(), max(1, hardware.n_neurons))
    rows = row_blocks(target, importance, drop=drop, price=price)
    values, cost = finite_values(gains, price), np.empty((target.n_rows, hardware.n_neurons))
    if hardware.programmable:
        solve = partial(_written_costs, hardware, menu_gains(gains), write_price)
    else:
        solve = partial(_sorted_costs, CellSorter.of(hardware), _solver(rows, values, gains))
    # One shared iterator: a thread that is done takes the next block. next() on it is atomic.
    blocks = iter(list(neuron_blocks(hardware.n_neurons, threads)))

    def work() -> None:
        for neurons in blocks:
            for block, found in zip(rows, solve(neurons, rows), strict=True):
                cost[block.first : block.first + block.n_rows, neurons] = found.T

    if threads == 1:
        work()
        return cost
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(work) for _ in range(threads)]
        try:
            for job in jobs:
                job.result()
        finally:
            for _ in blocks:  # after an error or an interrupt the other threads find nothing left to do
                pass
    return cost


Found = Iterator[Float[np.ndarray, "neurons rows"]]


def _sorted_costs(
    sorter: CellSorter,
    solve: Callable[[SortedCells, RowBlock, Float[np.ndarray, "neurons rows"]], None],
    neurons: slice,
    rows: list[RowBlock],
) -> Found:
    cells = sorter.sort(neurons)
    for block in rows:
        found = np.empty((neurons.stop - neurons.start, block.n_rows))
        solve(cells, block, found)
        yield found


def _written_costs(
    hardware: Hardware, gains: Float[np.ndarray, " gains"], price: float, neurons: slice, rows: list[RowBlock]
) -> Found:
    cells = menu_cells(hardware, neurons)
    for block in rows:
        found = np.empty((neurons.stop - neurons.start, block.n_rows))
        menu_costs(cells, block, gains, price, found)
        yield found


def _solver(
    rows: list[RowBlock], values: Float[np.ndarray, " gains"] | None, gains: Gains
) -> Callable[[SortedCells, RowBlock, Float[np.ndarray, "neurons rows"]], None]:
    """What fills in the costs of some neurons for a block of rows."""
    if values is not None:
        return lambda cells, block, out: block_costs(cells, block, values, out)
    steepest, low, high = {block.first: block.steepest for block in rows}, gains.low, gains.high
    return lambda cells, block, out: block_interval_costs(cells, block, steepest[block.first], low, high, out)
