"""Matching costs of all target rows with all hardware neurons."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances import Gains, Hardware, Target
from matchopt.kernels.block import block_costs, block_interval_costs
from matchopt.kernels.packing import CellSorter, RowBlock, SortedCells, finite_values, neuron_blocks, row_blocks


def pair_costs(
    target: Target,
    hardware: Hardware,
    *,
    gains: Gains,
    drop: bool,
    importance: Float[np.ndarray, " connections"] | None = None,
    threads: int = 0,
) -> Float[np.ndarray, "rows neurons"]:
    """Cost of the best wiring of every target row on every hardware neuron.

    cost[i, j] = min over gains g and over injective maps of the connections e of row i to usable cells k of neuron j of
    sum q_e ((w_e - g h_k)^2 + g^2 v_k). Exact up to rounding, for every gain set, importance and noise.

    Parameters
    ----------
    target : the m target rows; rows without connections cost 0.
    hardware : the M hardware neurons; buses and off values play no part.
    gains : the gains of the minimum; an interval is solved jointly with the wiring.
    drop : whether a connection may stay without a cell at cost q_e w_e^2.
    importance : q, >= 0, instead of `target.importance`.
    threads : number of threads; 0 means one per core that the process may use.

    Returns
    -------
    Array of shape (m, M), >= 0; inf where the row has more connections than the neuron usable cells and `drop` is off.

    Raises
    ------
    InvalidInstance
        when `importance` does not fit the target, or `threads` is negative.
    """
    return _Scan(target, hardware, gains, drop, importance, threads).dense()


def nearest_cell_costs(
    target: Target,
    hardware: Hardware,
    *,
    gains: Gains,
    drop: bool,
    importance: Float[np.ndarray, " connections"] | None = None,
    threads: int = 0,
) -> Float[np.ndarray, "rows neurons"]:
    """Lower bound of `pair_costs`: every connection takes its cheapest cell, whether another one has it or not.

    Parameters
    ----------
    target, hardware, gains, drop, importance, threads : as for `pair_costs`.

    Returns
    -------
    As for `pair_costs`, with the same errors; inf only where the neuron has no usable cell, the row has connections and
    `drop` is off.
    """
    return _Scan(target, hardware, gains, drop, importance, threads, distinct=False).dense()


def cheapest_neurons(
    target: Target,
    hardware: Hardware,
    *,
    gains: Gains,
    drop: bool,
    keep: int,
    importance: Float[np.ndarray, " connections"] | None = None,
    threads: int = 0,
) -> tuple[Int[np.ndarray, "rows keep"], Float[np.ndarray, "rows keep"]]:
    """The `keep` cheapest hardware neurons of every row, without ever holding the whole cost matrix.

    Parameters
    ----------
    target, hardware, gains, drop, importance, threads : as for `pair_costs`.
    keep : number of neurons to keep per row, 1 .. M.

    Returns
    -------
    (neurons, costs), each of shape (m, keep), costs ascending, equal ones by neuron; neuron -1 with cost inf fills up
    rows that fit fewer neurons.

    Raises
    ------
    InvalidInstance
        as `pair_costs`, and when `keep` is out of range.
    """
    if not 1 <= keep <= hardware.n_neurons:
        raise InvalidInstance(f"keep must be in 1 .. {hardware.n_neurons} (the hardware neurons), found {keep}")
    found: list[tuple[np.ndarray, np.ndarray]] = []

    def new_sink() -> Sink:
        neurons = np.full((target.n_rows, keep), -1, np.int64)
        costs = np.full((target.n_rows, keep), np.inf)
        found.append((neurons, costs))
        return Sink(lambda rows: np.ascontiguousarray(costs[rows, -1]), _merge_into(neurons, costs))

    _Scan(target, hardware, gains, drop, importance, threads).run(new_sink)
    neurons = np.concatenate([part for part, _ in found], axis=1)
    costs = np.concatenate([part for _, part in found], axis=1)
    order = np.lexsort((neurons, costs))[:, :keep]
    return np.take_along_axis(neurons, order, axis=1), np.take_along_axis(costs, order, axis=1)


@dataclass(frozen=True, eq=False)
class Sink:
    """Where one thread puts its results.

    Parameters
    ----------
    limits : for some rows, the costs from which on a pair is of no interest.
    take : receives rows, neurons and their costs, shape (neurons, rows).
    """

    limits: Callable[[slice], Float[np.ndarray, " rows"]]
    take: Callable[[slice, slice, Float[np.ndarray, "neurons rows"]], None]


@dataclass(frozen=True, eq=False)
class _Scan:
    """All pairs under one rule; without `distinct` cells may be shared. See `pair_costs`."""

    target: Target
    hardware: Hardware
    gains: Gains
    drop: bool
    importance: Float[np.ndarray, " connections"] | None
    threads: int
    distinct: bool = True

    def dense(self) -> Float[np.ndarray, "rows neurons"]:
        """The costs of all pairs."""
        cost = np.empty((self.target.n_rows, self.hardware.n_neurons))

        def take(rows: slice, neurons: slice, found: Float[np.ndarray, "neurons rows"]) -> None:
            cost[rows, neurons] = found.T

        sink = Sink(lambda rows: np.full(rows.stop - rows.start, np.inf), take)
        self.run(lambda: sink)
        return cost

    def run(self, new_sink: Callable[[], Sink]) -> None:
        """Pass the costs of all pairs, block by block, to the sinks of as many threads."""
        if self.threads < 0:
            raise InvalidInstance(f"threads must be >= 0 (0 = all cores), found {self.threads}")
        threads = min(self.threads or _cores(), max(1, self.hardware.n_neurons))
        rows = row_blocks(self.target, self.importance)
        sorter = CellSorter.of(self.hardware)
        solve = _solver(rows, self.gains, self.drop, self.distinct)
        # One shared iterator: a thread that is done takes the next block. next() on it is atomic.
        blocks = iter(list(neuron_blocks(self.hardware.n_neurons, threads)))

        def work(sink: Sink) -> None:
            for neurons in blocks:
                _solve_block(sorter, rows, neurons, solve, sink)

        if threads == 1:
            work(new_sink())
            return
        with ThreadPoolExecutor(threads) as pool:
            jobs = [pool.submit(work, new_sink()) for _ in range(threads)]
            try:
                for job in jobs:
                    job.result()
            finally:
                for _ in blocks:  # after an error or an interrupt the other threads find nothing left to do
                    pass


def _merge_into(
    neurons: Int[np.ndarray, "rows keep"], costs: Float[np.ndarray, "rows keep"]
) -> Callable[[slice, slice, Float[np.ndarray, "neurons rows"]], None]:
    def take(rows: slice, block: slice, found: Float[np.ndarray, "neurons rows"]) -> None:
        index = np.where(np.isfinite(found.T), np.arange(block.start, block.stop), -1)
        both = np.concatenate([costs[rows], found.T], axis=1)
        # Stable, and what is kept comes first: of equal costs the lower neuron stays.
        order = np.argsort(both, axis=1, kind="stable")[:, : costs.shape[1]]
        costs[rows] = np.take_along_axis(both, order, axis=1)
        neurons[rows] = np.take_along_axis(np.concatenate([neurons[rows], index], axis=1), order, axis=1)

    return take


Solve = Callable[[SortedCells, RowBlock, np.ndarray, np.ndarray], None]


def _solve_block(sorter: CellSorter, rows: list[RowBlock], neurons: slice, solve: Solve, sink: Sink) -> None:
    cells = sorter.sort(neurons)
    for block in rows:
        span = slice(block.first, block.first + block.n_rows)
        found = np.empty((neurons.stop - neurons.start, block.n_rows))
        solve(cells, block, sink.limits(span), found)
        sink.take(span, neurons, found)


def _solver(rows: list[RowBlock], gains: Gains, drop: bool, distinct: bool) -> Solve:
    values = finite_values(gains)
    if values is not None:
        return lambda cells, block, limits, out: block_costs(cells, block, values, drop, distinct, limits, out)
    steepest = {block.first: block.steepest for block in rows}
    low, high = gains.low, gains.high

    def solve(cells: SortedCells, block: RowBlock, limits: np.ndarray, out: np.ndarray) -> None:
        del limits  # the envelope search prunes by its own incumbent
        block_interval_costs(cells, block, steepest[block.first], low, high, drop, distinct, out)

    return solve


def _cores() -> int:
    """Cores that the process may use: what NUMBA_NUM_THREADS says (a solve with a thread limit sets it), else all."""
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
