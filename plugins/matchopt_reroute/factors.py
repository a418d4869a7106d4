"""Triangular factors of the second moments of a row's inputs, in the order in which enumeration prunes best."""

import numpy as np

from matchopt import LayerInstance
from matchopt_reroute.bounds import moments_of

SINGULAR = 1e-12  # a pivot below this share of its diagonal is rounding


def factored(instance: LayerInstance, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row i for the enumeration: R, the order of its connections in it, their weights and second moments.

    The input that the others explain least comes last, where the enumeration begins, and so on among those left.
    """
    part = instance.target.row(i)
    inputs = instance.target.indices[part]
    own = moments_of(instance)[np.ix_(inputs, inputs)]
    left, last = list(range(len(inputs))), []
    while left:
        block = own[np.ix_(left, left)]
        jitter = SINGULAR * max(float(block.diagonal().max()), 1e-300)
        inverse = np.linalg.inv(block + jitter * np.eye(len(left)))
        last.append(left.pop(int(np.argmin(inverse.diagonal()))))
    order = np.array(last[::-1], np.int64)
    own = np.ascontiguousarray(own[np.ix_(order, order)])
    return _root(own), order, instance.target.weights[part][order], own.diagonal().copy()


def _root(matrix: np.ndarray) -> np.ndarray:
    """The upper triangular R >= 0 on its diagonal with R^T R = matrix; rows of inputs that others determine are 0."""
    rest, root = matrix.copy(), np.zeros_like(matrix)
    for n in range(len(matrix)):
        if rest[n, n] > SINGULAR * matrix[n, n]:
            root[n, n:] = rest[n, n:] / np.sqrt(rest[n, n])
            rest[n:, n:] -= np.outer(root[n, n:], root[n, n:])
    return root
