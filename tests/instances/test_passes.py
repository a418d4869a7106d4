"""Runs of every architecture: as torch has them, as the checker has them, and the slopes that go back through them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matchopt.checker import check
from matchopt.instances import (
    Architecture,
    Convolution,
    Convolutional,
    FullyConnected,
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Recurrent,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
)
from matchopt.instances.passes import pass_of


def images(
    *stages: Convolution, shape: tuple[int, int, int] = (2, 7, 6), hidden: tuple[int, ...] = ()
) -> Convolutional:
    return Convolutional(shape, stages, hidden, 3)


ARCHITECTURES: dict[str, Architecture] = {
    "fully connected": FullyConnected((5, 4, 3)),
    "one convolution": images(Convolution(3, 3)),
    "padding": images(Convolution(3, 3, 2), Convolution(2, 2, 1), hidden=(4,)),
    "maximum": images(Convolution(3, 2, pool=2), Convolution(2, 2)),
    "maximum, stride": images(Convolution(3, 2, pool=3, pool_stride=1), hidden=(4,)),
    "mean, overhang": images(Convolution(3, 3, 1, pool=3, pool_stride=2, average=True, overhang=True)),
    "maximum, overhang": images(Convolution(3, 3, 1, pool=2, pool_stride=3, overhang=True)),
    "batch": images(Convolution(3, 3, pool=2, normalise="batch"), hidden=(4,)),
    "response": images(Convolution(12, 3, pool=2, normalise="response")),
    "pooled response": images(Convolution(12, 3, pool=2, average=True, normalise="pooled-response"), Convolution(2, 2)),
    "last": Recurrent(2, 4, 3, 3),
    "mean": Recurrent(2, 4, 3, 3, "mean"),
    "every": Recurrent(2, 3, 3, 3, "every"),
}
OBJECTIVES = ("task-loss", "functional-error", "score-error")
every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)


def parameters(net: Architecture, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray], dict[str, np.ndarray]]:
    """Weights, biases and running statistics."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape) for shape in net.matrices]
    buffers = {name: rng.random(shape) + 0.3 for name, shape in net.buffers.items()}
    return weights, [rng.standard_normal(rows) for rows, _ in net.matrices], buffers


def instance_of(net: Architecture, objective: str, seed: int, hardware_biases: bool = False) -> NetworkInstance:
    """A noisy network with gains."""
    rng, (weights, biases, buffers) = np.random.default_rng([seed, 1]), parameters(net, seed)
    layers = []
    for matrix, bias in zip(weights, biases, strict=True):
        full = np.column_stack([matrix, bias]) if hardware_biases else matrix
        target = Target.from_dense(full, rng.random(full.shape) < 0.6)
        cells = rng.standard_normal((len(full), full.shape[1]))
        rules = Rules(gains=Gains.finite(0.5, 1.0), drop=True, extra_inputs=True)
        layers.append(LayerInstance(target, Hardware(cells, 0.1 * rng.random(cells.shape)), rules))
    inputs, every = rng.standard_normal((7, net.n_inputs)), getattr(net, "readout", "") == "every"
    labels = rng.integers(-1 if every else 0, 3, (7, net.frames) if every else 7)  # type: ignore[attr-defined]
    made: Any = {
        "task-loss": lambda: TaskLoss(inputs, labels, 0.5),
        "functional-error": lambda: FunctionalError(inputs, 0.5),
        "score-error": lambda: ScoreError(inputs, 0.5),
    }[objective]
    free = None if hardware_biases else tuple(biases)
    return NetworkInstance(tuple(layers), free, objective=made(), architecture=net, buffers=buffers)


def some_mapping(instance: NetworkInstance, seed: int) -> NetworkMapping:
    """Every cell on an input of its own."""
    rng, layers = np.random.default_rng([seed, 2]), []
    for layer in instance.layers:
        m, k = layer.n_rows, layer.hardware.n_cells
        inputs = np.concatenate([rng.permutation(layer.target.n_inputs)[:k] for _ in range(m)])
        layers.append(
            LayerMapping(
                rng.permutation(m), np.arange(m + 1) * k, np.tile(np.arange(k), m), inputs, rng.choice([0.5, 1.0], m)
            )
        )
    return NetworkMapping(tuple(layers))


