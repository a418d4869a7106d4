"""A block of hardware neurons against a block of rows: the loops one thread runs without the interpreter."""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import compiled
from matchopt.kernels.envelope import Pair, best_gain
from matchopt.kernels.row_cost import match_row, row_cost, scale_cells
from matchopt.kernels.runs import nearest_cells, nearest_of_row
from matchopt.kernels.small_assignment import workspace


class Scratch(NamedTuple):
    """Room for one thread: the `longest` row, a neuron's `scaled` cells and `noise`, `conflicts`, `best`, `work`."""

    longest: Any
    scaled: Any
    noise: Any
    conflicts: Any
    best: Any
    work: Any


@compiled
def block_costs(hardware, rows, gains, out):
    """Fill out[neuron, row] with the least cost over a finite set of gains.

    `hardware` are `SortedCells` and `rows` is a `RowBlock`.
    """
    cells, variance, n_usable = hardware.cells, hardware.variance, hardware.n_usable
    starts, weights, importance, uniform, skip = rows.starts, rows.weights, rows.importance, rows.uniform, rows.skip
    near = np.empty(weights.size, np.int32)
    scratch = _scratch(rows, hardware)
    scaled, noise = scratch.scaled, scratch.noise
    for j in range(cells.shape[0]):
        n_cells = n_usable[j]
        for i in range(starts.size - 1):
            out[j, i] = np.inf
        for gain in gains:
            scale_cells(gain, cells[j], variance[j], n_cells, scaled, noise)
            nearest_cells(rows.ascending, rows.place, scaled, n_cells, near)
            for i in range(starts.size - 1):
                a, b = starts[i], starts[i + 1]
                cost = row_cost(
                    a, b, weights, importance, uniform[i], scaled, noise, n_cells, skip, near,
                    np.inf, scratch.conflicts, scratch.best, scratch.work,
                )  # fmt: skip
                out[j, i] = min(out[j, i], cost)


@compiled
def block_interval_costs(hardware, rows, steepest, low, high, out):
    """Like `block_costs`, every gain from `low` to `high` being allowed; `steepest` is `RowBlock.steepest`."""
    scratch = _scratch(rows, hardware)
    near, kept = np.empty(scratch.longest, np.int32), np.empty(scratch.longest, np.int32)
    for j in range(hardware.cells.shape[0]):
        for i in range(rows.starts.size - 1):
            pair = _pair(hardware, rows, steepest, i, j)
            out[j, i], _ = best_gain(pair, low, high, near, kept, scratch)


@compiled
def block_matchings(hardware, rows, gains, cell_of, gain_of, cost_of):
    """Match row i with the i-th neuron given; `cell_of` gets positions in the sorted cells, -1 for none."""
    cells, variance, starts = hardware.cells, hardware.variance, rows.starts
    scratch = _scratch(rows, hardware)
    near, scaled, noise = np.empty(scratch.longest, np.int32), scratch.scaled, scratch.noise
    for i in range(starts.size - 1):
        row = slice(starts[i], starts[i + 1])
        weights, importance, skip = rows.weights[row], rows.importance[row], rows.skip[row]
        n, n_cells = starts[i + 1] - starts[i], hardware.n_usable[i]
        cost_of[i] = np.inf
        gain_of[i] = gains[0]
        for gain in gains:
            scale_cells(gain, cells[i], variance[i], n_cells, scaled, noise)
            nearest_of_row(weights, scaled, n_cells, near)
            cost = match_row(
                np.int64(0), n, weights, importance, rows.uniform[i], scaled, noise, n_cells, skip, near,
                cost_of[i], scratch.conflicts, scratch.work,
            )  # fmt: skip
            if cost < cost_of[i]:
                cost_of[i], gain_of[i] = cost, gain
                for e in range(n):
                    reverse = gain < 0.0 and near[e] >= 0
                    cell_of[starts[i] + e] = n_cells - 1 - near[e] if reverse else near[e]


@compiled
def block_interval_matchings(hardware, rows, steepest, low, high, cell_of, gain_of, cost_of):
    """Like `block_matchings`, every gain from `low` to `high` being allowed."""
    scratch = _scratch(rows, hardware)
    near = np.empty(scratch.longest, np.int32)
    for i in range(rows.starts.size - 1):
        row = slice(rows.starts[i], rows.starts[i + 1])
        pair = _pair(hardware, rows, steepest, i, i)
        cost_of[i], gain_of[i] = best_gain(pair, low, high, near, cell_of[row], scratch)


@compiled  # counts references: views that a leaf makes must not leave it
def _pair(hardware, rows, steepest, i, j):
    row = slice(rows.starts[i], rows.starts[i + 1])
    return Pair(
        rows.weights[row], rows.importance[row], rows.uniform[i], steepest[row],
        hardware.cells[j], hardware.variance[j], hardware.n_usable[j], rows.skip[row],
    )  # fmt: skip


@compiled
def _scratch(rows, hardware):
    longest, most = 0, hardware.cells.shape[1]
    for i in range(rows.starts.size - 1):
        longest = max(longest, rows.starts[i + 1] - rows.starts[i])
    return Scratch(
        longest, np.empty(most), np.empty(hardware.variance.shape[1]), np.empty(longest + 1, np.int32),
        np.empty(most + 1), workspace(longest, most),
    )  # fmt: skip
