"""Tiny instances drawn at random: every field of hardware, rules, objectives and networks has its generator here.

Each table names the fields of one class; a test holds it against the class, and the demands that are drawn against all
there are, so that a new field without a generator is noticed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances import (
    AssignmentInstance,
    FunctionalError,
    Gains,
    Hardware,
    Instance,
    LayerInstance,
    NetworkInstance,
    OutputError,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.testing.tiny import tiny_instances

SHARE = 0.2  # of instances in which a field is not at its default
TRIES = 100  # draws until one is valid


@dataclass(frozen=True)
class Frame:
    """What the fields of one layer have to fit: sizes, and the generator all is drawn from."""

    rng: np.random.Generator
    rows: int
    inputs: int
    neurons: int
    cells: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the hardware."""
        return self.neurons, self.cells

    def values(self, shape: tuple[int, ...]) -> np.ndarray:
        """Normal, heavy-tailed, binary or coarse numbers; in siemens now and then."""
        kind = self.rng.integers(5)
        if kind == 0:
            return self.rng.choice([-1.0, 1.0], shape)
        if kind == 1:
            return np.asarray(self.rng.integers(-2, 3, shape) / 2.0)
        return np.asarray(self.rng.laplace(size=shape) if kind == 2 else self.rng.normal(size=shape))

    def some(self, shape: tuple[int, ...], share: float) -> np.ndarray:
        """True in so many places."""
        return np.asarray(self.rng.random(shape) < share)


def _bus(frame: Frame) -> np.ndarray:
    return frame.rng.integers(0, int(frame.rng.choice([1, 1, 2, frame.neurons])), frame.neurons)


def _high(frame: Frame) -> dict[str, np.ndarray]:
    low, width = frame.values(frame.shape), frame.rng.random(frame.shape)
    on = frame.some(frame.shape, 0.4)
    return {"low": np.where(on, low, np.nan), "high": np.where(on, low + width, np.nan)}


def _levels(frame: Frame) -> np.ndarray:
    steps = np.sort(frame.rng.normal(size=(*frame.shape, 2)), axis=2)
    return np.where(frame.some(frame.shape, 0.4)[:, :, None], steps, np.nan)


def _input(frame: Frame) -> np.ndarray:
    own = frame.rng.integers(-1, frame.inputs, frame.cells)
    return np.broadcast_to(own, frame.shape).copy()


# What each field of `Hardware` but its weights may be; a dict sets several that belong together, None leaves it alone.
HARDWARE: Mapping[str, Callable[[Frame], Any]] = {
    "variance": lambda frame: frame.rng.random(frame.shape) * frame.some(frame.shape, 0.7) * 0.3,
    "usable": lambda frame: frame.some(frame.shape, 0.85),
    "off": lambda frame: frame.values(frame.shape) * 0.3 * frame.some(frame.shape, 0.5),
    "bus": _bus,
    "neuron": lambda frame: frame.rng.permutation(frame.neurons + 2)[: frame.neurons],
    "origin": lambda frame: None,  # names only, which no solver sees
    "measured": lambda frame: None,
    "low": _high,
    "high": _high,
    "write_variance": lambda frame: _high(frame) | {"write_variance": 0.1 * frame.rng.random(frame.shape)},
    "levels": _levels,
    "level_variance": lambda frame: {"levels": (own := _levels(frame)), "level_variance": 0.1 * np.isfinite(own)},
    "input": _input,
}
GAINS = (
    Gains.finite(0.5, 1.0, 2.0),
    Gains.finite(-1.0, 1.0),
    Gains.finite(0.5),
    Gains.interval(0.5, 2.0),
    Gains.interval(-1.0, 1.0),
)
RULES: Mapping[str, Callable[[Frame], Any]] = {
    "cells_per_weight": lambda frame: 2,
    "drop": lambda frame: True,
    "extra_inputs": lambda frame: True,
    "gains": lambda frame: GAINS[int(frame.rng.integers(len(GAINS)))],
    "tunable": lambda frame: int(frame.rng.integers(1, 4)),
    "neurons_per_row": lambda frame: 2,
    "copies": lambda frame: 2,
    "writes": lambda frame: int(frame.rng.integers(0, 4)),
}
OBJECTIVES: Mapping[str, Callable[[np.random.Generator, int, int], Any]] = {
    "weight-error": lambda rng, inputs, outputs: WeightError(),
    "output-error": lambda rng, inputs, outputs: OutputError(_moments(rng, inputs)),
    "functional-error": lambda rng, inputs, outputs: FunctionalError(rng.normal(size=(4, inputs))),
    "score-error": lambda rng, inputs, outputs: ScoreError(rng.normal(size=(4, inputs))),
    "task-loss": lambda rng, inputs, outputs: TaskLoss(rng.normal(size=(4, inputs)), rng.integers(0, outputs, 4)),
}
# Of a network; the layers, their biases and architecture come first. The other fields say nothing about what is sought.
NETWORK = ("layers", "biases", "tunable", "objective", "adjustable", "architecture", "one_chip", "chained")
NETWORK_PLAIN = ("data", "samples", "provenance", "buffers")


def _moments(rng: np.random.Generator, inputs: int) -> np.ndarray:
    factor = rng.normal(size=(inputs, inputs))
    full = factor @ factor.T
    return full if rng.random() < 0.5 else np.diag(np.diag(full))


def drawn(rng: np.random.Generator, size: int = 3) -> Instance:
    """A random instance of at most `size` rows and inputs a layer; small networks, layers and assignments."""
    kind = rng.random()
    if kind < 0.6:
        return _layer(rng, size)
    if kind < 0.9:
        return _network(rng, size)
    return _assignment(rng, size + 2)


