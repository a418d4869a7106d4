"""The checker's objectives: against hand computation, and against the fast forms beside the instances."""

import math
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.checker import check
from matchopt.checker.forward import PlainLayer, Spread
from matchopt.checker.objective import layer_objective
from matchopt.checker.report import total
from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    FunctionalError,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    Objective,
    OutputError,
    ProgramInstance,
    ProgramPoint,
    Rules,
    ScoreError,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.instances.architecture import FullyConnected
from matchopt.instances.passes import pass_of

SEEDS = st.integers(0, 2**32 - 1)


def random_layer(rng: np.random.Generator, n_inputs: int, n_rows: int) -> LayerInstance:
    """A layer with any mix of rules; every bus has a line for every input, so a mapping exists."""
    cells_per_weight = int(rng.integers(1, 3))
    n_cells = n_inputs * cells_per_weight + int(rng.integers(0, 3))
    n_neurons = n_rows + int(rng.integers(0, 3))
    drop = bool(rng.integers(2))
    usable = rng.random((n_neurons, n_cells)) < 0.8 if drop else None
    bus = rng.integers(0, int(rng.integers(1, n_neurons + 1)), n_neurons) if rng.random() < 0.7 else None
    cells = rng.normal(size=(3, n_neurons, n_cells))
    hardware = Hardware(cells[0], variance=cells[1] ** 2, usable=usable, off=cells[2], bus=bus)
    gains = [Gains(), Gains.finite(0.5, -2.0), Gains.interval(-1.0, 3.0)][int(rng.integers(3))]
    several = [(1, 1), (2, 1), (1, 2)][int(rng.integers(3))]
    rules = Rules(cells_per_weight, drop, bool(rng.integers(2)), gains, int(rng.integers(0, 3)), *several)
    weights = rng.normal(size=(n_rows, n_inputs))
    support = rng.random(weights.shape) < 0.6
    target = Target.from_dense(weights, support, rng.random(weights.shape))
    samples = rng.normal(size=(4, n_inputs))
    objective: Objective = OutputError(samples.T @ samples / 4) if rng.integers(2) else WeightError()
    return LayerInstance(target, hardware, rules, objective)


def random_mapping(rng: np.random.Generator, layer: LayerInstance) -> LayerMapping:
    """A feasible mapping: lines are dealt to inputs bus by bus, then every row takes what it needs from its bus."""
    target, hardware, rules = layer.target, layer.hardware, layer.rules
    used = int(rng.integers(layer.n_rows, min(hardware.n_neurons, rules.neurons * layer.n_rows) + 1))
    neuron_of = rng.permutation(hardware.n_neurons)[:used]
    row = np.sort(np.tile(np.arange(layer.n_rows), rules.neurons)[:used])
    part_of = rng.integers(0, rules.neurons_per_row, (layer.n_rows, target.n_inputs)) % np.bincount(row)[:, None]
    shuffled = {int(bus): rng.permutation(hardware.n_cells) for bus in hardware.bus}
    count = min(rules.tunable, target.n_connections)
    tunable = np.sort(rng.permutation(target.n_connections)[:count])
    wires: list[list[tuple[int, int]]] = []
    for a, (i, j) in enumerate(zip(row.tolist(), neuron_of.tolist(), strict=True)):
        wires.append([])
        support = dict(zip(target.indices[target.row(i)].tolist(), range(*_bounds(target, i)), strict=True))
        for x in range(target.n_inputs):
            lines = shuffled[int(hardware.bus[j])][x * rules.cells_per_weight : (x + 1) * rules.cells_per_weight]
            lines = lines[hardware.usable[j, lines]]
            least = int(x in support and not rules.drop)
            wanted = int(rng.integers(least, len(lines) + 1)) if len(lines) else 0
            if support.get(x) in tunable.tolist() or (x not in support and not rules.extra_inputs):
                wanted = 0
            if rules.neurons_per_row > 1 and row[:a].tolist().count(i) != part_of[i, x]:
                wanted = 0  # another part of the row serves it
            wires[-1] += [(int(k), x) for k in lines[:wanted]]
    gains = rules.gains
    options = gains.values if gains.values is not None else tuple(rng.uniform(-1.0, 3.0, 5).tolist())
    flat = np.array([wire for part in wires for wire in part], dtype=np.int64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum([len(part) for part in wires])])
    tuned = rng.normal(size=count) if rng.integers(2) else None
    return LayerMapping(neuron_of, starts, flat[:, 0], flat[:, 1], rng.choice(options, used), tunable, tuned, row)


