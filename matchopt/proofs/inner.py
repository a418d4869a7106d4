"""Exact optimum of the inner problem: one row on one hardware neuron, for many pairs at once.

Where importance is constant within the row an optimal matching keeps the order of weights and cell values (the cost of
a crossing pair is -2 a g h up to terms of one side, which is Monge), so a dynamic program over both in order is exact;
elsewhere each pair is a small assignment problem.
"""

import numpy as np
from jaxtyping import Float, Int

from matchopt.proofs.cells import Cells
from matchopt.proofs.separable import Separable

TOGETHER = 64  # pairs of a call of the compiled loop
BLOCK = 2**18  # numbers per array of the dynamic program: 2 MiB


def exact_costs(
    problem: Separable, rows: Int[np.ndarray, " pairs"], neurons: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """The least cost of rows[p] on neurons[p], over finitely many gains; inf where the row does not fit."""
    return np.asarray(np.minimum.reduce([costs_at(problem, cells, rows, neurons) for cells in problem.cells]))


def costs_at(
    problem: Separable, cells: Cells, rows: Int[np.ndarray, " pairs"], neurons: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """The least cost of rows[p] on neuron number neurons[p] of `cells`; inf where the row does not fit."""
    found = np.full(len(rows), np.inf)
    fan_in = problem.fan_in[rows]
    even = problem.uniform[rows]
    if problem.price < np.inf:  # where no error counts, cells are all that counts
        free = np.append(problem.factor, 1.0)[problem.starts[rows]] == 0.0
        short = np.maximum(0, fan_in - (cells.last - cells.first)[neurons])
        found = np.where(free & even, 0.0 if problem.drop else problem.price * short, found)
        even = even & ~free
    parts = []
    for n in np.unique(fan_in[even]).tolist():
        members = np.flatnonzero(even & (fan_in == n))
        step = TOGETHER if problem.large else max(1, BLOCK // (window(problem, n) + 1))
        parts += [members[start : start + step] for start in range(0, len(members), step)]

    def work(part: Int[np.ndarray, " some"]) -> None:
        found[part] = _in_order(problem, cells, rows[part], neurons[part], int(fan_in[part[0]]))

    problem.each(work, parts)
    for p in np.flatnonzero(~problem.uniform[rows]).tolist():
        found[p] = matching(problem, cells, int(rows[p]), int(neurons[p])).sum()
    return found


def window(problem: Separable, n: int) -> int:
    """How many cells the dynamic program looks at for each of a row's `n` weights.

    Weight number t of an order-preserving matching without drops takes one of the cells t .. t + K - n. Without noise
    some optimal matching also gives every weight one of its n nearest cells (else one of those is free and not worse),
    which lie among the n on either side of its place; uncrossing two weights keeps both inside their windows.
    """
    band = problem.n_cells if problem.skip.size else max(0, problem.n_cells - n + 1)
    return min(2 * n, band) if problem.chip.variance is None else band


def _in_order(
    problem: Separable, cells: Cells, rows: Int[np.ndarray, " pairs"], neurons: Int[np.ndarray, " pairs"], n: int
) -> Float[np.ndarray, " pairs"]:
    """The dynamic program for rows of fan-in `n`.

    least[w] is the least cost of the weights so far with cells before number base + w only, one column per pair.
    """
    width = window(problem, n)
    if n == 0 or width == 0:
        return np.asarray(problem.unwired[rows])
    factor = problem.factor[problem.starts[rows]]
    if problem.large:
        from matchopt.proofs import loops

        found, noise = np.empty(len(rows)), np.zeros((1, 0)) if cells.noise is None else cells.noise
        chip = (cells.value, noise)
        loops.in_order(problem.weight, problem.starts[rows], n, width, neurons, *chip, problem.relative_skip, found)
        return _scaled(found, factor)
    place = problem.starts[rows] + np.arange(n)[:, None]
    weight, skip = problem.weight[place], problem.relative_skip[place] if problem.skip.size else None
    base = _windows(problem, cells, weight, neurons, width)
    first_cell, pairs = neurons * problem.n_cells, np.arange(len(rows))
    places = np.arange(width + 1)[:, None]
    least, value = np.zeros((width + 1, len(rows))), cells.value.ravel()
    for t in range(n):
        shift = base[t] - base[t - 1] if t else base[0] * 0
        ahead = least if not shift.any() else least.ravel()[np.minimum(places + shift, width) * len(rows) + pairs]
        at = first_cell + base[t] + places[:-1]
        cost = weight[t] - value[at]
        cost *= cost
        if cells.noise is not None:
            cost += cells.noise.ravel()[at]
        cost += ahead[:-1]
        least = np.empty_like(ahead)
        skipped = None if skip is None else ahead + skip[t]
        least[0] = np.inf if skipped is None else skipped[0]
        least[1:] = cost if skipped is None else np.minimum(cost, skipped[1:])
        for w in range(1, width + 1):
            np.minimum(least[w], least[w - 1], out=least[w])
    return _scaled(least[-1], problem.factor[problem.starts[rows]])


def _windows(
    problem: Separable,
    cells: Cells,
    weight: Float[np.ndarray, "weights pairs"],
    neurons: Int[np.ndarray, " pairs"],
    width: int,
) -> Int[np.ndarray, "weights pairs"]:
    """First cell of each weight's window, shape (n, pairs), never falling from one weight to the next."""
    n = len(weight)
    free = problem.skip.size > 0
    low = np.zeros(n, np.int64) if free else np.arange(n)
    high = low + (problem.n_cells if free else problem.n_cells - n + 1) - width
    if not (high > low).any():
        return np.broadcast_to(low[:, None], weight.shape)
    values, first_cell = cells.value.ravel(), neurons * problem.n_cells
    place, beyond = np.zeros(weight.shape, np.int64), np.full(weight.shape, problem.n_cells)
    for _ in range(problem.n_cells.bit_length()):  # the first cell that is not below the weight, by bisection
        middle = (place + beyond) >> 1
        below = (values[first_cell + np.minimum(middle, problem.n_cells - 1)] < weight) & (middle < beyond)
        place, beyond = np.where(below, middle + 1, place), np.where(below, beyond, middle)
    return np.clip(place - n, low[:, None], high[:, None])


def _scaled(cost: Float[np.ndarray, " pairs"], factor: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
    return np.where(np.isposinf(cost), np.inf, factor * np.where(np.isposinf(cost), 0.0, cost))


def matching(problem: Separable, cells: Cells, row: int, neuron: int) -> Float[np.ndarray, " connections"]:
    """The costs of the row's connections in an optimal matching, by SciPy's assignment; [inf] where it does not fit."""
    from scipy.optimize import linear_sum_assignment

    part = slice(int(problem.starts[row]), int(problem.starts[row + 1]))
    here = slice(int(cells.first[neuron]), int(cells.last[neuron]))
    distance = problem.weight[part, None] - cells.value[neuron, here]
    cost = distance * distance if cells.noise is None else distance * distance + cells.noise[neuron, here]
    cost = problem.factor[part, None] * cost
    if problem.skip.size:  # one more column for each connection, on which it has no cell
        cost = np.concatenate([cost, np.broadcast_to(problem.skip[part, None], (len(cost), len(cost)))], axis=1)
    if cost.shape[0] > cost.shape[1]:
        return np.array([np.inf])
    chosen = linear_sum_assignment(cost)
    return np.asarray(cost[chosen])
