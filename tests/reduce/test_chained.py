"""Chained arrays: the program, the beginning and the enumeration agree, on tiny networks and drawn ones."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matchopt_milp import Milp

from matchopt import (
    Hardware,
    InvalidInstance,
    LayerInstance,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    Refused,
    Rules,
    Target,
    certify,
    check,
)
from matchopt.library import problems_folder
from matchopt.network import read_network
from matchopt.network.export import draw_hardware
from matchopt.reduce import beginning, reduction
from matchopt.solver import Limits
from matchopt.testing import brute_force
from matchopt.testing.tiny_networks import tiny_networks

CHAINED = {name: network for name, network in tiny_networks().items() if network.chained}


def crossbars(
    seed: int, *, sizes: tuple[int, ...] = (2, 2, 2), spare: int = 1, rules: Rules | None = None
) -> NetworkInstance:
    """Crossbars one behind the other, with so many spare neurons and lines."""
    rng, lines, layers = np.random.default_rng(seed), sizes[0] + spare, list[LayerInstance]()
    for inputs, rows in pairwise(sizes):
        target = Target.from_dense(rng.normal(size=(rows, inputs)), rng.random((rows, inputs)) < 0.8)
        chip = Hardware(rng.normal(size=(rows + spare, lines)), bus=np.zeros(rows + spare, np.int64))
        layers.append(LayerInstance(target, chip, rules or Rules(drop=True)))
        lines = rows + spare
    return NetworkInstance(tuple(layers), tuple(np.zeros(rows) for rows in sizes[1:]), chained=True)


@pytest.mark.parametrize("network", [*CHAINED.values(), crossbars(0), crossbars(1)], ids=lambda each: each.digest[:8])
def test_program_and_enumeration_agree(network: NetworkInstance) -> None:
    """The same optimum, found by an engine; its mapping lies on the lines of its neurons, and no bound exceeds it."""
    best, way = brute_force(network), reduction(network, ProgramInstance)
    found = Milp().solve(way.parts[0], Limits(), np.random.default_rng(0)).solution
    assert (found is None) == (best.value is None)
    if found is None or best.value is None or best.solution is None:
        return
    mapping = way.lift([found])
    assert check(network, mapping).feasible
    assert network.value(mapping) == pytest.approx(best.value)  # type: ignore[arg-type]
    again = way.lift(way.lower(best.solution))
    assert check(network, again).feasible and network.value(again) == pytest.approx(best.value)  # type: ignore[arg-type]
    proof = certify(network, best.solution)
    assert proof.bound <= best.value + 1e-9 and not proof.improvable


def test_the_chain_costs_and_its_layers_alone_do_not_know() -> None:
    """The same layers without the chain are cheaper, and their best mapping breaks it."""
    network = crossbars(2, spare=2)
    apart = replace(network, chained=False)
    chained, free = brute_force(network), brute_force(apart)
    assert chained.value is not None and free.value is not None and free.solution is not None
    assert chained.value > free.value + 1e-6
    assert {each.rule for each in check(network, free.solution).violations} == {"line-of-another"}
    with pytest.raises(Refused, match="chained"):
        reduction(network, LayerInstance)


@pytest.mark.parametrize("name", sorted(set(CHAINED) - {"network-chained-infeasible"}))
def test_a_beginning_goes_array_by_array(name: str) -> None:
    """Made without a solver, and feasible."""
    found = beginning(CHAINED[name])
    assert isinstance(found, NetworkMapping) and check(CHAINED[name], found).feasible


def test_what_is_no_chain_is_refused() -> None:
    """The field that does not fit is named."""
    network = crossbars(0)
    first, last = network.layers
    for layers, words in (
        ((first, replace(last, hardware=Hardware(last.hardware.weights))), "one bus each, found 3 buses"),
        ((first, replace(last, hardware=Hardware(np.ones((3, 2)), bus=np.zeros(3, int)))), "3 neurons of the array"),
        ((first, replace(last, rules=Rules(copies=2))), "a row of chained arrays is one hardware neuron"),
    ):
        with pytest.raises(InvalidInstance, match=words):
            replace(network, layers=layers)
    with pytest.raises(InvalidInstance, match="chips of their own"):
        replace(crossbars(0, spare=2), one_chip=True)


def test_drawn_hardware_has_a_line_for_every_neuron_before() -> None:
    """Sizes by the ratios; with hardware biases one more line for the constant."""
    net = read_network(problems_folder() / "networks" / "row8-seed0.safetensors")
    drawn = draw_hardware(net, "gaussian", 1.0, 2.0, 0, chained=True)
    assert [chip.weights.shape for chip in drawn] == [(600, 784), (200, 600), (20, 200)]
    biased = draw_hardware(net, "gaussian", 2.0, 1.0, 0, chained=True, biases="hardware")
    assert [chip.weights.shape for chip in biased] == [(300, 1570), (100, 301), (10, 101)]
    assert all(len(set(chip.bus.tolist())) == 1 for chip in drawn)