def _bounds(target: Target, i: int) -> tuple[int, int]:
    part = target.row(i)
    return part.start, part.stop


@given(SEEDS)
@settings(max_examples=200, deadline=None)
def test_fast_value_is_the_checkers_objective(seed: int) -> None:
    """On any feasible mapping, whatever the rules, the fast form and the definition agree."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, int(rng.integers(1, 6)), int(rng.integers(1, 5)))
    mapping = random_mapping(rng, layer)
    report = check(layer, mapping)
    assert report.violations == ()
    assert report.objective == pytest.approx(layer.value(mapping), rel=1e-9, abs=1e-9)
    rows, inputs, errors = layer.pair_errors(mapping)
    full = np.zeros((layer.n_rows, layer.target.n_inputs))
    np.add.at(full, (rows, inputs), errors)
    np.testing.assert_allclose(full, layer.target.dense() - layer.realised(mapping), atol=1e-12)


def random_objective(rng: np.random.Generator, name: str, n_inputs: int, outputs: int) -> Objective | None:
    """An objective of a network, its samples in any of the three types, scaled or not."""
    if name == "sum":
        return None
    count = int(rng.integers(1, 7))
    scale = float(rng.choice([1.0, 1 / 255]))
    inputs = rng.integers(0, 256, (count, n_inputs)).astype(rng.choice(["uint8", "float32", "float64"]))
    if name == "functional-error":
        return FunctionalError(inputs, scale)
    if name == "score-error":
        return ScoreError(inputs, scale)
    return TaskLoss(inputs, rng.integers(0, outputs, count), scale)


def random_network(seed: int, digital: bool, name: str) -> tuple[NetworkInstance, NetworkMapping]:
    """A network of two layers and a feasible mapping, with biases of its own where they are adjustable."""
    rng = np.random.default_rng(seed)
    sizes = [4, 3, 2]
    layers = [random_layer(rng, n + int(not digital), m) for n, m in pairwise(sizes)]
    biases = tuple(rng.normal(size=m) for m in sizes[1:]) if digital else None
    objective = random_objective(rng, name, sizes[0], sizes[-1])
    adjustable = digital and bool(rng.integers(2))
    network = NetworkInstance(tuple(layers), biases, objective=objective, adjustable=adjustable)
    own = tuple(rng.normal(size=m) for m in sizes[1:]) if adjustable and rng.integers(2) else None
    return network, NetworkMapping(tuple(random_mapping(rng, layer) for layer in layers), own)


OBJECTIVES = st.sampled_from(["sum", "task-loss", "functional-error", "score-error"])


@given(SEEDS, st.booleans(), OBJECTIVES)
@settings(max_examples=150, deadline=None)
def test_fast_value_of_networks(seed: int, digital: bool, name: str) -> None:
    """The same for networks, whatever the objective, the biases, their adjustment and the type of the samples."""
    network, mapping = random_network(seed, digital, name)
    report = check(network, mapping)
    assert report.violations == ()
    assert report.objective == pytest.approx(network.value(mapping), rel=1e-9, abs=1e-9)


@given(SEEDS, st.booleans(), OBJECTIVES)
@settings(max_examples=30, deadline=None)
def test_parts_of_networks_round_trip(seed: int, digital: bool, name: str) -> None:
    """Instance and mapping, taken apart and put together, have the digest and the value they had."""
    network, mapping = random_network(seed, digital, name)
    again = NetworkInstance.from_parts(network.parts())
    mapped = NetworkMapping.from_parts(mapping.parts())
    assert (again.digest, mapped.digest) == (network.digest, mapping.digest)
    assert again.value(mapped) == network.value(mapping)


def replayed(network: NetworkInstance, mapping: NetworkMapping) -> Iterator[list[tuple[np.ndarray, ...]]]:
    """Sample by sample, for every layer: what it receives on the chip, its target signals, and its signals there."""
    samples = network.objective
    assert isinstance(samples, FunctionalError | ScoreError) and network.biases is not None
    biases = network.biases if mapping.biases is None else mapping.biases
    for row in samples.inputs:
        ideal = real = row.astype(float) * samples.scale
        found: list[tuple[np.ndarray, ...]] = []
        for n, (layer, part) in enumerate(zip(network.layers, mapping.layers, strict=True)):
            wanted = layer.target.dense() @ ideal + network.biases[n]
            found.append((real, wanted, layer.realised(part) @ real + biases[n]))
            ideal, real = np.maximum(wanted, 0), np.maximum(found[-1][2], 0)
        yield found


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_functional_error_is_written_down_twice(seed: int) -> None:
    """A third way, one sample and one row at a time, gives the same functional error."""
    network, mapping = random_network(seed, True, "functional-error")
    value, passes = 0.0, list(replayed(network, mapping))
    for n, (layer, part) in enumerate(zip(network.layers, mapping.layers, strict=True)):
        noise, error, signals = layer.noise(part), 0.0, []
        for received, wanted, found in (layers[n] for layers in passes):
            error += sum((found - wanted) ** 2)
            error += sum(noise[i, x] * received[x] ** 2 for i, x in np.ndindex(noise.shape))
            signals.append(wanted)
        share, size = np.var(signals, axis=0).sum(), np.square(signals).mean(axis=0).sum()
        value += error / len(passes) / (share if share > 1e-20 * size else 1.0)
    assert check(network, mapping).objective == pytest.approx(value, rel=1e-9, abs=1e-12)


def single(weight: float, rows: list[list[float]], **fields: Any) -> tuple[NetworkInstance, NetworkMapping]:
    """One row, one input: target weight 2, hardware weight and variance given, digital bias 0.5."""
    target = Target.from_dense(np.array([[2.0]]))
    layer = LayerInstance(target, Hardware(np.array([[weight]]), variance=np.array([[0.25]])))
    objective = FunctionalError(np.array(rows))
    network = NetworkInstance((layer,), (np.array([0.5]),), objective=objective, adjustable=True)
    return network, NetworkMapping((LayerMapping.from_cells(target, np.array([0]), np.array([0])),), **fields)


def test_functional_error_by_hand() -> None:
    """One weight of 3 in place of 2, read with variance 0.25, on the inputs 1 and 3; then with another bias."""
    network, mapping = single(3.0, [[1.0], [3.0]])
    noise, variance = 0.25 * (1 + 9) / 2, 4.0  # the target signals are 2.5 and 6.5
    assert check(network, mapping).objective == pytest.approx(((1 + 9) / 2 + noise) / variance, rel=1e-15)
    network, mapping = single(3.0, [[1.0], [3.0]], biases=(np.array([-1.5]),))  # 2 less than the target's
    assert check(network, mapping).objective == pytest.approx(((1 + 1) / 2 + noise) / variance, rel=1e-15)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_score_error_is_written_down_twice(seed: int) -> None:
    """A third way: the least of |s' - c s|^2 + c^2 N over c >= 0 on a fine grid, from scores one sample at a time."""
    network, mapping = random_network(seed, True, "score-error")
    variance = network.layers[-1].noise(mapping.layers[-1])
    wanted, found, noise = [], [], 0.0
    for received, ideal, real in (layers[-1] for layers in replayed(network, mapping)):
        noise += (variance * received**2).sum() * (1 - 1 / len(real))
        wanted.append(ideal - ideal.mean())
        found.append(real - real.mean())
    target, score = np.array(wanted), np.array(found)
    size = (target**2).sum()
    best = (target * score).sum() / ((score**2).sum() + noise) if (score**2).sum() + noise > 0 else 0.0
    grid = [0.0, *(max(best, 0.0) * np.linspace(0.5, 1.5, 101))]
    least = min(((target - c * score) ** 2).sum() + c**2 * noise for c in grid) / size if size > 0 else 1.0
    assert check(network, mapping).objective == pytest.approx(least, rel=1e-7, abs=1e-9)


