"""Small random networks for the tests of corrections: three layers, sample inputs, labels of the target itself."""

from itertools import pairwise
from typing import Any

import numpy as np

from matchopt import (
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Result,
    Rules,
    Solver,
    Target,
    TaskLoss,
)

WIDTHS = (10, 12, 8, 4)
SAMPLES = 400


def network(
    seed: int = 0,
    objective: str = "task-loss",
    *,
    gains: Gains | None = None,
    tunable: int = 0,
    budget: int | None = None,
    hardware_biases: bool = False,
    noise: float = 0.0,
    drop: bool = False,
    adjustable: bool = True,
) -> NetworkInstance:
    """A network of random sparse weights on random hardware with half as many cells again as connections."""
    rng = np.random.default_rng(seed)
    rules = Rules(drop=drop, gains=gains or Gains(), tunable=tunable)
    constant, layers = int(hardware_biases), []
    for inputs, rows in pairwise(WIDTHS):
        mask = np.argsort(rng.random((rows, inputs)), axis=1) < 4
        full = np.hstack([np.where(mask, rng.normal(size=(rows, inputs)), 0.0), rng.normal(size=(rows, constant))])
        cells = rng.normal(size=(rows + 2, 6 + constant))
        hardware = Hardware(cells, np.full(cells.shape, noise))
        layers.append(LayerInstance(Target.from_dense(full), hardware, rules))
    biases = None if hardware_biases else tuple(0.3 * rng.normal(size=layer.n_rows) for layer in layers)
    inputs = np.maximum(rng.normal(size=(SAMPLES, WIDTHS[0])), 0.0)
    made = NetworkInstance(tuple(layers), biases)
    labels = made.target_signals(inputs)[-1].argmax(axis=1)
    extra: dict[str, Any] = {"adjustable": adjustable and not hardware_biases, "tunable": budget}
    if objective == "task-loss":
        extra["objective"] = TaskLoss(inputs, labels)
    elif objective == "functional-error":
        extra["objective"] = FunctionalError(inputs)
    else:
        extra["samples"] = inputs
    return NetworkInstance(tuple(layers), biases, **extra)


def solved(solver: Solver, instance: NetworkInstance, start: NetworkMapping | None = None, **limits: Any) -> Result:
    """The result of a solver in this process."""
    seed = limits.pop("seed", 0)
    return solver.solve(instance, Limits(start=start, **limits), np.random.default_rng(seed))


def realised(instance: NetworkInstance, mapping: NetworkMapping) -> list[np.ndarray]:
    """The realised weights of every layer."""
    return [layer.realised(part) for layer, part in zip(instance.layers, mapping.layers, strict=True)]


def signals(instance: NetworkInstance, mapping: NetworkMapping, inputs: np.ndarray) -> list[np.ndarray]:
    """Pre-activations of the mapped network by plain matrix products."""
    biases = instance.biases if mapping.biases is None else mapping.biases
    found, received = [], inputs
    for n, matrix in enumerate(realised(instance, mapping)):
        if biases is None:
            received = np.column_stack([received, np.ones(len(received))])
        found.append(received @ matrix.T + (0.0 if biases is None else biases[n]))
        received = np.maximum(found[-1], 0.0)
    return found
