"""What networks begin with: how many connections each matrix has, random ones, and weights that suit them."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Architecture
from matchopt.network.training.model import Shapes

OUTPUT_RATIO, HIDDEN_RATIO, INPUT_RATIO = 30.0, 3.0, 1.0  # densities .01, .03, .3 of Bellec et al. 2018, section 4

Densities = Literal["1:3:30", "erdos-renyi", "erdos-renyi-matrix", "uniform"]


def density_ratios(architecture: Architecture, densities: Densities) -> tuple[float, ...]:
    """How dense every weight matrix is in relation to the others, as long as none is full.

    Parameters
    ----------
    architecture : the network.
    densities : "1:3:30" of the input, the hidden and the output matrices; "erdos-renyi" the sum of the dimensions of
        the weight tensor over their product, the sides of a filter included (ERK), so that small matrices are denser;
        "erdos-renyi-matrix" the same of the matrices, a row for each filter, which leaves convolutions more; "uniform"
        all the same.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, arXiv 1711.05136, section 4; Mocanu et al. 2018, arXiv 1707.04780, equation
    3; Evci, Gale, Menick, Castro, Elsen 2020, arXiv 1911.11134, section 3, "Erdos-Renyi-Kernel".
    """
    if densities == "1:3:30":
        between = [HIDDEN_RATIO] * (len(architecture.matrices) - 2)
        return (INPUT_RATIO, *between, OUTPUT_RATIO)[-len(architecture.matrices) :]
    if densities == "uniform":
        return (1.0,) * len(architecture.matrices)
    shapes = architecture.tensors if densities == "erdos-renyi" else architecture.matrices
    return tuple(sum(sides) / math.prod(sides) for sides in shapes)


def matrix_budgets(architecture: Architecture, connectivity: float, densities: Densities = "1:3:30") -> tuple[int, ...]:
    """Share a number of connections out over the layers, by the ratios of their densities.

    A layer that would be more than full is full, and one that would have less than a connection has one, as nothing
    passes a layer without any; the others fill up what is left (bisection on the common factor, then rounding per
    layer). Only a budget of fewer connections than layers is exceeded. Raises InvalidOption when the connectivity is
    outside that range.

    Parameters
    ----------
    architecture : the network.
    connectivity : connections as a share of all possible ones, above 0, at most 1.
    densities : see `density_ratios`.

    Examples
    --------
    >>> from matchopt.instances.architecture import FullyConnected
    >>> matrix_budgets(FullyConnected((784, 300, 100, 10)), 0.05)
    (8903, 3407, 1000)
    """
    if not 0.0 < connectivity <= 1.0:
        raise InvalidOption(f"connectivity must be above 0 and at most 1, found {connectivity}")
    sizes = [rows * cols for rows, cols in architecture.matrices]
    ratios = density_ratios(architecture, densities)
    wanted = connectivity * sum(sizes)
    low, high = 0.0, 1.0 / min(ratios)  # of the common factor
    for _ in range(100):  # far beyond the precision of a float
        middle = (low + high) / 2
        total = sum(min(size, max(1.0, size * ratio * middle)) for size, ratio in zip(sizes, ratios, strict=True))
        low, high = (middle, high) if total < wanted else (low, middle)
    # 1e-9 keeps a density such as .01 from rounding to the wrong side of one half
    return tuple(
        min(size, max(1, int(size * ratio * high + 0.5 + 1e-9))) for size, ratio in zip(sizes, ratios, strict=True)
    )


def he_normal(shapes: Shapes, rng: np.random.Generator) -> Float32[np.ndarray, " p"]:
    """Weights N(0, 2 / inputs) and zero biases, as one flat vector.

    References
    ----------
    He, Zhang, Ren, Sun 2015, arXiv 1502.01852, section 2.2.
    """
    drawn = [rng.standard_normal((m, n), np.float32) * np.float32((2.0 / n) ** 0.5) for m, n in shapes]
    return np.concatenate([*(w.ravel() for w in drawn), np.zeros(sum(m for m, _ in shapes), np.float32)])


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
