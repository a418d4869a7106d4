"""Local search for the inputs of the cells of many rows: descents from empty or given places, and kicks in between."""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.cell_moves import (
    CROSS,
    LANES,
    Neuron,
    Row,
    Workspace,
    begin,
    best_scale,
    descend,
    note_cells,
    score,
    sums_at,
    take,
)
from matchopt.kernels.compiling import compiled, inlined
from matchopt.kernels.runs import nearest_of_row, resolve_conflicts


class Chip(NamedTuple):
    """Hardware neurons, their cells in ascending order: weights, their read noise, and how many are usable."""

    cells: Any
    noise: Any
    n_cells: Any


class Rows(NamedTuple):
    """The errors of all rows: `RowErrors` packed, with the inputs of each row that are placed first, `ranked` by the
    weights `sought` for them, -1 filling up."""

    moments: Any
    diagonal: Any
    power: Any
    linear: Any
    constant: Any
    required: Any
    ranked: Any
    sought: Any


class Ranges(NamedTuple):
    """`Scales` as numbers of the type that is counted in."""

    low: Any
    high: Any
    pull: Any
    around: Any


@inlined
def draw(state, below):
    """A number in 0 .. below - 1; state[0] is the state of the generator (G. Marsaglia, "Xorshift RNGs", 2003)."""
    s = state[0]
    s ^= s << np.uint32(13)
    s ^= s >> np.uint32(17)
    s ^= s << np.uint32(5)
    state[0] = s
    return int(s % np.uint32(below))


@inlined
def kick(at, required, taken, state):
    """Exchange two cells, send one to a random empty input and one nowhere; required inputs stay heard."""
    k, other = draw(state, at.size), draw(state, at.size)
    at[k], at[other] = at[other], at[k]
    k, x = draw(state, at.size), draw(state, taken.size)
    if taken[x] == 0 and (at[k] < 0 or not required[at[k]]):
        at[k] = x
    k = draw(state, at.size)
    if at[k] >= 0 and not required[at[k]]:
        at[k] = -1


@compiled
def improve(neuron, errors, a0, q0, least, kicks, seed, at, work):
    """Descend, then kick and descend again `kicks` times, keeping the best; returns its score and scale.

    The score is computed anew from the final places, so no rounding of the moves is left in it.
    """
    low, high, trial = neuron.low, neuron.high, work.trial[: neuron.cells.size]
    note_cells(neuron, work.near)
    a, q = begin(neuron, errors, a0, q0, at, work)
    descend(neuron, errors, a, q, least, at, work)
    a, q = sums_at(neuron, errors, a0, q0, at)
    best = score(a, q, low, high)
    state = np.full(1, seed * 2654435761 + 1, np.int64).astype(np.uint32) | np.uint32(1)
    for _ in range(kicks if neuron.cells.size and work.product.size else 0):
        trial[:] = at
        take(at, work.taken)
        kick(trial, errors.required, work.taken, state)
        b, r = begin(neuron, errors, a0, q0, trial, work)
        descend(neuron, errors, b, r, least, trial, work)
        b, r = sums_at(neuron, errors, a0, q0, trial)
        reach = score(b, r, low, high)
        if reach > best + least:
            best, a, q = reach, b, r
            at[:] = trial
    return best, best_scale(a, q, low, high)


