"""A block of hardware neurons against a block of rows: the loops one thread runs without the interpreter."""

from typing import no_type_check

import numpy as np

from matchopt.kernels.compiled import compiled
from matchopt.kernels.envelope import best_gain
from matchopt.kernels.row import match_row, relax_row, row_cost, scale_cells
from matchopt.kernels.runs import nearest_cells, nearest_of_row
from matchopt.kernels.small_assignment import workspace


@compiled
@no_type_check
def block_costs(cells, variance, n_usable, rows, gains, drop, distinct, limits, out):
    """Fill out[neuron, row] with the least cost over a finite set of gains.

    `cells` (neurons, cells) ascending, unusable ones last; `variance` in the same order or with no columns; `rows` is
    `RowBlock.compiled`. Costs of `limits[row]` and more may come out as any value of at least that. Without `distinct`
    the cost is that of the cheapest cells.
    """
    starts, weights, importance, uniform, ascending, place, longest = rows
    near = np.empty(weights.size, np.int32)
    scaled, noise, conflicts, best, work = _scratch(longest, cells, variance)
    for j in range(cells.shape[0]):
        n_cells = n_usable[j]
        for i in range(starts.size - 1):
            out[j, i] = np.inf
        for gain in gains:
            scale_cells(gain, cells[j], variance[j], n_cells, scaled, noise)
            nearest_cells(ascending, place, scaled, n_cells, near)
            for i in range(starts.size - 1):
                a, b = starts[i], starts[i + 1]
                if distinct:
                    cost = row_cost(
                        a, b, weights, importance, uniform[i], scaled, noise, n_cells, drop, near,
                        limits[i], conflicts, best, work,
                    )  # fmt: skip
                else:
                    cost = relax_row(a, b, weights, importance, scaled, noise, n_cells, drop, near)
                out[j, i] = min(out[j, i], cost)


@compiled
@no_type_check
def block_interval_costs(cells, variance, n_usable, rows, steepest, low, high, drop, distinct, out):
    """Like `block_costs`, every gain from `low` to `high` being allowed; `steepest` is `RowBlock.steepest`."""
    starts, weights, importance, uniform, _ascending, _place, longest = rows
    scratch = _scratch(longest, cells, variance)
    near = np.empty(longest, np.int32)
    kept = np.empty(longest, np.int32)
    for j in range(cells.shape[0]):
        for i in range(starts.size - 1):
            row = slice(starts[i], starts[i + 1])
            out[j, i], _ = best_gain(
                weights[row], importance[row], uniform[i], steepest[row], cells[j], variance[j], n_usable[j],
                low, high, drop, distinct, near, kept, scratch,
            )  # fmt: skip


@compiled
@no_type_check
def block_matchings(cells, variance, n_usable, rows, gains, drop, cell_of, gain_of, cost_of):
    """Match row i with the i-th neuron given; `cell_of` gets positions in the sorted cells, -1 for dropped."""
    starts, weights, importance, uniform, _ascending, _place, longest = rows
    near = np.empty(longest, np.int32)
    scaled, noise, conflicts, _best, work = _scratch(longest, cells, variance)
    for i in range(starts.size - 1):
        row = slice(starts[i], starts[i + 1])
        n, n_cells = starts[i + 1] - starts[i], n_usable[i]
        cost_of[i] = np.inf
        gain_of[i] = gains[0]
        for gain in gains:
            scale_cells(gain, cells[i], variance[i], n_cells, scaled, noise)
            nearest_of_row(weights[row], scaled, n_cells, near)
            cost = match_row(
                np.int64(0), n, weights[row], importance[row], uniform[i], scaled, noise, n_cells, drop, near,
                cost_of[i], conflicts, work,
            )  # fmt: skip
            if cost < cost_of[i]:
                cost_of[i], gain_of[i] = cost, gain
                for e in range(n):
                    reverse = gain < 0.0 and near[e] >= 0
                    cell_of[starts[i] + e] = n_cells - 1 - near[e] if reverse else near[e]


@compiled
@no_type_check
def block_interval_matchings(
    cells, variance, n_usable, rows, steepest, low, high, drop, distinct, cell_of, gain_of, cost_of
):
    """Like `block_matchings`, every gain from `low` to `high` being allowed."""
    starts, weights, importance, uniform, _ascending, _place, longest = rows
    scratch = _scratch(longest, cells, variance)
    near = np.empty(longest, np.int32)
    for i in range(starts.size - 1):
        row = slice(starts[i], starts[i + 1])
        cost_of[i], gain_of[i] = best_gain(
            weights[row], importance[row], uniform[i], steepest[row], cells[i], variance[i], n_usable[i],
            low, high, drop, distinct, near, cell_of[row], scratch,
        )  # fmt: skip


@compiled
@no_type_check
def _scratch(longest, cells, variance):
    scaled = np.empty(cells.shape[1])
    noise = np.empty(variance.shape[1])
    conflicts = np.empty(longest + 1, np.int32)
    best = np.empty(cells.shape[1] + 1)
    return scaled, noise, conflicts, best, workspace(longest, cells.shape[1])
