"""Choices of which no two share a cell: the least sum of one choice for each connection."""

import math

import numpy as np
from jaxtyping import Float, Int

MOST_TRIED = 20_000  # steps of the search


def least_apart(
    table: Float[np.ndarray, "connections choices"], cells: Int[np.ndarray, "choices most"]
) -> tuple[float, bool]:
    """By depth first, cheapest choices first, and whether that was done; else the least sum, whatever is shared.

    Parameters
    ----------
    table : what each connection costs on each choice.
    cells : the cells that each choice takes, -1 for none.
    """
    order = np.argsort(table, axis=1, kind="stable")
    left = np.append(np.cumsum(table.min(axis=1, initial=math.inf)[::-1])[::-1], 0.0)
    best, steps = math.inf if len(table) else 0.0, 0
    path = [(iter(row), frozenset[int](), 0.0) for row in order[:1]]  # choices left, cells taken and paid before, by e
    while path and steps <= MOST_TRIED:
        e, (choices, taken, paid) = len(path) - 1, path[-1]
        choice = next(choices, None)
        if choice is None:
            path.pop()
            continue
        steps += 1
        price, own = paid + float(table[e, choice]), frozenset(k for k in cells[choice].tolist() if k >= 0)
        if price + left[e + 1] >= best:
            path.pop()
        elif not own & taken and e + 1 < len(table):
            path.append((iter(order[e + 1]), taken | own, price))
        elif not own & taken:
            best = price
    return (best, True) if steps <= MOST_TRIED else (float(left[0]), False)


def least_of_sets(
    table: Float[np.ndarray, "connections choices"], cells: Int[np.ndarray, "choices most"], n_cells: int
) -> float:
    """The same over all sets of so few cells: the least that the connections so far cost where they take each set."""
    sets, taken = np.arange(1 << n_cells), np.where(cells < 0, 0, 1 << np.maximum(cells, 0)).sum(axis=1)
    least = np.where(sets == 0, 0.0, np.inf)
    for costs in table:
        before, least = least, np.full(len(sets), np.inf)
        known = sets[np.isfinite(before)]
        for own, cost in zip(taken.tolist(), costs.tolist(), strict=True):
            free = known[known & own == 0]
            least[free | own] = np.minimum(least[free | own], before[free] + cost)
    return float(least.min())
