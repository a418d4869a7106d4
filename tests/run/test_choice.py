"""What `auto` stands for."""

from functools import cache

import numpy as np
import pytest

import matchopt
from matchopt import Hardware, LayerInstance, NetworkInstance, Rules, Target, TaskLoss
from matchopt.errors import Refused
from matchopt.plugins import load_plugins
from matchopt.run.choice import SUGGESTIONS, choose, teaches
from matchopt.testing import TinyInstance, tiny_instances

REGISTRY = load_plugins()


@cache
def first_of_each() -> dict[str, TinyInstance]:
    """A feasible tiny instance, whose optimum is known, for every suggestion that any of them gets."""
    found: dict[str, TinyInstance] = {}
    for tiny in tiny_instances():
        suggestion, plainer = choose(tiny.instance, REGISTRY)
        name = suggestion.solver + (" on the surrogate" if plainer else "")
        if name not in found and tiny.optimum.value is not None:  # optima cost seconds in all
            found[name] = tiny
    return found


CHOSEN = (
    "hungarian",
    "cpsat",
    "reroute",
    "slots",
    "hungarian on the surrogate",
    "crossbar-buses",
    "random-wiring",
    "crossbar-exact",
    "crossbar-perturb",
    "split-alternate",
    "copies-alternate",
    "milp",
)


def test_every_tiny_instance_has_a_solver_that_takes_it() -> None:
    """Kinds, rules, hardware and objectives of all kinds; several suggestions are needed for them."""
    assert set(first_of_each()) == set(CHOSEN)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", CHOSEN)
def test_what_is_chosen_solves_and_says_why(chosen: str) -> None:
    """The record names the solver and the reason; what is tiny and exact ends at the optimum."""
    tiny, (solver, _, plainer) = first_of_each()[chosen], chosen.partition(" on ")
    run = matchopt.solve(tiny.instance, "auto", time_limit=20)
    assert run.solver == solver and run.solution is not None
    assert run.message.startswith(f"auto chose {solver}: {choose(tiny.instance, REGISTRY)[0].because}")
    if solver in ("hungarian", "cpsat", "milp", "crossbar-exact") and not plainer and tiny.optimum.proven:
        assert run.objective == pytest.approx(tiny.optimum.value, rel=1e-6, abs=1e-9)


PLAIN = Rules()


def large(rules: Rules = PLAIN, bus: bool = False, inputs: int = 40) -> LayerInstance:
    """A layer beyond the exact engines."""
    rng = np.random.default_rng(0)
    target = Target.from_dense(rng.normal(size=(40, inputs)), rng.random((40, inputs)) < 0.3)
    on = {"bus": np.zeros(50, int)} if bus else {}
    return LayerInstance(target, Hardware(rng.normal(size=(50, 60)), **on), rules)


@pytest.mark.parametrize(
    ("instance", "solver"),
    [
        (large(), "hungarian"),
        (large(bus=True), "crossbar-perturb"),
        (large(Rules(cells_per_weight=2)), "sum-search"),
        (large(Rules(tunable=4)), "lagrangian-layer"),
        (large(Rules(neurons_per_row=2)), "split-alternate"),
        (NetworkInstance((large(inputs=40), large()), (np.zeros(40), np.zeros(40))), "hungarian"),
        (NetworkInstance((large(), large(bus=True)), (np.zeros(40), np.zeros(40))), "crossbar-perturb"),
    ],
)
def test_large_ones_get_what_is_made_for_them(instance: LayerInstance | NetworkInstance, solver: str) -> None:
    """A heuristic where neurons share lines, cells add up or rows are split; nothing is reduced to find out."""
    assert choose(instance, REGISTRY)[0].solver == solver


def labelled(samples: int, cells: np.ndarray, tunable: int = 0) -> NetworkInstance:
    """A layer of 12 connections whose network has so many labelled samples."""
    rules = Rules(drop=True, tunable=tunable)
    layer = LayerInstance(Target.from_dense(np.ones((3, 4))), Hardware(cells), rules)
    objective = TaskLoss(np.ones((samples, 4)), np.zeros(samples, int))
    return NetworkInstance((layer,), (np.zeros(3),), objective=objective)


def test_labels_are_used_where_they_teach_more_than_the_outputs() -> None:
    """Six samples for each connection are enough; not where a few cells outweigh all others."""
    even, heavy = np.ones((3, 40)), np.ones((3, 40))
    heavy[0, 0] = 100.0
    cases = ((even, 72, "reroute+slots"), (even, 71, "reroute"), (heavy, 72, "reroute"))
    assert teaches(50_000, 10**6) and not teaches(49_999, 10**6)
    assert [choose(labelled(samples, cells), REGISTRY)[0].solver for cells, samples, _ in cases] == [
        solver for _, _, solver in cases
    ]
    assert choose(labelled(72, even, tunable=1), REGISTRY)[0].solver == "reroute+slots+tune"
    assert choose(labelled(71, even, tunable=1), REGISTRY)[0].solver == "reroute"


def test_a_registry_without_solvers_is_one_sentence() -> None:
    """What the instance asks for is named."""
    none = type(REGISTRY)(solvers={}, trainers={}, plugins=(), failed=())
    with pytest.raises(Refused, match=r"no solver that is installed takes this layer .*shared-bus"):
        choose(large(bus=True), none)


def test_suggestions_are_installed() -> None:
    """A name that nobody registers would never be chosen."""
    assert {name for suggestion in SUGGESTIONS for name in suggestion.solver.split("+")} <= set(REGISTRY.solvers)
