"""Matching costs of all target rows with all hardware neurons."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels.block import block_costs, block_interval_costs
from matchopt.kernels.menus import menu_cells, menu_costs, menu_gains
from matchopt.kernels.packing import CellSorter, RowBlock, SortedCells, cores, finite_values, neuron_blocks, row_blocks

BLOCK_NEURONS, MERGED_ROWS = 512, 256  # neurons whose costs are held at a time; rows looked through together
SHARE = 2**17  # costs of connections, half a millisecond, for which it is worth to start a thread


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
    threads : number of threads; 0 means one per core that the process may use, fewer where there is little to do.
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
    cost = np.empty((target.n_rows, hardware.n_neurons))
    _filler(target, hardware, gains, drop, importance, price, threads, write_price)(0, cost)
    return cost


@dataclass(frozen=True, eq=False)
class BestPairs:
    """The cheapest pairs of every row.

    Parameters
    ----------
    neuron : hardware neurons of each row's pairs, in no order, shape (rows, kept).
    cost : their costs, inf where the row does not fit.
    left : least cost of the pairs of each row that are left out; inf where all are here, or no other fits; 0 where
        neurons have not been looked at.
    """

    neuron: Int[np.ndarray, "rows kept"]
    cost: Float[np.ndarray, "rows kept"]
    left: Float[np.ndarray, " rows"]


def best_pairs(
    target: Target,
    hardware: Hardware,
    *,
    gains: Gains,
    drop: bool,
    keep: int,
    importance: Float[np.ndarray, " connections"] | None = None,
    threads: int = 0,
    write_price: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
) -> BestPairs:
    """The `keep` cheapest hardware neurons of every row, without ever holding the costs of all pairs.

    Parameters
    ----------
    target, hardware, gains, drop, importance, threads, write_price : as for `pair_costs`, which it raises the same as.
    keep : how many, >= 1; all where there are not so many.
    stop : asked now and then; once it is true, which it must remain, no further neurons are looked at.

    Returns
    -------
    Pairs whose costs are those of `pair_costs`, to the last digit.
    """
    keep, width = min(keep, hardware.n_neurons), max(BLOCK_NEURONS, keep)
    fill = _filler(target, hardware, gains, drop, importance, None, threads, write_price, stop)
    neuron, cost = np.zeros((target.n_rows, 0), np.int32), np.zeros((target.n_rows, 0))
    left = np.full(target.n_rows, np.inf)
    for first in range(0, hardware.n_neurons, width):
        found = np.empty((target.n_rows, min(width, hardware.n_neurons - first)))
        fill(first, found)
        size = min(keep, cost.shape[1] + found.shape[1])
        here = np.arange(first, first + found.shape[1], dtype=np.int32)
        neurons, costs = np.empty((target.n_rows, size), np.int32), np.empty((target.n_rows, size))
        for start in range(0, target.n_rows, MERGED_ROWS):
            rows = slice(start, start + MERGED_ROWS)
            both = np.concatenate([cost[rows], found[rows]], axis=1)
            names = np.concatenate([neuron[rows], np.broadcast_to(here, found[rows].shape)], axis=1)
            if size < both.shape[1]:
                order = np.argpartition(both, size, axis=1)
                left[rows] = np.minimum(left[rows], np.take_along_axis(both, order[:, size : size + 1], axis=1)[:, 0])
                both, names = (np.take_along_axis(part, order[:, :size], axis=1) for part in (both, names))
            neurons[rows], costs[rows] = names, both
        neuron, cost = neurons, costs
        if stop():
            left[:] = 0.0
            break
    return BestPairs(neuron, cost, left)


Fill = Callable[[int, Float[np.ndarray, "rows some_neurons"]], None]


def _filler(
    target: Target,
    hardware: Hardware,
    gains: Gains,
    drop: bool,
    importance: Float[np.ndarray, " connections"] | None,
    price: float | None,
    threads: int,
    write_price: float,
    stop: Callable[[], bool] = lambda: False,
) -> Fill:
    """What fills in the costs of consecutive neurons, from a first one on; inf once it is to stop."""
    if threads < 0:
        raise InvalidInstance(f"threads must be >= 0 (0 = all cores), found {threads}")
    rows = row_blocks(target, importance, drop=drop, price=price)
    values = finite_values(gains, price)
    if hardware.programmable:
        solve = partial(_written_costs, hardware, menu_gains(gains), write_price)
    else:
        solve = partial(_sorted_costs, CellSorter.of(hardware), _solver(rows, values, gains))

    def fill(first: int, cost: Float[np.ndarray, "rows some_neurons"]) -> None:
        worthwhile = min(cores(), 1 + target.n_connections * cost.shape[1] // SHARE)
        most = min(threads or worthwhile, max(1, cost.shape[1]))
        # One shared iterator: a thread that is done takes the next block. next() on it is atomic.
        blocks = iter(list(neuron_blocks(cost.shape[1], most)))

        def work() -> None:
            for part in blocks:
                if stop():
                    cost[:, part] = np.inf
                    continue
                neurons = slice(first + part.start, first + part.stop)
                for block, found in zip(rows, solve(neurons, rows), strict=True):
                    cost[block.first : block.first + block.n_rows, part] = found.T

        _on_threads(work, most, blocks)

    return fill


def _on_threads(work: Callable[[], None], threads: int, blocks: Iterator[slice]) -> None:
    if threads == 1:
        work()
        return
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(work) for _ in range(threads)]
        try:
            for job in jobs:
                job.result()
        finally:
            for _ in blocks:  # after an error or an interrupt the other threads find nothing left to do
                pass


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