@given(SEEDS, st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
@settings(max_examples=50, deadline=None)
def test_score_error_forgives_what_no_decision_depends_on(seed: int, factor: float, shift: float) -> None:
    """A common factor of the outputs, what is added to all of them, and the scales of hidden rows."""
    rng = np.random.default_rng(seed)
    target = [rng.normal(size=(4, 3)), rng.normal(size=(3, 4))], [rng.normal(size=4), rng.normal(size=3)]
    weights, biases = [rng.normal(size=(4, 3)), rng.normal(size=(3, 4))], [rng.normal(size=4), rng.normal(size=3)]
    hidden = rng.uniform(0.1, 10.0, 4)
    same = (
        [weights[0] * hidden[:, None], factor * weights[1] / hidden],
        [biases[0] * hidden, factor * biases[1] + shift],
    )
    samples, quiet = ScoreError(rng.normal(size=(20, 3))), np.zeros((3, 4))
    runs = pass_of(FullyConnected((3, 4, 3)), {})
    wanted = np.maximum(samples.inputs @ target[0][0].T + target[1][0], 0.0) @ target[0][1].T + target[1][1]
    trained: Any = SimpleNamespace(target_weights=target[0], biases=target[1], runs=runs, target_answers=wanted)

    def score_error(weights: list[np.ndarray], biases: list[np.ndarray]) -> float:
        return samples.value(trained, weights, biases, [quiet])

    value = score_error(weights, biases)
    assert 0.0 <= value <= 1.0
    assert score_error(*same) == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert score_error(*target) == pytest.approx(0.0, abs=1e-15)
    values = (value, score_error([weights[0], -weights[1]], [biases[0], -biases[1]]))
    assert max(values) == 1.0  # of two opposite answers one points away from the target


def test_score_error_by_hand() -> None:
    """Scores (1, -1) wanted, (3, -1) - 1 = (2, -2) found: no error; with noise the share that no factor takes away."""
    target = Target.from_dense(np.array([[1.0], [-1.0]]))
    for variance, value in ((0.0, 0.0), (2.0, 1 / 5)):
        hardware = Hardware(np.array([[3.0], [-1.0]]), np.full((2, 1), variance))
        layer = LayerInstance(target, hardware)
        network = NetworkInstance((layer,), (np.zeros(2),), objective=ScoreError(np.array([[1.0]])))
        mapping = NetworkMapping((LayerMapping.from_cells(target, np.array([0, 1]), np.array([0, 0])),))
        # |s|^2 = 8, N = 2 variances of 2, halved by taking off the mean: 8 / (8 + 2) of the direction is right
        for found in (check(network, mapping).objective, network.value(mapping)):
            assert found == pytest.approx(value, abs=1e-15)
    single, mapping = dead_outputs()
    assert check(single, mapping).objective == single.value(mapping) == 1.0


def test_the_score_of_one_output_is_its_size() -> None:
    """There is no mean over the outputs to take away: twice the target's points the same way, its negative does not."""
    target = Target.from_dense(np.array([[1.0]]))
    for weight, value in ((2.0, 0.0), (-1.0, 1.0)):
        layer = LayerInstance(target, Hardware(np.array([[weight]])))
        network = NetworkInstance((layer,), (np.zeros(1),), objective=ScoreError(np.array([[1.0], [2.0]])))
        mapping = NetworkMapping((LayerMapping.from_cells(target, np.array([0]), np.array([0])),))
        for found in (check(network, mapping).objective, network.value(mapping)):
            assert found == pytest.approx(value, abs=1e-15)


def dead_outputs() -> tuple[NetworkInstance, NetworkMapping]:
    """A chip whose outputs never differ."""
    target = Target.from_dense(np.array([[1.0], [-1.0]]))
    layer = LayerInstance(target, Hardware(np.ones((2, 1))))
    network = NetworkInstance((layer,), (np.zeros(2),), objective=ScoreError(np.array([[1.0], [2.0]])))
    return network, NetworkMapping((LayerMapping.from_cells(target, np.array([0, 1]), np.array([0, 0])),))


def test_a_constant_signal_is_divided_by_one() -> None:
    """Target signals that never vary, but for rounding, have no variance to divide by."""
    network, mapping = single(3.0, [[0.1]] * 7)
    for value in (check(network, mapping).objective, network.value(mapping)):
        assert value == pytest.approx(0.01 + 0.25 * 0.01, rel=1e-9)


def test_tuned_values_by_hand() -> None:
    """A tunable connection has its tuned value, and its error counts like any other's; without values it is exact."""
    target = Target.from_dense(np.array([[1.0, 2.0]]))
    layer = LayerInstance(target, Hardware(np.array([[1.0, 5.0]])), Rules(tunable=1))
    exact = LayerMapping.from_cells(target, np.array([0]), np.array([0, -1]), tunable=np.array([1]))
    assert check(layer, exact).objective == 0.0
    tuned = LayerMapping.from_cells(target, np.array([0]), np.array([0, -1]), None, np.array([1]), np.array([-1.0]))
    assert check(layer, tuned).objective == layer.value(tuned) == 9.0


@pytest.mark.slow
def test_many_images_are_checked_quickly() -> None:
    """55,000 images of 784 bytes through 784-300-100-10 take seconds, and are never all floats at once."""
    rng = np.random.default_rng(0)
    layers, parts, sizes = [], [], [784, 300, 100, 10]
    for n, m in pairwise(sizes):
        mask = np.argsort(rng.random((m, n)), axis=1) < 8
        target = Target.from_dense(rng.normal(size=(m, n)), mask)
        hardware = Hardware(rng.normal(size=(m, 8)), variance=np.full((m, 8), 0.01))
        layers.append(LayerInstance(target, hardware))
        cells = np.tile(np.arange(8), m)
        parts.append(LayerMapping(np.arange(m), np.arange(m + 1) * 8, cells, target.indices))
    images = rng.integers(0, 256, (55_000, 784), dtype=np.uint8)
    biases = tuple(np.zeros(m) for m in sizes[1:])
    network = NetworkInstance(tuple(layers), biases, objective=FunctionalError(images, 1 / 255))
    mapping = NetworkMapping(tuple(parts))
    began = time.process_time()
    tracemalloc.start()
    objective = check(network, mapping).objective
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - began < 20.0  # processor seconds of a slow, busy machine; wall-clock here: 2
    assert peak < 150e6  # all images as floats would take 345e6 bytes
    assert objective == pytest.approx(network.value(mapping), rel=1e-9)


def test_weight_error_by_hand() -> None:
    """One row: importance, gain, noise and an extra input enter as the definition says."""
    target = Target.from_dense(np.array([[1.0, 0.0]]), importance=np.array([[5.0, 0.0]]))
    hardware = Hardware(np.array([[0.25, 3.0]]), variance=np.array([[0.1, 0.2]]))
    layer = LayerInstance(target, hardware, Rules(extra_inputs=True, gains=Gains.finite(2.0)))
    mapping = LayerMapping(np.array([0]), np.array([0, 2]), np.array([0, 1]), np.array([0, 1]), np.array([2.0]))
    by_hand = 5.0 * ((1.0 - 2.0 * 0.25) ** 2 + 4.0 * 0.1) + 1.0 * ((0.0 - 2.0 * 3.0) ** 2 + 4.0 * 0.2)
    assert check(layer, mapping).objective == pytest.approx(by_hand, rel=1e-15)


@pytest.mark.parametrize(("copies", "neurons", "error"), [(2, 1, 0.25**2 + 0.25 + 0.0625), (1, 2, 1.5**2 + 1.0 + 0.25)])
def test_copies_and_parts_by_hand(copies: int, neurons: int, error: float) -> None:
    """Weight 2 as the mean, or the sum, of 1 and 0.5 * 5, each of variance 1; the mean's is a quarter of the sum's."""
    chip = Hardware(np.array([[1.0], [5.0]]), variance=np.ones((2, 1)))
    layer = LayerInstance(Target.from_dense([[2.0]]), chip, Rules(neurons_per_row=neurons, copies=copies))
    mapping = LayerMapping([0, 1], [0, 1, 2], [0, 0], [0, 0], gain=[1.0, 0.5], row=[0, 0])
    rules = replace(layer.rules, gains=Gains.finite(1.0, 0.5))
    if neurons == 2:  # a connection is on one part only
        assert not check(replace(layer, rules=rules), mapping).feasible
    assert layer_objective(replace(layer, rules=rules), mapping) == pytest.approx(error)


@pytest.mark.parametrize("x", [0, 1])
def test_hard_wired_cells_leak_wherever_they_listen(x: int) -> None:
    """A cell on input x that is off adds 0.5 to what is wired there, or to an input without connections."""
    chip = Hardware(np.array([[1.0, 7.0]]), off=np.array([[0.0, 0.5]]), input=np.array([[0, x]]))
    layer = LayerInstance(Target.from_dense([[1.0, 0.0]], [[True, False]]), chip)
    assert layer_objective(layer, LayerMapping([0], [0, 1], [0], [0])) == pytest.approx(0.25)


def test_leak_by_hand() -> None:
    """A line driven for another row leaks into a row that leaves its cell off, but not into a tunable connection."""
    target = Target.from_dense(np.array([[1.0, 1.0], [0.0, 2.0]]))
    hardware = Hardware(np.ones((2, 2)), off=np.array([[0.0, 0.5], [0.25, 0.0]]), bus=np.array([0, 0]))
    layer = LayerInstance(target, hardware, Rules(drop=True, tunable=1))
    # Row 0 drives line 0 with input 0; row 1 drives line 1 with input 1.
    wires = {"wire_indptr": np.array([0, 1, 2]), "cell": np.array([0, 1]), "input": np.array([0, 1])}
    plain = LayerMapping(np.array([0, 1]), **wires)
    assert check(layer, plain).objective == pytest.approx((1.0 - 0.5) ** 2 + 0.25**2 + (2.0 - 1.0) ** 2, rel=1e-15)
    tuned = LayerMapping(np.array([0, 1]), **wires, tunable=np.array([1]))
    assert check(layer, tuned).objective == pytest.approx(0.25**2 + (2.0 - 1.0) ** 2, rel=1e-15)


@pytest.mark.parametrize(("value", "error"), [(0.0, 1.0 + 0.1), (0.5, 0.25 + 0.2), (np.nan, 64.0 + 0.3)])
def test_written_levels_by_hand(value: float, error: float) -> None:
    """A weight of 1 by a cell that reads 9 as it is, with the variance of the state that it is in."""
    target = Target.from_dense(np.array([[1.0]]))
    menu = {"levels": np.array([[[0.0, 0.5]]]), "level_variance": np.array([[[0.1, 0.2]]])}
    layer = LayerInstance(target, Hardware(np.array([[9.0]]), np.array([[0.3]]), **menu), Rules(writes=1))
    mapping = replace(LayerMapping.from_cells(target, np.array([0]), np.array([0])), written=np.array([value]))
    assert check(layer, mapping).objective == pytest.approx(error)


def test_output_error_by_hand() -> None:
    """Correlated inputs: the quadratic form of the error, and noise on the diagonal."""
    target = Target.from_dense(np.array([[1.0, 2.0]]))
    hardware = Hardware(np.array([[0.5, 1.0]]), variance=np.array([[0.0, 0.1]]))
    layer = LayerInstance(target, hardware, objective=OutputError(np.array([[2.0, 1.0], [1.0, 3.0]])))
    mapping = LayerMapping.from_cells(target, np.array([0]), np.array([0, 1]))
    by_hand = 2.0 * 0.5**2 + 2.0 * 1.0 * 0.5 * 1.0 + 3.0 * 1.0**2 + 3.0 * 0.1
    assert check(layer, mapping).objective == pytest.approx(by_hand, rel=1e-15)


def test_task_loss_by_hand() -> None:
    """One layer, two classes, exact weights: the cross-entropy of the logits (1, -1) for class 1."""
    target = Target.from_dense(np.array([[1.0], [-1.0]]))
    layer = LayerInstance(target, Hardware(np.array([[1.0], [-1.0]])))
    loss = TaskLoss(np.array([[1.0]]), np.array([1]))
    network = NetworkInstance((layer,), (np.zeros(2),), objective=loss)
    mapping = NetworkMapping((LayerMapping.from_cells(target, np.array([0, 1]), np.array([0, 0])),))
    assert check(network, mapping).objective == pytest.approx(math.log(1.0 + math.exp(2.0)), rel=1e-12)


def test_integers_add_up_exactly() -> None:
    """Integer costs beyond 2^53 are summed as integers, dense and sparse."""
    cost = np.array([[2**62, 1], [1, 2**62 + 1]])
    identity = Assignment(np.array([0, 1]))
    for instance in (AssignmentInstance(cost), AssignmentInstance(cost.ravel(), [0, 2, 4], [0, 1, 0, 1], 2)):  # type: ignore[arg-type]
        objective = check(instance, identity).objective
        assert isinstance(objective, int)
        assert objective == 2**63 + 1


def test_program_objective() -> None:
    """cost @ x + offset."""
    program = ProgramInstance(np.array([2.0, -1.0]), np.array([0]), [], [], [], [], offset=0.5)  # type: ignore[arg-type]
    assert check(program, ProgramPoint(np.array([1.0, 3.0]))).objective == -0.5


def test_large_layer_is_quick() -> None:
    """300 rows of 8 wires with a full S take well under a second, in the slowest form the tests run it."""
    rng = np.random.default_rng(0)
    weights = np.zeros((300, 784))
    for i in range(300):
        weights[i, rng.permutation(784)[:8]] = rng.normal(size=8)
    target, samples = Target.from_dense(weights), rng.normal(size=(20, 784))
    layer = LayerInstance(target, Hardware(rng.normal(size=(300, 784))), objective=OutputError(samples.T @ samples))
    cells = np.concatenate([rng.permutation(784)[:8] for _ in range(300)])
    mapping = LayerMapping.from_cells(target, rng.permutation(300), cells)
    check(layer, mapping)
    began = time.process_time()
    assert check(layer, mapping).feasible
    assert time.process_time() - began < 0.5


def test_the_spread_of_a_constant_is_told_from_rounding() -> None:
    """Relative to the size of what is spread: rounding of large numbers is none, small numbers may vary."""
    large, small, twice = Spread(1), Spread(1), Spread(2)
    large.add(np.array([[1e6, np.nextafter(1e6, 2e6)]]))
    assert large.variance() == 1.0
    small.add(np.array([[1e-6, 3e-6]]))
    assert small.variance() == pytest.approx(1e-12)
    silent = Spread(1)
    silent.add(np.zeros((1, 3)))
    assert silent.variance() == 1.0
    rows = np.random.default_rng(0).normal(3.0, 1.0, (2, 50))
    for batch in np.split(rows, [7, 30], axis=1):
        twice.add(batch)
    assert twice.variance() == pytest.approx(rows.var(axis=1).sum())


def test_rows_of_few_and_of_many_weights_add_up_alike() -> None:
    """A row of one weight in fifty, an empty row and a full one: the sums are those of the matrix."""
    rng = np.random.default_rng(1)
    rows = [{7: 2.0}, {}, {x: float(rng.normal()) for x in range(50)}, {x: 1.0 for x in range(6)}]
    matrix = np.array([[row.get(x, 0.0) for x in range(50)] for row in rows])
    biases, activity = rng.normal(size=4), rng.random((50, 3))
    layer = PlainLayer(rows, 50, biases, np.zeros(50))
    np.testing.assert_allclose(layer.sums(activity), matrix @ activity + biases[:, None], rtol=1e-12)


def test_an_objective_that_slipped_past_its_name_is_refused() -> None:
    """The definitions take no unknown objective for one they know."""
    layer = LayerInstance(Target.from_dense(np.eye(2)), Hardware(np.ones((2, 1))))
    mapping = LayerMapping(np.arange(2), np.arange(3), np.zeros(2, np.int64), np.arange(2))
    object.__setattr__(layer, "objective", SimpleNamespace(name="made-up"))
    with pytest.raises(Refused, match="does not know the objective made-up"):
        layer_objective(layer, mapping)


@pytest.mark.parametrize("terms", [[1e308, 1e308], [math.inf, 1.0], [math.inf, -math.inf]], ids=str)
def test_sums_beyond_floats_are_infinite_or_none(terms: list[float]) -> None:
    """Nothing is raised; what plain addition says stands."""
    np.testing.assert_equal(total(terms), sum(terms))
