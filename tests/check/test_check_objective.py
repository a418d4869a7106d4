"""The checker's objectives: against hand computation, and against the fast forms beside the instances."""

import math
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchopt.check import check
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
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
    Target,
    TaskLoss,
    WeightError,
)

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
    rules = Rules(cells_per_weight, drop, bool(rng.integers(2)), gains, int(rng.integers(0, 3)))
    weights = rng.normal(size=(n_rows, n_inputs))
    support = rng.random(weights.shape) < 0.6
    target = Target.from_dense(weights, support, rng.random(weights.shape))
    samples = rng.normal(size=(4, n_inputs))
    objective: Objective = OutputError(samples.T @ samples / 4) if rng.integers(2) else WeightError()
    return LayerInstance(target, hardware, rules, objective)


def random_mapping(rng: np.random.Generator, layer: LayerInstance) -> LayerMapping:
    """A feasible mapping: lines are dealt to inputs bus by bus, then every row takes what it needs from its bus."""
    target, hardware, rules = layer.target, layer.hardware, layer.rules
    neuron_of = rng.permutation(hardware.n_neurons)[: layer.n_rows]
    shuffled = {int(bus): rng.permutation(hardware.n_cells) for bus in hardware.bus}
    count = min(rules.tunable, target.n_connections)
    tunable = np.sort(rng.permutation(target.n_connections)[:count])
    wires: list[list[tuple[int, int]]] = []
    for i, j in enumerate(neuron_of.tolist()):
        wires.append([])
        support = dict(zip(target.indices[target.row(i)].tolist(), range(*_bounds(target, i)), strict=True))
        for x in range(target.n_inputs):
            lines = shuffled[int(hardware.bus[j])][x * rules.cells_per_weight : (x + 1) * rules.cells_per_weight]
            lines = lines[hardware.usable[j, lines]]
            least = int(x in support and not rules.drop)
            wanted = int(rng.integers(least, len(lines) + 1)) if len(lines) else 0
            if support.get(x) in tunable.tolist() or (x not in support and not rules.extra_inputs):
                wanted = 0
            wires[-1] += [(int(k), x) for k in lines[:wanted]]
    gains = rules.gains
    options = gains.values if gains.values is not None else tuple(rng.uniform(-1.0, 3.0, 5).tolist())
    flat = np.array([wire for row in wires for wire in row], dtype=np.int64).reshape(-1, 2)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in wires])])
    return LayerMapping(neuron_of, starts, flat[:, 0], flat[:, 1], rng.choice(options, layer.n_rows), tunable)


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


@given(SEEDS, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_fast_value_of_networks(seed: int, digital: bool, task: bool) -> None:
    """The same for networks, with digital or hardware biases, with and without a task loss."""
    rng = np.random.default_rng(seed)
    sizes = [4, 3, 2]
    layers = [random_layer(rng, n + int(not digital), m) for n, m in pairwise(sizes)]
    biases = tuple(rng.normal(size=m) for m in sizes[1:]) if digital else None
    loss = TaskLoss(rng.normal(size=(5, sizes[0])), rng.integers(0, sizes[-1], 5)) if task else None
    network = NetworkInstance(tuple(layers), biases, objective=loss)
    mapping = NetworkMapping(tuple(random_mapping(rng, layer) for layer in layers))
    report = check(network, mapping)
    assert report.violations == ()
    assert report.objective == pytest.approx(network.value(mapping), rel=1e-9, abs=1e-9)


def test_weight_error_by_hand() -> None:
    """One row: importance, gain, noise and an extra input enter as the definition says."""
    target = Target.from_dense(np.array([[1.0, 0.0]]), importance=np.array([[5.0, 0.0]]))
    hardware = Hardware(np.array([[0.25, 3.0]]), variance=np.array([[0.1, 0.2]]))
    layer = LayerInstance(target, hardware, Rules(extra_inputs=True, gains=Gains.finite(2.0)))
    mapping = LayerMapping(np.array([0]), np.array([0, 2]), np.array([0, 1]), np.array([0, 1]), np.array([2.0]))
    by_hand = 5.0 * ((1.0 - 2.0 * 0.25) ** 2 + 4.0 * 0.1) + 1.0 * ((0.0 - 2.0 * 3.0) ** 2 + 4.0 * 0.2)
    assert check(layer, mapping).objective == pytest.approx(by_hand, rel=1e-15)


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
