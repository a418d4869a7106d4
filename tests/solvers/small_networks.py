"""Small random networks whose objective is one of samples."""

from itertools import pairwise
from typing import Any

import numpy as np

from matchopt import FunctionalError, Hardware, LayerInstance, NetworkInstance, Rules, ScoreError, Target, TaskLoss

SHAPE = (12, 8, 3)  # inputs and rows of each layer
FAN_IN = (4, 5)


def network(seed: int, labels: bool, *, scores: bool = False, samples: int = 400, cells: int = 0,
            hardware_biases: bool = False, adjustable: bool = False, chip: dict[str, Any] | None = None,
            **rules: Any) -> NetworkInstance:  # fmt: skip
    """A random target of two layers, `cells` more (or fewer) cells than its fan-in, and samples.

    It labels them itself; without labels, signals count, or scores.
    """
    rng = np.random.default_rng(seed)
    layers, constant = [], int(hardware_biases)
    for (n, m), fan_in in zip(pairwise(SHAPE), FAN_IN, strict=True):
        mask = np.argsort(rng.random((m, n)), axis=1) < fan_in
        mask = np.hstack([mask, np.ones((m, constant), bool)])
        target = Target.from_dense(rng.standard_normal(mask.shape), mask)
        weights = rng.standard_normal((m + 2, fan_in + constant + cells))
        made = {name: np.asarray(draw(rng, weights.shape)) for name, draw in (chip or {}).items()}
        layers.append(LayerInstance(target, Hardware(weights, **made), Rules(**rules)))
    biases = None if hardware_biases else tuple(0.3 * rng.standard_normal(m) for m in SHAPE[1:])
    inputs = rng.random((samples, SHAPE[0])) * (rng.random((samples, SHAPE[0])) < 0.7)
    inputs[:, 3] = 0.0  # an input that never says anything
    objective = ScoreError(inputs) if scores else FunctionalError(inputs)
    plain = NetworkInstance(tuple(layers), biases, objective=objective, adjustable=adjustable)
    if not labels:
        return plain
    answers = plain.target_signals(inputs)[-1].argmax(axis=1)
    return NetworkInstance(tuple(layers), biases, objective=TaskLoss(inputs, answers), adjustable=adjustable)
