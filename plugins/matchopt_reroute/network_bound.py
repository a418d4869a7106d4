"""A lower bound on the functional error of a network: what its first layer must cost."""

import math
from dataclasses import replace

import numpy as np

from matchopt import FunctionalError, NetworkInstance, OutputError
from matchopt_reroute.bounds import MOST_FAN_IN, SAFE, assignment_bound, pair_bounds

BLOCK = 4096  # samples taken at a time


def functional_bound(instance: NetworkInstance, threads: int) -> float:
    """No mapping has a functional error below this; -inf where nothing is known.

    The first layer hears the samples themselves, whatever the others do, so its error is an output error under their
    covariances (second moments where biases do not adjust) and the least of that is bounded pair by pair; later layers
    cost 0 at least. Not for layers with extra inputs, where other inputs may stand in for the row's own. Cells route
    freely and serve one weight each, as `reroute` asks.
    """
    objective, layer = instance.objective, instance.layers[0]
    if not isinstance(objective, FunctionalError) or instance.biases is None:
        return -math.inf
    if layer.rules.extra_inputs or layer.rules.tunable or layer.target.fan_in.max(initial=0) > MOST_FAN_IN:
        return -math.inf
    mean, covariance = _moments(objective, layer.target.n_inputs)
    weights = layer.target.dense()
    constant = weights @ mean + instance.biases[0]
    spread = float(np.einsum("ix,xy,iy->", weights, covariance, weights, optimize=True))
    if spread <= 1e-12 * float(constant @ constant) or spread <= 0.0:
        return -math.inf  # signals that hardly vary: what they are divided by is a matter of rounding
    matrix = covariance if instance.adjustable else covariance + np.outer(mean, mean)
    bounds = pair_bounds(replace(layer, objective=OutputError((matrix + matrix.T) / 2)), threads)
    return assignment_bound(bounds) / spread * SAFE


def _moments(objective: FunctionalError, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
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
