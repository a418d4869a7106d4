"""Lower bounds: on what a row costs on a hardware neuron under an output error, and on a network's functional error."""

import math
from dataclasses import replace

import numpy as np

from matchopt import (
    FunctionalError,
    LayerInstance,
    NetworkInstance,
    OutputError,
    SampleObjective,
    Target,
    assign,
    kernels,
)

MOST_FAN_IN = 128  # beyond, eigenvalues for the bound would take longer than the search
SAFE = 1.0 - 1e-9  # what rounding may take from a bound
BLOCK = 4096  # samples taken at a time
ROUNDING = 1e-13  # error of an eigenvalue relative to the largest, per row of the matrix


def moments_of(layer: LayerInstance) -> np.ndarray:
    """S of a layer that minimises an output error."""
    moments = layer.objective.shared_quadratic
    assert moments is not None
    return moments


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
    target, rules = layer.target, layer.rules
    bounds = []
    for explained in (False, True):
        weight = _dominated(target, moments_of(layer), explained)
        bounds.append(
            kernels.pair_costs(
                target, layer.hardware, gains=rules.gains, drop=rules.drop, importance=weight, threads=threads
            )
        )
    return np.asarray(np.maximum(*bounds) * SAFE)


def assignment_bound(bounds: np.ndarray) -> float:
    """The least total of a bound for each row on neurons of their own, rounded down; inf where rows do not fit."""
    neuron_of = assign(bounds)
    if neuron_of is None:
        return math.inf
    total = math.fsum(bounds[np.arange(len(neuron_of)), neuron_of].tolist())
    return total - (1.0 - SAFE) * abs(total)


def functional_bound(instance: NetworkInstance, threads: int) -> float:
    """No mapping has a functional error below this; -inf where nothing is known.

    The first layer hears the samples themselves, whatever the others do, so its error is an output error under their
    covariances (second moments where biases do not adjust) and the least of that is bounded pair by pair; later layers
    cost 0 at least. Not for layers with extra inputs, where other inputs may stand in for the row's own. Cells
    serve one weight each, as `reroute` asks, and are bounded as if they routed freely.
    """
    objective, layer = instance.objective, instance.layers[0]
    if objective is None or objective.name != FunctionalError.name or instance.biases is None:
        return -math.inf
    if not instance.runs.plain:
        return -math.inf
    if layer.hardware.hard_wired or (not layer.hardware.free_routing and layer.hardware.off.any()):
        return -math.inf  # what leaks may come near to weights that no cell does
    if layer.rules.extra_inputs or layer.rules.tunable or layer.target.fan_in.max(initial=0) > MOST_FAN_IN:
        return -math.inf
    mean, covariance = _covariances(objective, layer.target.n_inputs)
    weights = layer.target.dense()
    constant = weights @ mean + instance.biases[0]
    spread = float(np.einsum("ix,xy,iy->", weights, covariance, weights, optimize=True))
    if spread <= 1e-12 * float(constant @ constant) or spread <= 0.0:
        return -math.inf  # signals that hardly vary: what they are divided by is a matter of rounding
    matrix = covariance if instance.adjustable else covariance + np.outer(mean, mean)
    bounds = pair_bounds(replace(layer, objective=OutputError((matrix + matrix.T) / 2)), threads)
    return assignment_bound(bounds) / spread * SAFE


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


def _covariances(objective: SampleObjective, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of what the network receives."""
    count = len(objective.inputs)
    near = objective.rows(slice(0, BLOCK)).mean(axis=0)  # squares of distances from it keep their digits
    total, square = np.zeros(n_inputs), np.zeros((n_inputs, n_inputs))
    for first in range(0, count, BLOCK):
        away = objective.rows(slice(first, first + BLOCK)) - near
        total += away.sum(axis=0)
        square += away.T @ away
    offset = total / count
    return near + offset, square / count - np.outer(offset, offset)
