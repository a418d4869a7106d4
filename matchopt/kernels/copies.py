"""The wiring of one row on several copies whose mean serves it: by branch and bound over connections, or where that
takes long by dynamic programming over the sets of cells that are taken.

Every connection takes one cell of each copy, or none where it may be dropped, and no cell twice; what counts is the
square of its weight less the mean. For two copies that is already a three-index assignment.
"""

from itertools import product

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import Refused
from matchopt.kernels.compiling import compiled

MOST_CELLS = 62  # of one copy: bits of a word
MOST_CHOICES = 50_000  # cells of all copies for one connection
MOST_NODES = 50_000  # of the search; beyond, all sets of taken cells are gone through
MOST_STATES = 2**18


def copied_row(
    weights: Float[np.ndarray, " connections"],
    importance: Float[np.ndarray, " connections"],
    values: Float[np.ndarray, "copies cells"],
    noise: Float[np.ndarray, "copies cells"],
    drop: bool,
) -> tuple[float, Int[np.ndarray, "connections copies"]]:
    """The least error of a row on given copies, and the cell of each connection on each of them, -1 for none.

    Parameters
    ----------
    weights, importance : of the row's connections.
    values : what each usable cell adds to the mean; NaN for cells out of use.
    noise : the variance that it adds.
    drop : whether a copy may leave a connection out.

    Raises
    ------
    Refused
        when there are too many cells, or ways to wire them, to find the optimum.
    """
    cells = [np.flatnonzero(np.isfinite(copy)).tolist() for copy in values]
    size = int(np.prod([float(len(copy) + drop) for copy in cells]))
    if values.shape[1] > MOST_CELLS or size > MOST_CHOICES:
        raise Refused(f"{len(cells)} copies of {values.shape[1]} cells are too many to wire a row optimally")
    choices = np.array(list(product(*(copy + [-1] * drop for copy in cells))), np.int64).reshape(-1, len(cells))
    if len(weights) and not len(choices):
        return np.inf, np.full((len(weights), len(cells)), -1)
    picked = choices >= 0
    each = np.arange(len(cells))
    mean = np.where(picked, values[each, choices], 0.0).sum(axis=1)
    variance = np.where(picked, noise[each, choices], 0.0).sum(axis=1)
    costs = importance[:, None] * ((weights[:, None] - mean) ** 2 + variance)
    order = np.argsort(costs, axis=1, kind="stable")
    found, best, nodes = _search(np.take_along_axis(costs, order, axis=1), order, choices, MOST_NODES)
    if nodes >= MOST_NODES:
        if 2**values.size > MOST_STATES:
            raise Refused(f"no optimal wiring of a row on {len(cells)} copies was found in {MOST_NODES} steps")
        shift = np.where(picked, choices + values.shape[1] * each, 0)
        found, best = _sweep(costs, np.where(picked, 1 << shift, 0).sum(axis=1), 2**values.size)
    return float(found), choices[best] if np.isfinite(found) else np.full((len(weights), len(cells)), -1)


@compiled
def _sweep(costs, taken, states):
    """Least sum of one choice for each connection, `taken` being the cells of each choice, and the choices."""
    n = len(costs)
    least, chosen = np.full(states, np.inf), np.full((n, states), -1, np.int32)
    least[0] = 0.0
    for e in range(n):
        more = np.full(states, np.inf)
        for state in range(states):
            if least[state] < np.inf:
                for choice in range(len(taken)):
                    after, cost = state | taken[choice], least[state] + costs[e, choice]
                    if state & taken[choice] == 0 and cost < more[after]:
                        more[after], chosen[e, after] = cost, choice
        least = more
    state, found = np.argmin(least), np.zeros(n, np.int64)
    best = least[state]
    if best < np.inf:
        for e in range(n - 1, -1, -1):
            found[e] = chosen[e, state]
            state ^= taken[found[e]]
    return best, found


@compiled
def _search(costs, order, choices, most):
    """Least sum of one choice for each connection that shares no cell, the choices, and how many were looked at."""
    n, (size, copies) = len(costs), choices.shape
    left = np.zeros(n + 1)
    for e in range(n - 1, -1, -1):
        left[e] = left[e + 1] + costs[e, 0]
    taken = np.zeros((n + 1, copies), np.int64)
    at, paid = np.full(n + 1, -1), np.zeros(n + 1)
    best, chosen, nodes, e = np.inf, np.zeros(n, np.int64), 0, 0
    if n == 0:
        return 0.0, chosen, nodes
    while e >= 0 and nodes < most:
        at[e] += 1
        nodes += 1
        if at[e] >= size or paid[e] + costs[e, at[e]] + left[e + 1] >= best:
            at[e] = -1
            e -= 1
            continue
        choice, fits = order[e, at[e]], True
        for a in range(copies):
            bit = np.int64(1) << choices[choice, a] if choices[choice, a] >= 0 else np.int64(0)
            fits = fits and taken[e, a] & bit == 0
            taken[e + 1, a] = taken[e, a] | bit
        if not fits:
            continue
        paid[e + 1] = paid[e] + costs[e, at[e]]
        if e + 1 < n:
            e += 1
            continue
        best = paid[n]
        for d in range(n):
            chosen[d] = order[d, at[d]]
    return best, chosen, nodes
