"""Random layers whose neurons share lines, and their optima by enumeration."""

import itertools
from typing import Any

import numpy as np
from layers import random_menus

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
    placed = set(itertools.permutations(lines, len(inputs)))
    if not placed:
        return np.inf
    k, best = np.array(list(placed), np.int64)[:, input_of], np.inf  # all ways to place the inputs at once
    for neuron_of in itertools.permutations(range(chip.n_neurons), layer.n_rows):
        j = np.array(neuron_of)[target.row_of]
        wired = (target.weights - gain * chip.weights[j, k]) ** 2 + gain**2 * chip.variance[j, k]
        wired = np.where((k >= 0) & chip.usable[j, k], wired, np.inf)
        if layer.rules.drop:
            wired = np.minimum(wired, target.weights**2)
        fits = np.isfinite(wired).all(axis=1)
        for value, cells in zip((factor * wired[fits]).sum(axis=1).tolist(), k[fits], strict=True):
            if value < best and np.any(chip.off):  # what leaks is on inputs that a row does not have: it only adds
                value = layer.value(LayerMapping.from_cells(target, np.array(neuron_of), cells))
            best = min(best, value)
    return best


VARIANTS: dict[str, dict[str, Any]] = {
    "leak": {"leak": True},
    "leak, drop": {"leak": True, "drop": True},
    "leak, extra": {"leak": True, "extra_inputs": True},
    "leak, extra, drop": {"leak": True, "extra_inputs": True, "drop": True},
    "stuck": {"stuck": True},
    "stuck, drop": {"stuck": True, "drop": True},
    "stuck, extra, drop, noise": {"stuck": True, "extra_inputs": True, "drop": True, "noise": True},
    "gains": {"gains": Gains.finite(0.5, 1.0, -1.5)},
    "gains, drop, noise": {"gains": Gains.finite(0.5, -1.0), "drop": True, "noise": True},
    "gains, leak": {"gains": Gains.finite(0.5, 2.0), "leak": True},
    "gains, leak, drop": {"gains": Gains.finite(0.5, 2.0), "leak": True, "drop": True},
    "interval": {"gains": Gains.interval(-2.0, 2.0)},
    "interval, drop, noise": {"gains": Gains.interval(0.5, 2.0), "drop": True, "noise": True},
    "interval, leak, importance": {"gains": Gains.interval(0.25, 3.0), "leak": True, "importance": True},
    "two buses": {"buses": 2},
    "two buses, leak": {"buses": 2, "leak": True},
    "two buses, leak, drop": {"buses": 2, "leak": True, "drop": True},
    "two buses, stuck, extra, drop": {"buses": 2, "stuck": True, "extra_inputs": True, "drop": True},
    "two buses, gains, noise": {"buses": 2, "gains": Gains.finite(0.5, 2.0), "noise": True},
    "two buses, interval, drop": {"buses": 2, "gains": Gains.interval(0.5, 2.0), "drop": True},
    "menus, noise": {"menus": True, "noise": True},
    "menus, gains, drop": {"menus": True, "gains": Gains.finite(0.5, -1.0), "drop": True},
    "menus, leak, extra, drop": {"menus": True, "leak": True, "extra_inputs": True, "drop": True},
    "menus, stuck, two buses": {"menus": True, "stuck": True, "buses": 2},
    "writes": {"menus": True, "writes": 1},
    "writes, drop, importance": {"menus": True, "writes": 2, "drop": True, "importance": True},
    "writes, leak": {"menus": True, "writes": 1, "leak": True},
    "tunable": {"tunable": 1},
    "tunable, drop, noise": {"tunable": 1, "drop": True, "noise": True},
    "tunable, leak, drop": {"tunable": 1, "leak": True, "drop": True},
    "tunable, stuck, two buses": {"tunable": 2, "stuck": True, "buses": 2},
    "tunable, gains": {"tunable": 1, "gains": Gains.finite(0.5, 2.0)},
    "tunable, interval": {"tunable": 1, "gains": Gains.interval(0.5, 2.0)},
    "tunable, writes": {"tunable": 1, "menus": True, "writes": 1},
}


def variant(name: str, seed: int, rows: int = 2, inputs: int = 2, spare: int = 1) -> LayerInstance:
    """A random layer of this variant, with so many spare neurons and lines."""
    options = dict(VARIANTS[name])
    rng = np.random.default_rng([seed, list(VARIANTS).index(name)])
    buses, shape = options.pop("buses", 1), (rows + spare, inputs + spare)
    support = rng.random((rows, inputs)) < 0.7
    support[0, 0] = True
    importance = rng.uniform(0.1, 3.0, support.shape) if options.pop("importance", False) else None
    weights = rng.normal(size=shape)
    off, usable = 0.6 * rng.normal(size=shape) if options.pop("leak", False) else None, None
    if options.pop("stuck", False):
        faulty = rng.random(shape) < 0.4
        off, usable = np.where(faulty, 2.0 * rng.normal(size=shape), 0.0), ~faulty
    noise = 0.3 * rng.random(shape) if options.pop("noise", False) else None
    menus = random_menus(rng, shape, "range levels fixed") if options.pop("menus", False) else {}
    chip = Hardware(weights, noise, usable, off, rng.permutation(shape[0]) % buses, **menus)  # type: ignore[arg-type]
    return LayerInstance(Target.from_dense(rng.normal(size=support.shape), support, importance), chip, Rules(**options))
