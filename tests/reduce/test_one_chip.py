"""Networks whose layers draw on one chip: engines, enumeration, checker and proofs agree."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from matchopt.checker import check
from matchopt.errors import InvalidInstance, Refused
from matchopt.instances import (
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    NetworkInstance,
    OutputError,
    ProgramInstance,
    Rules,
    Target,
)
from matchopt.plugins import load_plugins
from matchopt.proofs import certify, certify_infeasible
from matchopt.reduce import beginning, reduction
from matchopt.reduce.layer_program import layers_to_program
from matchopt.reduce.shares import shared_out
from matchopt.run.descent import solve_parts
from matchopt.solver import Limits, Status
from matchopt.testing.brute import brute_force
from matchopt.testing.tiny import tolerance_of
from matchopt.testing.tiny_networks import tiny_networks

REGISTRY = load_plugins()
optimum_of = cache(brute_force)
FAST, ALL = 30, 200
WIDE = {12, 15}  # seeds that enumeration takes seconds for
OTHERS = np.array([3, 4, 5, 2])  # neurons of a chip


@cache
def drawn(seed: int) -> NetworkInstance:
    """A random network of two or three layers on one chip, small enough for enumeration."""
    rng = np.random.default_rng([12, seed])
    sizes = rng.integers(1, 3, size=rng.integers(3, 5)).tolist()
    rows = sum(sizes[1:])
    neurons, shared = rows + int(rng.integers(0, 2)), bool(rng.integers(2))
    cells = int(rng.integers(1, 3)) + int(shared) * (len(sizes) - 2)
    bus = rng.integers(0, 2, neurons) if shared else None
    drop = bool(rng.integers(2))
    gains = (Gains(), Gains.finite(0.5, 1.0), Gains.interval(0.5, 2.0))[int(rng.integers(2 if shared else 3))]
    chip = Hardware(rng.normal(size=(neurons, cells)), rng.random((neurons, cells)) * rng.integers(2) * 0.1,
                    rng.random((neurons, cells)) < 0.9, bus=bus)  # fmt: skip
    layers = []
    for inputs, outputs in pairwise(sizes):
        support, scale = rng.random((outputs, inputs)) < 0.8, float(rng.choice([1.0, 0.3]))
        target = Target.from_dense(rng.normal(size=(outputs, inputs)), support)
        hardware = replace(chip, weights=chip.weights * scale, variance=chip.variance * scale**2)
        layers.append(LayerInstance(target, hardware, Rules(drop=drop, gains=gains)))
    return NetworkInstance(tuple(layers), tuple(np.zeros(n) for n in sizes[1:]), one_chip=True)


def agreed(network: NetworkInstance, solvers: tuple[str, ...]) -> None:
    """Every solver that takes the network finds the optimum of enumeration, or proves that there is none."""
    optimum = optimum_of(network)
    for name in solvers:
        solver = REGISTRY.make(name, {})
        try:
            result, shared = solve_parts(network, solver, np.random.default_rng(0), Limits())
        except Refused as cause:
            assert "shared-bus" in str(cause) or "gain-interval" in str(cause), (name, str(cause))
            continue
        if shared:  # out among the layers, for a solver that does not take the chip: feasible, and no claim
            assert result.status in (Status.FEASIBLE, Status.UNKNOWN) and result.bound == -np.inf
            if result.solution is not None:
                assert optimum.value is not None
                report = check(network, result.solution)
                assert report.objective is not None
                assert report.objective >= optimum.value - tolerance_of(network)
            continue
        if optimum.value is None:
            assert result.status is Status.INFEASIBLE and result.solution is None
            continue
        assert result.status is Status.OPTIMAL and result.solution is not None, name
        report = check(network, result.solution)
        assert report.feasible, report.violations
        assert report.objective == pytest.approx(optimum.value, abs=tolerance_of(network))
    if optimum.solution is not None:
        proof = certify(network, optimum.solution)
        assert proof.bound <= optimum.value + tolerance_of(network)
        beyond = network.demands & {"programmable-cells", "several-neurons", "hard-wired"}  # bounded layer by layer
        if network.layers[0].hardware.free_routing and not beyond:
            assert proof.optimal
    else:
        assert certify_infeasible(network) in (True, None)


@pytest.mark.parametrize("seed", [*(set(range(FAST)) - WIDE), *(pytest.param(n, marks=pytest.mark.slow) for n in WIDE)])
def test_engines_and_enumeration_agree(seed: int) -> None:
    """Free and shared lines, drops, gains, noise, dead cells, scales: one optimum, whoever finds it."""
    agreed(drawn(seed), ("hungarian", "cpsat", "milp"))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("seed", range(FAST, ALL))
def test_engines_and_enumeration_agree_on_more(seed: int) -> None:
    """The same, up to 200."""
    agreed(drawn(seed), ("hungarian", "cpsat", "milp"))


def test_the_draw_has_every_kind() -> None:
    """What the two tests above are about is there: shared and free lines, drops, gains, infeasible ones."""
    networks = [drawn(seed) for seed in set(range(FAST)) - WIDE]
    assert {"shared-bus", "drop", "gains", "gain-interval", "read-noise", "unusable-cells"} <= set().union(
        *(network.demands for network in networks)
    )
    assert any(network.layers[0].hardware.free_routing for network in networks)
    assert 0 < sum(optimum_of(network).value is None for network in networks) < FAST / 2


def _pair(first: dict[str, Any], second: dict[str, Any], **more: Any) -> NetworkInstance:
    """Two layers of one row and two inputs, the second fed by the first, on four neurons."""
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(4, 2))
    targets = (rng.normal(size=(2, 2)), rng.normal(size=(1, 2)))
    layers = tuple(
        LayerInstance(Target.from_dense(target), **{"hardware": Hardware(weights), **fields})
        for target, fields in zip(targets, (first, second), strict=True)
    )
    return NetworkInstance(layers, (np.zeros(2), np.zeros(1)), one_chip=True, **more)


@pytest.mark.parametrize("leaks", [False, True])
@pytest.mark.parametrize("bus", [None, [0, 0, 0, 0], [0, 0, 1, 1]], ids=["free", "one bus", "two buses"])
def test_hard_wired_cells_on_one_chip(bus: list[int] | None, leaks: bool) -> None:
    """A neuron serves one layer, a hard-wired line of a shared bus too; sums of several cells, drops, stuck cells."""
    for seed in range(3):
        rng = np.random.default_rng([seed, leaks])
        weights, wired = rng.normal(size=(4, 4)), np.tile(rng.permutation([0, 1, 0, 1]), (4, 1))
        off = 0.4 * rng.normal(size=(4, 4)) if leaks else None
        chip = Hardware(weights, usable=rng.random((4, 4)) < 0.9, off=off, bus=bus, input=wired)
        rules = Rules(drop=bus is not None or bool(seed % 2), cells_per_weight=1 + seed % 2)
        network = _pair({"hardware": chip, "rules": rules}, {"hardware": chip, "rules": replace(rules, drop=True)})
        agreed(network, ("hungarian", "cpsat", "milp") if bus is None else ("cpsat", "milp"))


def test_layers_that_differ_in_more_than_scale_are_one_assignment_or_program() -> None:
    """Other rules or other neurons: no single layer, but the assignment, and the program, are exact."""
    for fields in ({"rules": Rules(drop=True)}, {"hardware": Hardware(np.eye(4, 2) + 0.5, neuron=OTHERS, bus=OTHERS)}):
        network = _pair({}, fields)
        best = brute_force(network)
        assert best.value is not None and best.solution is not None
        with pytest.raises(Refused, match=r"different rules|not offered the same cells"):
            reduction(network, LayerInstance)
        for way in (reduction(network, AssignmentInstance), layers_to_program(network)):
            (point,) = way.lower(best.solution)
            assert way.parts[0].value(point) == pytest.approx(best.value)
            assert check(way.parts[0], point).feasible
            assert check(network, way.lift([point])).objective == pytest.approx(best.value)
        solver = REGISTRY.make("milp", {})
        (program,) = layers_to_program(network).parts
        assert isinstance(program, ProgramInstance)
        found = solver.solve(program, Limits(), np.random.default_rng(0))
        assert program.value(found.solution) == pytest.approx(best.value)  # type: ignore[arg-type]


def test_engines_begin_with_a_mapping_of_the_chip() -> None:
    """Made without a solver, no neuron of it twice, on free and on shared lines."""
    free = _pair({}, {})
    shared = next(network for network in map(drawn, range(FAST)) if not network.layers[0].hardware.free_routing)
    for network in (free, replace(shared, layers=tuple(replace(x, rules=Rules(drop=True)) for x in shared.layers))):
        found = beginning(network)
        assert found is not None
        assert check(network, found).feasible


SHARING = {name: network for name, network in tiny_networks().items() if network.one_chip}


@pytest.mark.parametrize("name", sorted(set(SHARING) - {"network-one-chip-infeasible"}))
def test_a_chip_shared_out_is_stricter(name: str) -> None:
    """What is used stays with its layer, what is spare goes to one; every mapping of the shares is one of the chip."""
    network = SHARING[name]
    best = brute_force(network)
    assert best.value is not None and best.solution is not None
    way = shared_out(network, best.solution)
    (apart,) = way.parts
    assert isinstance(apart, NetworkInstance) and "one-chip" not in apart.demands
    assert way.lift(way.lower(best.solution)).digest == best.solution.digest
    alone = brute_force(apart)
    assert alone.value == pytest.approx(best.value)
    if "several-neurons" in network.demands:  # none is made without a solver where one neuron a row is too few
        return
    again = shared_out(network, None)
    found = brute_force(again.parts[0]).solution
    if found is not None:
        report = check(network, again.lift([found]))
        assert report.feasible and report.objective >= best.value - tolerance_of(network)
    with pytest.raises(Refused, match="no mapping to begin with"):
        shared_out(apart, None)


def test_rows_of_several_neurons_share_a_chip() -> None:
    """Parts of rows are counted like rows: no neuron twice, and the optimum is that of enumeration."""
    network = SHARING["network-one-chip-split"]
    agreed(network, ("milp",))
    (layer,) = (way := reduction(network, LayerInstance)).parts
    best = brute_force(network)
    assert best.value is not None and best.solution is not None and layer.hardware.n_neurons == 7
    assert way.lift(way.lower(best.solution)).digest == best.solution.digest
    assert layer.value(way.lower(best.solution)[0]) == pytest.approx(best.value)  # type: ignore[arg-type]


def test_cells_that_can_be_written_share_a_chip() -> None:
    """Where every layer alone is an assignment, all are one, whatever is written into the cells."""
    chip = Hardware(np.random.default_rng(4).normal(size=(4, 2)), levels=np.tile([-1.0, 0.5], (4, 2, 1)))
    network = _pair({"hardware": chip}, {"hardware": chip.scaled(0.5)})
    best = brute_force(network)
    assert best.value is not None
    agreed(network, ("hungarian",))


@pytest.mark.parametrize(
    ("network", "solver"),
    [
        (lambda: _pair({}, {"rules": Rules(drop=True)}), "random-wiring"),
        (lambda: _pair({"rules": Rules(cells_per_weight=2)}, {"rules": Rules(cells_per_weight=2, drop=True)}), "milp"),
        (lambda: SHARING["network-one-chip-objective"], "reroute"),
    ],
)
def test_solvers_that_do_not_know_a_chip_get_shares_of_it(network: Any, solver: str) -> None:
    """A feasible mapping of the whole chip, with no claim about it; an exact way is taken where there is one."""
    instance = network()
    result, reason = solve_parts(instance, REGISTRY.make(solver, {}), np.random.default_rng(0), Limits())
    assert result.solution is not None and check(instance, result.solution).feasible
    if solver == "milp":
        assert result.status is Status.OPTIMAL and reason == ""
    else:
        assert result.status is Status.FEASIBLE and result.bound == -np.inf and "chip" in reason


def test_correlated_inputs_are_joined() -> None:
    """Second moments of all layers on one diagonal; the optimum is that of enumeration."""
    rng = np.random.default_rng(5)
    moments = [(m := rng.normal(size=(2, 2))) @ m.T for _ in range(2)]
    network = _pair({"objective": OutputError(moments[0])}, {"objective": OutputError(moments[1])})
    best = brute_force(network)
    (layer,) = (way := reduction(network, LayerInstance)).parts
    assert best.value is not None and best.solution is not None
    assert layer.value(way.lower(best.solution)[0]) == pytest.approx(best.value)  # type: ignore[arg-type]
    assert brute_force(layer).value == pytest.approx(best.value)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: _pair({}, {"hardware": Hardware(np.ones((4, 2)), bus=np.zeros(4, int))}), "neuron 1 of the chip"),
        (lambda: _pair({"hardware": Hardware(np.ones((2, 2)))}, {"hardware": Hardware(np.ones((2, 2)))}),
         "the layers have 3 neurons in all, the chip only 2"),
    ],
)  # fmt: skip
def test_what_is_no_chip_is_refused(network: Any, message: str) -> None:
    """Buses that contradict each other, and fewer neurons than rows."""
    with pytest.raises(InvalidInstance, match=message):
        network()


def test_leaks_on_lines_of_two_layers_are_no_single_layer() -> None:
    """Only lines of the layer that is read are driven, which one layer for all could not say; the program can."""
    leaky = Hardware(np.random.default_rng(1).normal(size=(4, 3)), off=np.full((4, 3), 0.1), bus=np.zeros(4, int))
    network = _pair({"hardware": leaky, "rules": Rules(drop=True)}, {"hardware": leaky, "rules": Rules(drop=True)})
    with pytest.raises(Refused, match="leak on lines that layers share"):
        reduction(network, LayerInstance)
    agreed(network, ("milp",))
