"""Order-preserving matching by dynamic programming, for squared error with one importance per row.

With sorted targets and cells, an optimal matching that realises every target uses cell e + d for target e with d rising
from 0 to at most n_cells - n: a band of n_cells - n + 1 diagonals. Read noise adds a cost per cell, and dropping a cost
per target; neither touches the cross term of target and cell, so the order stays optimal (docs/mathematics.md).
"""

import numpy as np

from matchopt.kernels.compiling import inlined


@inlined
def banded_cost(a, b, weights, cells, variance, n_cells, best):
    """Least squared error of targets a .. b-1 on distinct cells, each of which adds its variance; b - a <= n_cells.

    `best` is scratch of n_cells + 1; `variance` may be empty.
    """
    noisy = variance.size > 0
    band = n_cells - (b - a) + 1
    for d in range(band):
        best[d] = 0.0
    for e in range(a, b):
        w = weights[e]
        first = e - a
        least = np.inf
        for d in range(band):
            difference = w - cells[first + d]
            least = min(least, best[d] + (difference * difference + (variance[first + d] if noisy else 0.0)))
            best[d] = least
    return best[band - 1]


@inlined
def drop_cost(a, b, weights, factor, cells, variance, n_cells, skip, best):
    """Like `banded_cost`, times `factor`, but target e may stay without a cell at the cost skip[e].

    Any n_cells >= 0.
    """
    noisy = variance.size > 0
    for k in range(n_cells + 1):
        best[k] = 0.0  # best[k]: targets so far on the first k cells
    for e in range(a, b):
        w, dropped = weights[e], skip[e]
        before = best[0]
        least = before + dropped
        best[0] = least
        for k in range(n_cells):
            difference = w - cells[k]
            placed = before + factor * (difference * difference + (variance[k] if noisy else 0.0))
            before = best[k + 1]
            least = min(least, min(placed, before + dropped))
            best[k + 1] = least
    return best[n_cells]
