"""Random sparse connectivity, and weights to begin with that suit few inputs per unit."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.network.training.model import Shapes


def random_mask(n_sites: int, count: int, rng: np.random.Generator) -> Bool[np.ndarray, " sites"]:
    """`count` distinct sites of `n_sites`, all choices equally likely."""
    mask = np.zeros(n_sites, bool)
    mask[rng.choice(n_sites, count, replace=False)] = True
    return mask


def random_masks(shapes: Shapes, counts: Sequence[int], rng: np.random.Generator) -> Bool[np.ndarray, " weights"]:
    """A random mask with as many connections per matrix as `counts` says, as one flat vector."""
    return np.concatenate([random_mask(m * n, count, rng) for (m, n), count in zip(shapes, counts, strict=True)])


def sparse_normal(shapes: Shapes, counts: Sequence[int], rng: np.random.Generator) -> Float32[np.ndarray, " p"]:
    """Weights N(0, 2 / mean fan-in) of every site and zero biases, as one flat vector.

    He's start with the inputs that a unit of a sparse matrix has on average in place of all: activity then keeps its
    size from layer to layer though few sites are used.

    Parameters
    ----------
    shapes : rows and columns of every matrix.
    counts : connections in use, per matrix, >= 0.
    rng : draws them.
    """
    drawn = [
        rng.standard_normal(m * n, np.float32) * np.float32((2.0 * m / max(1, count)) ** 0.5)
        for (m, n), count in zip(shapes, counts, strict=True)
    ]
    return np.concatenate([*drawn, np.zeros(sum(m for m, _ in shapes), np.float32)])
