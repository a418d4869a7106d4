"""Small random convolutional and recurrent networks whose objective is one of samples."""

from dataclasses import replace
from typing import Any

import numpy as np

from matchopt import (
    Convolution,
    Convolutional,
    FunctionalError,
    Hardware,
    LayerInstance,
    NetworkInstance,
    Recurrent,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
)

ARCHITECTURES: dict[str, Any] = {
    "maximum": Convolutional((1, 8, 8), (Convolution(4, 3, pool=2), Convolution(5, 2)), (6,), 3),
    "batch, mean": Convolutional((1, 8, 8), (Convolution(5, 3, 1, pool=2, normalise="batch", average=True),), (6,), 3),
    "response": Convolutional((1, 6, 6), (Convolution(5, 3, pool=2, normalise="response"),), (), 3),
    "last": Recurrent(3, 5, 6, 3),
    "mean": Recurrent(3, 5, 6, 3, "mean"),
    "every": Recurrent(3, 5, 6, 3, "every"),
}


def shaped(name: str, objective: str = "score-error", *, seed: int = 0, samples: int = 200, cells: int = 0,
           biases: str = "adjustable", variance: float = 0.0, **rules: Any) -> NetworkInstance:  # fmt: skip
    """A random target whose rows have a third of their connections; it labels its samples itself."""
    net, rng = ARCHITECTURES[name], np.random.default_rng(seed)
    layers, constant = [], int(biases == "hardware")
    for m, n in net.matrices:
        fan_in = max(2, n // 3)
        mask = np.argsort(rng.random((m, n)), axis=1) < fan_in
        mask = np.hstack([mask, np.ones((m, constant), bool)])
        target = Target.from_dense(rng.standard_normal(mask.shape), mask)
        weights = rng.standard_normal((m + 1, fan_in + constant + cells))
        layers.append(LayerInstance(target, Hardware(weights, np.full(weights.shape, variance)), Rules(**rules)))
    free = None if constant else tuple(0.3 * rng.standard_normal(m) for m, _ in net.matrices)
    buffers = {name: rng.random(shape) + 0.5 for name, shape in net.buffers.items()}
    inputs = rng.standard_normal((samples, net.n_inputs))
    more: Any = {"architecture": net, "buffers": buffers, "adjustable": biases == "adjustable"}
    plain = NetworkInstance(tuple(layers), free, objective=ScoreError(inputs), **more)
    if objective == "functional-error":
        return NetworkInstance(tuple(layers), free, objective=FunctionalError(inputs), **more)
    if objective == "task-loss":
        answers = plain.logits(plain.target_weights, inputs).argmax(axis=1)
        labels = answers.reshape(samples, -1) if name == "every" else answers
        return NetworkInstance(tuple(layers), free, objective=TaskLoss(inputs, labels), **more)
    return plain


def counting(instance: NetworkInstance, few: int) -> NetworkInstance:
    """The instance with labels of so many samples only; of the others no frame counts."""
    task = instance.objective
    assert isinstance(task, TaskLoss)
    labels = task.labels.copy()
    labels[few:] = -1
    return replace(instance, objective=replace(task, labels=labels))
