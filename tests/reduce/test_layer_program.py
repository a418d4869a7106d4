"""The program of a layer says the same as the layer, under every rule."""

import numpy as np
import pytest
from layers import random_layer, random_mapping
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from matchopt.errors import Refused
from matchopt.instances import Gains, LayerMapping, NetworkInstance, NetworkMapping, ProgramInstance, ProgramPoint
from matchopt.reduce.layer_program import layers_to_program


def optimum(program: ProgramInstance) -> ProgramPoint | None:
    """Solve with HiGHS; None if infeasible."""
    shape = (program.n_rows, program.n_variables)
    matrix = csr_array((program.coefficients, program.indices, program.indptr), shape=shape)
    rows = LinearConstraint(matrix, program.row_low, program.row_high) if program.n_rows else None
    answer = milp(
        program.cost, integrality=program.integral, bounds=Bounds(program.low, program.high), constraints=rows
    )
    return None if answer.x is None else ProgramPoint(np.round(answer.x))


def feasible(program: ProgramInstance, x: np.ndarray) -> bool:
    """Whether x satisfies every row."""
    shape = (program.n_rows, program.n_variables)
    rows = csr_array((program.coefficients, program.indices, program.indptr), shape=shape) @ x
    return bool(np.all(rows >= program.row_low - 1e-9) and np.all(rows <= program.row_high + 1e-9))


@pytest.mark.parametrize("seed", range(75))
def test_a_mapping_and_its_point_have_the_same_objective(seed: int) -> None:
    """A feasible mapping lowers to a feasible point of equal objective, which lifts to the same mapping's value."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, wired=seed >= 60)
    mapping = random_mapping(layer, rng)
    if mapping is None:
        pytest.skip("no feasible mapping was drawn")
    step = layers_to_program(layer)
    (program,) = step.parts
    (point,) = step.lower(mapping)
    assert feasible(program, point.x)
    assert program.value(point) == pytest.approx(layer.value(mapping), abs=1e-9)
    lifted = step.lift([point])
    assert layer.value(lifted) == pytest.approx(layer.value(mapping), abs=1e-9)


# HiGHS takes seconds for one of them.
@pytest.mark.parametrize("seed", [*(set(range(35)) - {29}), pytest.param(29, marks=pytest.mark.slow)])
def test_no_mapping_beats_the_program(seed: int) -> None:
    """The program's optimum lifts to a mapping of that objective, and no random mapping is better."""
    rng = np.random.default_rng(1000 + seed)
    layer = random_layer(rng, wired=seed >= 25)
    step = layers_to_program(layer)
    (program,) = step.parts
    best = optimum(program)
    draws = [mapping for mapping in (random_mapping(layer, rng, 5) for _ in range(60)) if mapping is not None]
    if best is None:
        assert not draws
        return
    lifted = step.lift([best])
    assert layer.value(lifted) == pytest.approx(program.value(best), abs=1e-6)
    assert all(layer.value(mapping) >= program.value(best) - 1e-6 for mapping in draws)


def test_one_budget_for_a_network_couples_its_layers() -> None:
    """With one tunable connection for two layers, the program spends it where it saves most."""
    rng = np.random.default_rng(5)
    layers = [random_layer(rng, shared=False, cells=1, tunable=1, correlated=False) for _ in range(40)]
    first = next(layer for layer in layers if layer.n_rows == 2 and layer.target.n_connections and not layer.rules.drop)
    second = next(layer for layer in layers if layer.target.n_inputs == 2 and layer.target.n_connections)
    biases = (np.zeros(first.n_rows), np.zeros(second.n_rows))
    network = NetworkInstance((first, second), biases, tunable=1)
    step = layers_to_program(network)
    best = optimum(step.parts[0])
    assert best is not None
    mapping = step.lift([best])
    assert isinstance(mapping, NetworkMapping)
    assert sum(len(layer.tunable) for layer in mapping.layers) <= 1
    assert network.value(mapping) == pytest.approx(step.parts[0].value(best), abs=1e-6)


def test_an_interval_of_gains_is_refused() -> None:
    """Gains in an interval are refused with the reason."""
    layer = random_layer(np.random.default_rng(0), gains=Gains.interval(0.5, 2.0))
    with pytest.raises(Refused, match="interval"):
        layers_to_program(layer)


def test_a_start_that_breaks_a_rule_is_refused() -> None:
    """A start that uses an unusable place is refused, naming the row."""
    rng = np.random.default_rng(3)
    layer = random_layer(rng, gains=Gains())
    mapping = LayerMapping(np.arange(layer.n_rows), np.zeros(layer.n_rows + 1, int), [], [], np.full(layer.n_rows, 3.0))
    with pytest.raises(Refused, match="row 0"):
        layers_to_program(layer).lower(mapping)