@compiled
def workspace(n_cells, diagonal):
    """Scratch of `improve`, of the size and the float type of `diagonal`."""
    n_inputs, kind, largest = diagonal.size, diagonal.dtype, np.zeros(1, diagonal.dtype)
    for x in range(n_inputs):
        largest[0] = max(largest[0], diagonal[x])
    return Workspace(
        np.empty(n_inputs, kind), np.empty(n_inputs, kind), np.empty(n_inputs, kind), np.zeros(n_inputs, kind),
        np.empty(n_cells, np.int32), np.empty((CROSS + 1, -(-n_cells // LANES) * LANES), kind), largest,
    )  # fmt: skip


@compiled
def own_errors(i, inputs, rows, local):
    """The errors of row i, on its own inputs only unless `inputs` has no columns; `local` numbers them from 0."""
    moments, diagonal, power, linear, required = rows.moments, rows.diagonal, rows.power, rows.linear, rows.required
    if inputs.shape[1] == 0:
        for x in range(local.size):
            local[x] = x
        needed = required[i] if required.size else np.zeros(local.size, np.bool_)
        return Row(moments, diagonal, power, linear[i], needed)
    local[:] = -1
    n = 0
    while n < inputs.shape[1] and inputs[i, n] >= 0:
        local[inputs[i, n]] = n
        n += 1
    own, across = np.empty((n, n), moments.dtype), np.empty(n, moments.dtype)
    strength, line = np.empty(n, moments.dtype), np.empty(n, moments.dtype)
    needed = np.zeros(n, np.bool_)
    for x in range(n):
        line[x], across[x], strength[x] = linear[i, inputs[i, x]], diagonal[inputs[i, x]], power[inputs[i, x]]
        needed[x] = required.size > 0 and required[i, inputs[i, x]]
        for y in range(n):
            own[x, y] = moments[inputs[i, x], inputs[i, y]]
    return Row(own, across, strength, line, needed)


@compiled
def first_places(i, at, cells, rows, scale, local, near, conflicts, weights):
    """Place row i's `ranked` inputs so that the weights are as near as can be to those sought, over `scale`.

    Where there are more than cells those of the smallest weights stay out, if none is required: else it is False.
    """
    ranked, sought = rows.ranked[i], rows.sought[i]
    at[:] = -1
    n = 0
    while n < ranked.size and ranked[n] >= 0:
        n += 1
    if n > cells.size and rows.required.size:
        return False
    low, high = 0, n
    while high - low > 0 and low + n - high < cells.size:  # `low` from below and the rest from above take part
        if abs(sought[low]) >= abs(sought[high - 1]):
            low += 1
        else:
            high -= 1
    kept = low + n - high
    for r in range(kept):
        weights[r] = sought[r if r < low else r + high - low] / scale
    if kept == 0:
        return True
    nearest_of_row(weights[:kept], cells, cells.size, near)
    found = 0
    for r in range(1, kept):
        conflicts[found] = r
        found += near[r] == near[r - 1]
    resolve_conflicts(0, kept, weights, cells, cells.size, near, conflicts, found)
    for r in range(kept):
        at[near[r]] = local[ranked[r if r < low else r + high - low]]
    return True


@inlined
def first_scale(ranges):
    """The output scale that weights are first sought at."""
    scale = ranges.low if ranges.low == ranges.high else ranges.around
    return scale if scale > 0 else type(scale)(1)


@compiled
def first_scratch(rows):
    """Scratch of `first_places`: a cell for each ranked input, the conflicts among those, and the weights."""
    most = rows.ranked.shape[1]
    return np.empty(most, np.int32), np.empty(most + 1, np.int32), np.empty(most, rows.moments.dtype)


@compiled
def place_all(which, neurons, chip, rows, inputs, ranges, least, cost):
    """Fill `cost` for `which` rows and the neurons listed for each (-1 ends a list): see `CellPlacement.costs`."""
    constant = rows.constant
    local, places = np.empty(rows.linear.shape[1], np.int32), np.empty(chip.cells.shape[1], np.int32)
    scale = first_scale(ranges)
    near, conflicts, weights = first_scratch(rows)
    for i in which:
        errors = own_errors(i, inputs, rows, local)
        work = workspace(chip.cells.shape[1], errors.diagonal)
        q0 = ranges.pull * constant[i]
        a0 = q0 * ranges.around
        for t in range(neurons.shape[1]):
            j = neurons[i, t]
            if j < 0:
                break
            at, neuron = places[: chip.n_cells[j]], neuron_of_chip(chip, j, ranges)
            if first_places(i, at, neuron.cells, rows, scale, local, near, conflicts, weights):
                reach, _ = improve(neuron, errors, a0, q0, least * constant[i], 0, 0, at, work)
                cost[i, j] = constant[i] + a0 * ranges.around - reach


@compiled
def place_rows(which, neuron_of, chip, rows, inputs, ranges, least, kicks, seed, fresh, places, scale, cost):
    """Improve the places of `which` rows on their neurons: see `CellPlacement.improve`."""
    constant = rows.constant
    local, near = np.empty(rows.linear.shape[1], np.int32), np.empty(chip.cells.shape[1], np.int32)
    sought_at = first_scale(ranges)
    close, conflicts, weights = first_scratch(rows)
    for i in which:
        errors = own_errors(i, inputs, rows, local)
        work = workspace(chip.cells.shape[1], errors.diagonal)
        j = neuron_of[i]
        n_cells = chip.n_cells[j]
        at = near[:n_cells]
        cost[i] = np.inf
        neuron = neuron_of_chip(chip, j, ranges)
        if fresh and not first_places(i, at, neuron.cells, rows, sought_at, local, close, conflicts, weights):
            continue
        if not fresh:
            for k in range(n_cells):
                at[k] = local[places[i, k]] if places[i, k] >= 0 else -1
        q0 = ranges.pull * constant[i]
        a0 = q0 * ranges.around
        reach, scale[i] = improve(neuron, errors, a0, q0, least * constant[i], kicks, seed + i, at, work)
        cost[i] = constant[i] + a0 * ranges.around - reach
        places[i, :] = -1
        for k in range(n_cells):
            if at[k] >= 0:
                places[i, k] = inputs[i, at[k]] if inputs.shape[1] else at[k]


@compiled  # counts references: views that a leaf makes must not leave it
def neuron_of_chip(chip, j, ranges):
    """Hardware neuron j with the allowed scales."""
    n_cells = chip.n_cells[j]
    return Neuron(chip.cells[j, :n_cells], chip.noise[j, :n_cells], ranges.low, ranges.high)
