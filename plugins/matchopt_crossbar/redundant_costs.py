"""What pairs of rows and inputs cost at least, over all ways to choose among their cells."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from matchopt import Rules


class Cells(NamedTuple):
    """Of each cell what it adds to a weight beyond its leak, what it costs besides, and its leak."""

    on: Any
    price: Any
    off: Any

    def without(self, left_out: Any) -> "Cells":
        """The same with nothing where `left_out` says so."""
        return Cells(*(np.where(left_out, 0.0, part) for part in self))


def patterns(rules: Rules, lines: int) -> tuple[Any, Any]:
    """All ways to choose among the cells of a weight, and when each is allowed.

    Returns
    -------
    ways : whether each cell is chosen, shape (ways, neurons, lines).
    allowed : shape (2, 2 ** neurons, ways): whether the pair is a connection; which neurons the row has, as bits.
    """
    shape = (rules.neurons, lines)
    ways = np.array(list(product((False, True), repeat=rules.neurons * lines)), bool).reshape(-1, *shape)
    count = ways.sum(axis=2) if rules.copies > 1 else ways.sum(axis=(1, 2))[:, None]
    ways = ways[(count <= rules.cells_per_weight).all(axis=1)]
    present = np.array(list(product((False, True), repeat=rules.neurons)))[:, ::-1]
    served = ways.any(axis=2)[None] | ~present[:, None]  # by each neuron that is there
    enough = served.all(axis=2) if rules.copies > 1 else np.broadcast_to(ways.any(axis=(1, 2)), served.shape[:2])
    nothing = np.broadcast_to(~ways.any(axis=(1, 2)), enough.shape)
    return ways, np.stack([nothing | rules.extra_inputs, enough | rules.drop])


def least(
    weight: Any, factor: Any, penalty: Any, fixed: Cells, moved: Cells | None, ways: Any, varied: Any = None
) -> tuple[Any, Any]:
    """The least cost of every pair on every place, and the way that gives it.

    Parameters
    ----------
    weight, factor : of pairs.
    penalty : of ways, shape (pairs, ways).
    fixed : cells that do not depend on the place, shape (pairs, neurons, lines).
    moved : those that do, shape (pairs, places, cells).
    ways, varied : which of either are chosen, shapes (ways, neurons, lines) and (ways, cells).
    """
    off = fixed.off.sum(axis=(1, 2))[:, None] + (0.0 if moved is None else moved.off.sum(axis=2))
    best, way = np.full(off.shape, np.inf), np.zeros(off.shape, np.int64)
    for number, chosen in enumerate(ways):
        rest = weight - fixed.on[:, chosen].sum(axis=1)
        price = penalty[:, number] + fixed.price[:, chosen].sum(axis=1)
        error = rest[:, None] - off
        cost = price[:, None]
        if moved is not None:
            error = error - moved.on[:, :, varied[number]].sum(axis=2)
            cost = cost + moved.price[:, :, varied[number]].sum(axis=2)
        cost = factor[:, None] * error**2 + cost
        better = cost < best
        best, way = np.where(better, cost, best), np.where(better, number, way)
    return best, way
