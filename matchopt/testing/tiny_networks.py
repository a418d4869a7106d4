"""Tiny networks of two layers: fully connected, convolutional, recurrent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from matchopt.instances import (
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    NetworkInstance,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
)
from matchopt.instances.architecture import Convolution, Convolutional, Recurrent


def tiny_networks() -> Mapping[str, NetworkInstance]:
    """All tiny networks by name."""
    rng = np.random.default_rng(90)
    free = (np.array([0.1, -0.2]), np.array([0.3, 0.0]))
    plain = _layers(91)
    bytes_ = rng.integers(0, 256, (4, 2), dtype=np.uint8)
    functional = FunctionalError(rng.normal(size=(3, 2)))
    task = TaskLoss(rng.normal(size=(4, 2)), np.array([0, 1, 1, 0]))
    networks = {
        "free-biases": NetworkInstance(plain, free),
        "hardware-biases": NetworkInstance(_layers(92, constant=1)),
        "one-layer": NetworkInstance(plain[:1], free[:1]),
        "drop": NetworkInstance(_layers(93, drop=True), free),
        "samples": NetworkInstance(plain, free, samples=rng.normal(size=(3, 2))),
        "budget": NetworkInstance(_layers(94, tunable=1), free, tunable=1),
        "budget-none": NetworkInstance(_layers(94, tunable=1), free, tunable=0),
        "budget-ample": NetworkInstance(_layers(94, tunable=1), free, tunable=2),
        "task-loss": NetworkInstance(plain, free, objective=task),
        "task-loss-bytes": NetworkInstance(plain, free, objective=TaskLoss(bytes_, np.array([1, 0, 1, 1]), 1 / 255)),
        "functional-error": NetworkInstance(plain, free, objective=functional),
        "functional-error-drop": NetworkInstance(
            _layers(96, neurons=2, drop=True, noise=0.1), free, objective=FunctionalError(bytes_, 1 / 255)
        ),
        "functional-error-hardware-biases": NetworkInstance(_layers(97, neurons=2, constant=1), objective=functional),
        "functional-error-tunable": NetworkInstance(_layers(98, tunable=1), free, tunable=1, objective=functional),
        "gains": NetworkInstance(
            _layers(100, gains=Gains.finite(0.5, 1.0, 2.0)), free, samples=rng.normal(size=(4, 2))
        ),
        "task-loss-tunable": NetworkInstance(_layers(101, neurons=2, tunable=1), free, tunable=1, objective=task),
        "functional-error-adjustable": NetworkInstance(plain, free, objective=functional, adjustable=True),
        "task-loss-adjustable": NetworkInstance(plain, free, objective=task, adjustable=True),
        "adjustable": NetworkInstance(_layers(99), free, adjustable=True),
        "infeasible-layer": NetworkInstance((plain[0], _layers(95, cells=1)[1]), free),
    }
    networks |= _under_score_errors(bytes_) | _on_one_chip(free)
    networks |= _of_architectures() | _chained(free)
    return {f"network-{name}": network for name, network in networks.items()}


def _under_score_errors(bytes_: np.ndarray) -> dict[str, NetworkInstance]:
    """Exact biases, noisy cells and hardware biases."""
    rng, free = np.random.default_rng(103), (np.array([0.1, -0.2]), np.array([0.3, 0.0]))
    inputs, noisy = ScoreError(rng.normal(size=(3, 2))), _layers(96, neurons=2, drop=True, noise=0.1)
    return {
        "score-error": NetworkInstance(_layers(91), free, objective=inputs),
        "score-error-drop": NetworkInstance(noisy, free, objective=ScoreError(bytes_, 1 / 255)),
        "score-error-hardware-biases": NetworkInstance(_layers(97, neurons=2, constant=1), objective=inputs),
    }


def _on_one_chip(free: tuple[np.ndarray, ...]) -> dict[str, NetworkInstance]:
    """Two layers that share neurons and lines: of one scale or two, on free and shared lines, tight and too small."""
    rng = np.random.default_rng(104)
    return {
        "one-chip": _sharing(rng, free, neurons=4),
        "one-chip-scaled": _sharing(rng, free, neurons=5, scale=2.5, drop=True),
        "one-chip-bus": _sharing(rng, free, neurons=4, cells=4, bus=np.zeros(4, int)),
        "one-chip-buses-drop": _sharing(rng, free, neurons=4, cells=3, bus=np.array([0, 0, 7, 7]), drop=True),
        "one-chip-gains": _sharing(rng, free, neurons=4, gains=Gains.interval(0.5, 2.0)),
        "one-chip-own-cells": _sharing(rng, free, neurons=5, own_cells=True),
        "one-chip-split": _sharing(rng, free, neurons=7, cells=1, scale=0.5, neurons_per_row=2),
        "one-chip-infeasible": _sharing(rng, free, neurons=4, usable=np.array([True, True, True, False])),
        "one-chip-objective": replace(
            _sharing(rng, free, neurons=4), objective=FunctionalError(rng.normal(size=(3, 2)))
        ),
    }


def _sharing(
    rng: np.random.Generator,
    free: tuple[np.ndarray, ...],
    *,
    neurons: int,
    cells: int = 2,
    scale: float = 1.0,
    bus: np.ndarray | None = None,
    own_cells: bool = False,
    usable: np.ndarray | None = None,
    **rules: Any,
) -> NetworkInstance:
    """Two layers of two rows each on the same neurons, listed in another order; the second's in another scale.

    With `own_cells` each layer is offered other neurons, some of them both. `usable` says which neurons have cells.
    """
    weights, turned = rng.normal(size=(neurons, cells)), np.arange(neurons)[::-1]
    first, second = _layers(105, **rules)
    offered = (np.arange(neurons), turned) if not own_cells else (np.arange(3), np.arange(neurons - 3, neurons))
    buses, alive = np.arange(neurons) if bus is None else bus, np.ones((neurons, cells), bool)
    if usable is not None:
        alive &= usable[:, None]
    layers = []
    for layer, numbers, factor in zip((first, second), offered, (1.0, scale), strict=True):
        chip = Hardware(weights[numbers] * factor, usable=alive[numbers], bus=buses[numbers], neuron=numbers)
        layers.append(replace(layer, hardware=chip))
    return NetworkInstance(tuple(layers), free, one_chip=True)


def _chained(free: tuple[np.ndarray, ...]) -> dict[str, NetworkInstance]:
    """Two crossbars of two rows each, one behind the other: spare neurons and lines, faults, biases on a line."""
    rng = np.random.default_rng(107)
    stuck, dead = np.where(rng.random((3, 3)) < 0.3, rng.normal(size=(3, 3)), 0.0), rng.random((3, 3)) < 0.8
    return {
        "chained": _behind(rng, free),
        "chained-drop-stuck": _behind(rng, free, off=stuck, drop=True),
        "chained-dead-cells": _behind(rng, free, usable=dead, drop=True),
        "chained-hardware-biases": _behind(rng, None, neurons=2, drop=True),
        "chained-gains": _behind(rng, free, neurons=2, gains=Gains.finite(0.5, 1.0)),
        "chained-infeasible": _behind(rng, free, neurons=2, usable=np.array([[True, True, True], [True, False, True]])),
    }


def _behind(
    rng: np.random.Generator,
    biases: tuple[np.ndarray, ...] | None,
    *,
    neurons: int = 3,
    usable: np.ndarray | None = None,
    off: np.ndarray | None = None,
    **rules: Any,
) -> NetworkInstance:
    """Two layers on arrays of so many neurons with three lines; `usable` and `off` are those of both."""
    layers = []
    for layer in _layers(108, constant=int(biases is None), **rules):
        parts: dict[str, Any] = {"usable": usable, "off": off, "bus": np.zeros(neurons, np.int64)}
        layers.append(replace(layer, hardware=Hardware(rng.normal(size=(neurons, 3)), **parts)))
    return NetworkInstance(tuple(layers), biases, chained=True)


def _of_architectures() -> dict[str, NetworkInstance]:
    """Filters and gates, by the sum of their layers' errors and by what the whole network puts out."""
    rng, images, cells = np.random.default_rng(106), _convolutional(), _recurrent()
    every = replace(cells, architecture=Recurrent(1, 2, 1, 2, "every"))
    pooled = Convolutional((1, 3, 3), (Convolution(2, 2, pool=2, normalise="batch"),), (), 2)
    return {
        "convolutional": images,
        "convolutional-score-error": replace(
            images, architecture=pooled, objective=ScoreError(rng.normal(size=(3, 9)))
        ),
        "recurrent": cells,
        "recurrent-functional-error": replace(cells, objective=FunctionalError(rng.normal(size=(3, 2)))),
        "recurrent-task-loss": replace(
            every, objective=TaskLoss(rng.normal(size=(3, 2)), np.array([[0, 1], [1, -1], [1, 0]]))
        ),
    }