@every_architecture
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("hardware_biases", [False, True], ids=["free", "hardware"])
def test_both_forms_of_an_objective_agree(architecture: Architecture, objective: str, hardware_biases: bool) -> None:
    """The fast value is the checker's, whatever lies between the layers."""
    for seed in range(3):
        instance = instance_of(architecture, objective, seed, hardware_biases)
        mapping = some_mapping(instance, seed)
        report = check(instance, mapping)
        assert report.feasible
        assert report.objective is not None
        assert instance.value(mapping) == pytest.approx(report.objective, rel=1e-9, abs=1e-12)
        assert report.objective > 1e-3


@every_architecture
def test_answers_are_those_of_torch(architecture: Architecture) -> None:
    """The same network as torch runs it."""
    forward = pytest.importorskip("matchopt.network.forward")
    instance, (weights, biases, buffers) = instance_of(architecture, "score-error", 0), parameters(architecture)
    inputs = np.random.default_rng(4).standard_normal((9, architecture.n_inputs))
    wanted = forward.predict(architecture, weights, biases, inputs, buffers)
    found = instance.logits(weights, inputs, biases)
    np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=1e-9, atol=1e-12)


@every_architecture
@pytest.mark.parametrize("constant", [False, True], ids=["free", "hardware"])
def test_slopes_are_those_of_finite_differences(architecture: Architecture, constant: bool) -> None:
    """Derivatives by the signals of every layer, of a loss that reads answers and signals, through what follows."""
    rng, (weights, biases, buffers) = np.random.default_rng(5), parameters(architecture)
    runs = pass_of(architecture, buffers)
    inputs = rng.standard_normal((3, architecture.n_inputs))
    matrices = [np.column_stack(pair) for pair in zip(weights, biases, strict=True)] if constant else weights
    free = None if constant else biases
    trace = list(runs.run(matrices, free, inputs))
    own: list[np.ndarray] = [rng.standard_normal(signals.shape) for _, signals in trace]
    aim = rng.standard_normal(runs.answered(trace[-1][1]).shape)

    def loss(trace: list[Any]) -> float:
        mean = float(np.vdot(aim, runs.answered(trace[-1][1])))
        return mean + sum(float(np.vdot(mine, signals)) for mine, (_, signals) in zip(own, trace, strict=True))

    slopes = runs.backward(matrices, trace, [*own[:-1], own[-1] + runs.of_answers(aim)])
    for n, ((received, _), slope) in enumerate(zip(trace, slopes, strict=True)):
        gradient = slope.T @ received
        for _ in range(6):
            place = int(rng.integers(len(matrices[n]))), int(rng.integers(matrices[n].shape[1]))
            ends = []
            for step in (1e-6, -1e-6):
                moved = [matrix.copy() for matrix in matrices]
                moved[n][place] += step
                ends.append(loss(list(runs.run(moved, free, inputs))))
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-6)


@every_architecture
def test_a_run_can_begin_with_a_later_layer(architecture: Architecture) -> None:
    """From the signals of the layer before it, as if all had been run."""
    weights, biases, buffers = parameters(architecture)
    runs, inputs = pass_of(architecture, buffers), np.random.default_rng(6).standard_normal((3, architecture.n_inputs))
    trace = list(runs.run(weights, biases, inputs))
    for first in range(1, len(trace)):
        later = list(runs.run(weights, biases, trace[first - 1][1], first))
        for pair, wanted in zip(later, trace[first:], strict=True):
            np.testing.assert_allclose(pair[1], wanted[1], rtol=1e-12)


def test_memory_does_not_grow_with_samples() -> None:
    """What is run at a time has a bounded number of places."""
    net = Convolutional((3, 24, 24), (Convolution(16, 5, 2, pool=2),), (), 10)
    assert pass_of(net, {}).step * 576 * 75 <= 2**22
    assert replace(net) == net
