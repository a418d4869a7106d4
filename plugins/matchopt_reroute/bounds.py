"""Lower bounds on what a target row costs on a hardware neuron, under an output error on fixed inputs."""

import math

import numpy as np

from matchopt import LayerInstance, OutputError, Target

MOST_FAN_IN = 128  # beyond, eigenvalues for the bound would take longer than the search
SAFE = 1.0 - 1e-9  # what rounding may take from a bound
ROUNDING = 1e-13  # error of an eigenvalue relative to the largest, per row of the matrix


def moments_of(layer: LayerInstance) -> np.ndarray:
    """S of a layer that minimises an output error."""
    assert isinstance(layer.objective, OutputError)
    return layer.objective.second_moments


def not_moments(layer: LayerInstance) -> str | None:
    """Which row's inputs have second moments with a negative eigenvalue, so that its error may be negative, or None."""
    moments = moments_of(layer)
    for i in range(layer.n_rows):
        inputs = layer.target.indices[layer.target.row(i)]
        own = moments[np.ix_(inputs, inputs)]
        if len(inputs) and np.linalg.eigvalsh(own)[0] < -1e-9 * max(float(own.diagonal().max()), 0.0):
            return f"the second moments of the inputs of row {i} have a negative eigenvalue, so they are none"
    return None


def pair_bounds(layer: LayerInstance, threads: int) -> np.ndarray:
    """A lower bound on the cost of every pair, inf where the row does not fit; for layers without extra inputs.

    On the row's own inputs S dominates every diagonal D with S - D positive semidefinite, and under D the cost of a
    pair is a weighted matching, which is solved exactly. Two shapes of D are scaled up to where that still holds: the
    diagonal of S, and what of it the other inputs do not explain (1 over the diagonal of the inverse).
    """
    from matchopt import pair_costs  # only here: it loads numba

    target, rules = layer.target, layer.rules
    bounds = []
    for explained in (False, True):
        weight = _dominated(target, moments_of(layer), explained)
        bounds.append(
            pair_costs(target, layer.hardware, gains=rules.gains, drop=rules.drop, importance=weight, threads=threads)
        )
    return np.asarray(np.maximum(*bounds) * SAFE)


def assignment_bound(bounds: np.ndarray) -> float:
    """The least total of a bound for each row on neurons of their own, rounded down; inf where rows do not fit."""
    from scipy.optimize import linear_sum_assignment

    try:
        rows, neurons = linear_sum_assignment(bounds)
    except ValueError:
        return math.inf
    total = math.fsum(bounds[rows, neurons].tolist())
    return total - (1.0 - SAFE) * abs(total)


def _dominated(target: Target, moments: np.ndarray, explained: bool) -> np.ndarray:
    """The diagonal D of every connection, >= 0; zero where the inputs of a row depend on each other."""
    found = np.zeros(target.n_connections)
    for i in range(target.n_rows):
        part = target.row(i)
        inputs = target.indices[part]
        own = moments[np.ix_(inputs, inputs)]
        shape = own.diagonal().copy()
        if len(inputs) == 0 or not (shape > 0.0).all():
            continue
        root = np.sqrt(shape)
        values, vectors = np.linalg.eigh(own / np.outer(root, root))
        rounding = ROUNDING * len(values) * float(values[-1])
        if values[0] <= rounding:
            continue
        if not explained:
            found[part] = shape * (values[0] - rounding)
            continue
        shape = shape / ((vectors / values) * vectors).sum(axis=1)
        root = np.sqrt(shape)
        least = float(np.linalg.eigvalsh(own / np.outer(root, root))[0])
        found[part] = shape * max(0.0, least - rounding * float(own.diagonal().max() / shape.min()))
    return found