def _frame(rng: np.random.Generator, size: int, inputs: int | None = None, rows: int | None = None) -> Frame:
    rows = int(rng.integers(1, size + 1)) if rows is None else rows
    inputs = int(rng.integers(1, size + 1)) if inputs is None else inputs
    return Frame(rng, rows, inputs, rows + int(rng.integers(0, 3)), max(1, inputs + int(rng.integers(-1, 3))))


def _chosen(frame: Frame, table: Mapping[str, Callable[[Frame], Any]], share: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, draw in table.items():
        if frame.rng.random() < share:
            value = draw(frame)
            found |= value if isinstance(value, dict) else {} if value is None else {name: value}
    return found


def _layer(rng: np.random.Generator, size: int, frame: Frame | None = None) -> LayerInstance:
    given, share = frame, SHARE * float(rng.choice([0.5, 1.0, 2.0]))
    for _ in range(TRIES):
        frame = given or _frame(rng, size)
        mask = frame.some((frame.rows, frame.inputs), 0.7)
        importance = rng.choice([0.0, 0.5, 1.0, 3.0], mask.shape) if rng.random() < SHARE else None
        objective = OBJECTIVES["output-error" if rng.random() < SHARE else "weight-error"]
        try:
            return LayerInstance(
                Target.from_dense(frame.values(mask.shape), mask, importance),
                Hardware(frame.values(frame.shape), **_chosen(frame, HARDWARE, share)),
                Rules(**_chosen(frame, RULES, share)),
                objective(rng, frame.inputs, frame.rows),
            )
        except InvalidInstance:
            share *= 0.9
    raise AssertionError("no valid layer was drawn")


def _network(rng: np.random.Generator, size: int) -> NetworkInstance:
    shaped = [tiny.instance for tiny in tiny_instances() if tiny.name in ("network-convolutional", "network-recurrent")]
    if rng.random() < 0.1:
        chosen = shaped[int(rng.integers(len(shaped)))]
        assert isinstance(chosen, NetworkInstance)
        layers = tuple(
            replace(layer, hardware=Hardware(rng.normal(size=layer.hardware.weights.shape))) for layer in chosen.layers
        )
        name = str(rng.choice(["functional-error", "score-error", "task-loss"]))
        objective: Any = OBJECTIVES[name](rng, chosen.n_inputs, layers[-1].n_rows) if rng.random() < 0.5 else None
        return replace(chosen, layers=layers, objective=objective)
    for _ in range(TRIES):
        try:
            return _chain(rng, min(size, 3))
        except InvalidInstance:
            continue
    raise AssertionError("no valid network was drawn")


def _chain(rng: np.random.Generator, size: int) -> NetworkInstance:
    constant = int(rng.random() < SHARE)
    widths = [int(rng.integers(1, size + 1)) for _ in range(2 + int(rng.integers(1, 3)))]
    layers = [_layer(rng, size, _frame(rng, size, inputs + constant, rows)) for inputs, rows in pairwise(widths)]
    more: dict[str, Any] = {}
    if rng.random() < SHARE:
        more["one_chip"], layers = True, _on_one_chip(rng, layers)
    elif rng.random() < SHARE:
        more["chained"], layers = True, _chained(rng, layers)
    if rng.random() < 2 * SHARE:
        layers = [replace(layer, rules=replace(layer.rules, tunable=int(rng.integers(0, 3)))) for layer in layers]
        more["tunable"] = int(rng.integers(0, 4))
    if not constant:
        more["biases"] = tuple(rng.normal(size=rows) for rows in widths[1:])
        more["adjustable"] = bool(rng.random() < SHARE)
    if rng.random() < SHARE:
        name = str(rng.choice(["functional-error", "score-error", "task-loss"]))
        more["objective"] = OBJECTIVES[name](rng, widths[0], widths[-1])
    return NetworkInstance(tuple(layers), **more)


def _on_one_chip(rng: np.random.Generator, layers: list[LayerInstance]) -> list[LayerInstance]:
    """All layers on the same neurons, of the first one's hardware; raises InvalidInstance where that does not fit."""
    neurons, cells = sum(layer.n_rows for layer in layers) + int(rng.integers(0, 2)), layers[0].hardware.n_cells
    chip = Hardware(rng.normal(size=(neurons, cells)), bus=_bus(Frame(rng, 1, 1, neurons, cells)))
    return [replace(layer, hardware=chip) for layer in layers]


def _chained(rng: np.random.Generator, layers: list[LayerInstance]) -> list[LayerInstance]:
    """Each layer on one bus, with a line for every neuron before, and sometimes one more."""
    found: list[LayerInstance] = []
    for layer in layers:
        lines = found[-1].hardware.n_neurons + int(rng.integers(0, 2)) if found else layer.hardware.n_cells
        frame = Frame(rng, layer.n_rows, layer.target.n_inputs, layer.hardware.n_neurons, lines)
        parts = _chosen(frame, {name: draw for name, draw in HARDWARE.items() if name not in ("bus", "input")}, SHARE)
        chip = Hardware(frame.values(frame.shape), bus=np.zeros(frame.neurons, np.int64), **parts)
        found.append(replace(layer, hardware=chip, rules=replace(layer.rules, neurons_per_row=1, copies=1)))
    return found


def _assignment(rng: np.random.Generator, size: int) -> AssignmentInstance:
    rows = int(rng.integers(1, size + 1))
    shape = rows, rows + int(rng.integers(0, 3))
    if rng.random() < 0.5:
        return AssignmentInstance(rng.integers(-5, 20, shape))
    return AssignmentInstance(np.where(rng.random(shape) < 0.15, np.inf, rng.normal(size=shape)))
