"""Exact optimum of the inner problem: one row on one hardware neuron, for many pairs at once.

Where importance is constant within the row an optimal matching keeps the order of weights and cell values (the cost of
a crossing pair is -2 a g h up to terms of one side, which is Monge), so a dynamic program over both in order is exact.
It is compiled, for layers large enough; elsewhere each pair is a small assignment problem.
"""

import numpy as np
from jaxtyping import Float, Int

from matchopt.proofs.cells import Cells
from matchopt.proofs.separable import Separable

TOGETHER = 256  # pairs of a call of the compiled loop


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
    even = problem.uniform[rows] & problem.large
    for n in np.unique(fan_in[even]).tolist():
        members = np.flatnonzero(even & (fan_in == n))

        def work(part: Int[np.ndarray, " some"], n: int = n) -> None:
            found[part] = _in_order(problem, cells, rows[part], neurons[part], n)

        problem.each(work, [members[start : start + TOGETHER] for start in range(0, len(members), TOGETHER)])
    for p in np.flatnonzero(~even).tolist():
        found[p] = matching(problem, cells, int(rows[p]), int(neurons[p])).sum()
    return found


def band(problem: Separable, n: int) -> int:
    """How many cells the dynamic program looks at for each of a row's `n` weights: t .. t + K - n for weight t, where
    none is dropped."""
    return problem.n_cells if problem.drop else max(0, problem.n_cells - n + 1)


def _in_order(
    problem: Separable, cells: Cells, rows: Int[np.ndarray, " pairs"], neurons: Int[np.ndarray, " pairs"], n: int
) -> Float[np.ndarray, " pairs"]:
    """The dynamic program for rows of fan-in `n`."""
    if n == 0 or band(problem, n) == 0:
        return problem.dropped[rows] if n == 0 or problem.drop else np.full(len(rows), np.inf)
    from matchopt.proofs import loops

    found, noise = np.empty(len(rows)), np.zeros((1, 0)) if cells.noise is None else cells.noise
    loops.in_order(problem.weight, problem.starts[rows], n, neurons, cells.value, noise, problem.drop, found)
    return _scaled(found, problem.factor[problem.starts[rows]])


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
    if problem.drop:  # one more column for each connection, on which it is dropped
        cost = np.concatenate([cost, np.broadcast_to(problem.unrealised[part, None], (len(cost), len(cost)))], axis=1)
    if cost.shape[0] > cost.shape[1]:
        return np.array([np.inf])
    chosen = linear_sum_assignment(cost)
    return np.asarray(cost[chosen])
