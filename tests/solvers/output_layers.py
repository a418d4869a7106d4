"""Small random layers that minimise an output error."""

from typing import Any

import numpy as np

from matchopt import Hardware, LayerInstance, LayerMapping, OutputError, Rules, Target


def moments(rng: np.random.Generator, n_inputs: int, rank: int = 0) -> np.ndarray:
    """Second moments of correlated inputs, of full rank unless told."""
    samples = rng.normal(size=(n_inputs, rank or 2 * n_inputs)) + 0.7 * rng.normal(size=(1, rank or 2 * n_inputs))
    return np.asarray(samples @ samples.T / samples.shape[1])


def layer(seed: int, *, rows: int = 2, inputs: int = 4, fan_in: int = 2, neurons: int = 3, cells: int = 3,
          rank: int = 0, noise: float = 0.0, bad: float = 0.0, **rules: Any) -> LayerInstance:  # fmt: skip
    """A random layer with free routing; `bad` is the share of unusable cells."""
    rng = np.random.default_rng(seed)
    support = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in
    hardware = Hardware(
        rng.normal(size=(neurons, cells)),
        variance=noise * rng.random((neurons, cells)),
        usable=rng.random((neurons, cells)) >= bad,
    )
    target = Target.from_dense(rng.normal(size=(rows, inputs)), support)
    return LayerInstance(target, hardware, Rules(**rules), OutputError(moments(rng, inputs, rank)))


def row_costs(instance: LayerInstance, mapping: LayerMapping) -> np.ndarray:
    """The error of every row, from the definition; without noise."""
    assert isinstance(instance.objective, OutputError)
    error = instance.target.dense() - instance.realised(mapping)
    return np.einsum("ix,xy,iy->i", error, instance.objective.second_moments, error)
