"""Solutions to begin from, and programs that are refused before they are built."""

import time

import numpy as np
import pytest

import matchopt
from matchopt import Gains, Hardware, LayerInstance, NetworkInstance, ProgramInstance, Refused, Rules, Target, check
from matchopt.reduce import beginning, crossbar_beginning, reduction
from matchopt.reduce.layer_program import program_size
from matchopt.testing import brute_force
from matchopt.testing.tiny import tiny_instances


def crossbar(
    rows: int, inputs: int, neurons: int, cells: int, fan_in: int, buses: int = 1, **more: object
) -> LayerInstance:
    rng = np.random.default_rng(rows + inputs)
    mask = np.argsort(rng.random((rows, inputs)), axis=1) < fan_in
    target = Target.from_dense(rng.normal(size=(rows, inputs)), mask)
    hardware = Hardware(rng.normal(size=(neurons, cells)), bus=np.arange(neurons) % buses)
    return LayerInstance(target, hardware, Rules(**more))  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", [{}, {"drop": True}, {"gains": Gains.finite(0.5, 2.0)}])
@pytest.mark.parametrize("buses", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_crossbars_begin_near_their_best(rules: dict[str, object], buses: int) -> None:
    """Rows and lines assigned in turn: feasible, and on the smallest as good as enumeration."""
    small = crossbar(2, 2, 2, 3, 2, **rules)
    best, found = brute_force(small).value, crossbar_beginning(small)
    assert found is not None and best is not None
    assert check(small, found).objective == pytest.approx(best)
    large = crossbar(20, 16, 24, 20, 4, buses, **rules)
    mapping = beginning(large)
    assert mapping is not None and check(large, mapping).feasible
    plain = sum(float(w) ** 2 for w in large.target.weights)
    assert large.value(mapping) < plain / 3  # the empty mapping costs `plain`


def test_what_cannot_begin_begins_with_nothing() -> None:
    """More inputs than lines and no drops; with drops some are left out; dead cells are avoided."""
    assert crossbar_beginning(crossbar(3, 6, 3, 4, 5)) is None
    few = crossbar(3, 6, 3, 4, 5, drop=True)
    found = crossbar_beginning(few)
    assert found is not None and check(few, found).feasible
    layer = crossbar(3, 4, 4, 5, 3)
    dead = Hardware(layer.hardware.weights, usable=np.arange(20).reshape(4, 5) % 3 != 0, bus=layer.hardware.bus)
    broken = LayerInstance(layer.target, dead, Rules(drop=True))
    found = crossbar_beginning(broken)
    assert found is not None and check(broken, found).feasible


@pytest.mark.parametrize("rules", [{}, {"drop": True}, {"gains": Gains.finite(-0.5, 2.0)}])
def test_rows_of_more_connections_than_cells_begin_in_parts(rules: dict[str, object]) -> None:
    """Rows of up to eleven connections on neurons of four cells, some of them unusable: feasible."""
    rng = np.random.default_rng(1)
    support = np.arange(11) < np.array([11, 3, 7, 0, 1])[:, None]
    target = Target.from_dense(np.where(support, rng.normal(size=(5, 11)), 0.0), support)
    usable = rng.random((9, 4)) < 0.9
    layer = LayerInstance(target, Hardware(rng.normal(size=(9, 4)), usable=usable), Rules(neurons_per_row=4, **rules))  # type: ignore[arg-type]
    found = beginning(layer)
    assert found is not None and check(layer, found).feasible
    assert layer.value(found) < 2.0 * (target.weights**2).sum()
    few = LayerInstance(target, Hardware(rng.normal(size=(6, 4))), Rules(neurons_per_row=4))
    assert beginning(few) is None


@pytest.mark.slow
@pytest.mark.parametrize(("solver", "seconds"), [("cpsat", 1), ("cpsat", 5), ("milp", 5)])
def test_an_exact_engine_never_ends_worse_than_it_began(solver: str, seconds: int) -> None:
    """On a crossbar with stuck cells that neither closes: no worse than the beginning, and no bound below 0."""
    layer = crossbar(12, 16, 16, 20, 5, drop=True)
    stuck = np.random.default_rng(1).random((16, 20)) < 0.1
    weights = np.where(stuck, 20.0, layer.hardware.weights)
    chip = Hardware(weights, off=np.where(stuck, weights, 0.0), bus=layer.hardware.bus)
    layer = LayerInstance(layer.target, chip, layer.rules)
    begun = beginning(layer, seconds=0.0)  # no more than any time allows
    assert begun is not None and layer.value(begun) < 0.9 * (layer.target.weights**2).sum()
    run = matchopt.solve(layer, solver, time_limit=seconds)
    assert run.objective is not None and run.objective <= layer.value(begun)
    assert run.bound is None or run.bound >= 0


def test_the_size_of_programs_is_known_before_they_are_built() -> None:
    """No more than there are, for every tiny layer and network; what is too large is refused in no time."""
    sizes = []
    for tiny in tiny_instances():
        instance = tiny.instance
        if isinstance(instance, LayerInstance | NetworkInstance):
            try:
                if (
                    len(parts := reduction(instance, ProgramInstance).parts) == 1
                    and "program of" in parts[0].provenance.source
                ):
                    sizes.append((program_size(instance), len(parts[0].indices)))  # type: ignore[attr-defined]
            except Refused:
                continue
    assert len(sizes) > 10 and all(0 <= least <= size for least, size in sizes)
    assert any(least > size / 2 for least, size in sizes)
    huge, began = crossbar(200, 400, 250, 500, 40), time.process_time()
    with pytest.raises(
        Refused, match="the program would have more than 2500000 coefficients; the instance is too large"
    ):
        reduction(huge, ProgramInstance)
    assert time.process_time() - began < 1
