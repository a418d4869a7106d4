"""The least cost of a layer on several buses, by trying: every set of rows on every bus, in every order.

With rows on neurons of a bus, the lines of their inputs are one assignment. Sets of rows then share out the buses, bus
by bus: the least that the buses so far cost where they take each set of rows.
"""

import math
from itertools import combinations, permutations, product

import numpy as np
from jaxtyping import Bool, Float, Int

MOST_ROWS = 14


def n_orders(rows: int, gains: int, bus: Int[np.ndarray, " neurons"]) -> float:
    """How many assignments of lines that takes; inf where there are too many rows."""
    if rows > MOST_ROWS:
        return math.inf
    counts = [(n, size) for size in np.unique(bus, return_counts=True)[1].tolist() for n in range(1, rows + 1)]
    return float(sum(math.comb(rows, n) * math.perm(size, n) * gains**n for n, size in counts))


def least_on_buses(
    costs: Float[np.ndarray, "gains connections neurons lines"],
    row_of: Int[np.ndarray, " connections"],
    input_of: Int[np.ndarray, " connections"],
    silent: Bool[np.ndarray, " connections"],
    bus: Int[np.ndarray, " neurons"],
) -> float:
    """The least sum of costs, each row on a neuron of its own and each input of the rows of a bus on a line of its own.

    Parameters
    ----------
    costs : of connections on cells, at each gain that a row may have.
    row_of, input_of : of each connection, all numbers from 0 on in use.
    silent : connections that count only where another row of the bus has the input.
    bus : of each neuron.
    """
    shape = (int(row_of.max()) + 1, int(input_of.max()) + 1)
    table, wanted = np.zeros((*shape, len(costs), *costs.shape[2:])), np.zeros(shape, bool)
    table[row_of, input_of] = costs.swapaxes(0, 1)
    wanted[row_of[~silent], input_of[~silent]] = True
    least = np.full(1 << shape[0], np.inf)
    least[0] = 0.0
    taken = np.arange(len(least))
    for one in np.unique(bus).tolist():
        neurons, after = np.flatnonzero(bus == one).tolist(), least.copy()
        for count in range(1, min(shape[0], len(neurons)) + 1):
            for rows in combinations(range(shape[0]), count):
                own = sum(1 << i for i in rows)
                free = taken[(taken & own == 0) & np.isfinite(least)]
                if len(free):
                    inputs, chosen = np.flatnonzero(wanted[list(rows)].any(axis=0)), table[list(rows)]
                    ways = product(permutations(neurons, count), product(range(len(costs)), repeat=count))
                    cost = min(_placed(chosen[:, inputs], *way) for way in ways)
                    after[free | own] = np.minimum(after[free | own], least[free] + cost)
        least = after
    return float(least[-1])


def _placed(
    table: Float[np.ndarray, "rows inputs gains neurons lines"], order: tuple[int, ...], gains: tuple[int, ...]
) -> float:
    """The least cost of these rows on neurons in this order, at these gains; inf where inputs find no lines."""
    from scipy.optimize import linear_sum_assignment

    lines = np.sum([row[:, g, j] for row, j, g in zip(table, order, gains, strict=True)], axis=0)
    try:
        return float(lines[linear_sum_assignment(lines)].sum()) if lines.shape[0] <= lines.shape[1] else math.inf
    except ValueError:
        return math.inf