def _convolutional() -> NetworkInstance:
    """Two filters over an image of four pixels, normalised by running statistics."""
    architecture = Convolutional((1, 2, 2), (Convolution(2, 2, normalise="batch"),), (), 2)
    supports = (np.array([[1, 0, 0, 1], [0, 1, 1, 0]]), np.ones((2, 2)))
    buffers = {"mean.0": np.array([0.1, -0.1]), "variance.0": np.array([0.5, 2.0])}
    biases = (np.array([0.1, -0.2]), np.array([0.3, 0.0]))
    return NetworkInstance(_layers(102, *supports), biases, architecture=architecture, buffers=buffers)


def _recurrent() -> NetworkInstance:
    """One recurrent cell over two frames of one number: four gates, of which two hear the frame and two the cell."""
    supports = (np.array([[1, 0], [0, 1], [1, 0], [0, 1]]), np.ones((2, 1)))
    return NetworkInstance(_layers(103, *supports), (np.zeros(4), np.zeros(2)), architecture=Recurrent(1, 2, 1, 2))


def _layers(
    seed: int,
    *supports: np.ndarray,
    neurons: int = 3,
    cells: int = 2,
    constant: int = 0,
    noise: float = 0.0,
    **rules: Any,
) -> tuple[LayerInstance, ...]:
    """Layers of these supports; without any, two of two rows each: the first lacks one connection, the second none."""
    rng = np.random.default_rng(seed)
    layers = []
    for support in supports or (np.array([[1, 1], [0, 1]]), np.ones((2, 2))):
        mask = np.hstack([support, np.ones((len(support), constant))]).astype(bool)
        target = Target.from_dense(rng.normal(size=mask.shape), mask)
        weights = rng.normal(size=(len(support) if supports else neurons, cells + constant))
        layers.append(LayerInstance(target, Hardware(weights, np.full(weights.shape, noise)), Rules(**rules)))
    return tuple(layers)
