"""Random layers whose neurons share lines, and their optima by enumeration."""

import itertools
from typing import Any

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, LayerMapping, OutputError, Rules, Target, WeightError

MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "drop": {"drop": True},
    "noise": {"noise": True},
    "importance": {"importance": True},
    "importance, noise, drop": {"importance": True, "noise": True, "drop": True},
    "unusable": {"unusable": True},
    "unusable, drop": {"unusable": True, "drop": True},
    "diagonal S": {"diagonal": True},
    "one gain": {"gains": Gains.finite(-0.5)},
    "few lines, drop": {"drop": True, "lines": 2},
    "leak": {"leak": True},
    "extra inputs": {"extra_inputs": True},
}


def crossbar(rng: np.random.Generator, mode: str = "plain", size: int = 3, density: float = 0.6) -> LayerInstance:
    """A layer of `size` rows and inputs on one bus with one spare neuron, and a spare line at times."""
    options = dict(MODES[mode])
    inputs = max(2, size)
    shape = (size + 1, options.pop("lines", inputs + int(rng.integers(0, 2))))
    support = rng.random((size, inputs)) < density
    support[0, 0] = True
    importance = rng.uniform(0.1, 3.0, support.shape) if options.pop("importance", False) else None
    target = Target.from_dense(rng.normal(size=support.shape), support, importance)
    chip = Hardware(
        rng.normal(size=shape),
        0.3 * rng.random(shape) if options.pop("noise", False) else None,
        rng.random(shape) < 0.85 if options.pop("unusable", False) else None,
        0.4 * rng.normal(size=shape) if options.pop("leak", False) else None,
        np.zeros(shape[0], np.int64),
    )
    objective = OutputError(np.diag(rng.uniform(0.2, 2.0, inputs))) if options.pop("diagonal", False) else WeightError()
    return LayerInstance(target, chip, Rules(**options), objective)


def optimum(layer: LayerInstance) -> float:
    """The least value over all neurons of rows and all lines of inputs; inf where no mapping keeps the rules.

    Every connection is wired, or dropped, on its own, so this holds where leaks are absent or nothing may be dropped.
    """
    target, chip = layer.target, layer.hardware
    (gain,) = layer.rules.gains.values or (1.0,)
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    factor, n_lines = layer.objective.importance(target), chip.n_cells
    lines = [*range(n_lines), *([-1] * len(inputs) if layer.rules.drop else [])]
    placed = {line_of for line_of in itertools.permutations(lines, len(inputs))}
    best = np.inf
    for neuron_of in itertools.permutations(range(chip.n_neurons), layer.n_rows):
        j = np.array(neuron_of)[target.row_of]
        for line_of in placed:
            k = np.array(line_of)[input_of]
            usable = (k >= 0) & chip.usable[j, k]
            wired = (target.weights - gain * chip.weights[j, k]) ** 2 + gain**2 * chip.variance[j, k]
            wired = np.where(usable, wired, np.inf)
            if layer.rules.drop:
                wired = np.minimum(wired, target.weights**2)
            value = float((factor * wired).sum()) if np.isfinite(wired).all() else np.inf
            if np.any(chip.off) and np.isfinite(value):
                value = layer.value(LayerMapping.from_cells(target, np.array(neuron_of), k))
            best = min(best, value)
    return best
