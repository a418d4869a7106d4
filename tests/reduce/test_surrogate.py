"""The surrogate is stricter than the instance and plain enough for an assignment; its claims stay with it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matchopt_hungarian import Hungarian
from matchopt_random import RandomWiring

from matchopt import (
    AssignmentInstance,
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    NetworkInstance,
    NetworkMapping,
    OutputError,
    Refused,
    Rules,
    Target,
    TaskLoss,
    WeightError,
)
from matchopt.checker import check
from matchopt.reduce import beginning, not_separable, reduction, surrogate
from matchopt.run import solve
from matchopt.run.descent import solve_parts
from matchopt.solver import Status
from matchopt.testing.tiny import tiny_instances

MAPPINGS = [tiny for tiny in tiny_instances() if tiny.instance.kind in ("network", "layer")]


@cache
def strict_of(tiny, keep_gains):
    """The surrogate, and where layers are chained the mapping to begin with."""
    strict = surrogate(tiny.instance, keep_gains=keep_gains)
    return strict, beginning(strict) if "chained" in strict.demands else None


@pytest.mark.slow
@pytest.mark.parametrize("keep_gains", [False, True])
@pytest.mark.parametrize("tiny", MAPPINGS, ids=lambda tiny: tiny.name)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_solution_of_the_surrogate_is_one_of_the_instance(tiny, keep_gains, seed):
    """Random mappings that keep the surrogate's rules keep those of the instance, by the checker."""
    strict, begun = strict_of(tiny, keep_gains)
    layers = strict.layers if isinstance(strict, NetworkInstance) else (strict,)
    rng = np.random.default_rng(seed)
    found = begun.layers if begun else [RandomWiring().solve(layer, Limits(), rng).solution for layer in layers]
    if any(mapping is None for mapping in found) or ("chained" in strict.demands and begun is None):
        return  # this draw gave no mapping; test_most_tiny_instances_have_one makes sure that most do
    solution = NetworkMapping(tuple(found)) if isinstance(strict, NetworkInstance) else found[0]
    if "one-chip" in strict.demands and not check(strict, solution).feasible:
        return  # layers that were drawn one by one may have taken the same neuron
    assert check(strict, solution).feasible
    assert check(tiny.instance, solution).violations == ()


def test_most_tiny_instances_have_one():
    """The property above is about something."""
    rng = np.random.default_rng(0)
    layers = [surrogate(tiny.instance) for tiny in MAPPINGS if tiny.instance.kind == "layer"]
    found = [RandomWiring().solve(layer, Limits(), rng).solution is not None for layer in layers]
    assert sum(found) > 0.7 * len(found)


@pytest.mark.parametrize("tiny", MAPPINGS, ids=lambda tiny: tiny.name)
def test_it_reduces_to_an_assignment_wherever_lines_are_free(tiny):
    """Shared buses alone keep a surrogate from being one, and cells of which only some are hard-wired."""
    strict = surrogate(tiny.instance)
    layers = strict.layers if isinstance(strict, NetworkInstance) else (strict,)
    for layer in layers:
        assert isinstance(layer.objective, WeightError) and layer.rules.tunable == 0
        mixed = layer.hardware.hard_wired and bool((layer.hardware.usable & (layer.hardware.input < 0)).any())
        free = not mixed and (layer.hardware.free_routing or layer.hardware.hard_wired)
        assert (not_separable(layer) is None) == free
    if all(not_separable(layer) is None for layer in layers):
        assert all(isinstance(part, AssignmentInstance) for part in reduction(strict, AssignmentInstance).parts)


def test_what_stays_and_what_goes():
    """Hardware, targets, importance and dropping stay; the gain is the allowed one nearest to 1 unless all are kept."""
    target = Target.from_dense(np.ones((1, 2)), importance=np.array([[1.0, 3.0]]))
    rules = Rules(cells_per_weight=2, drop=True, extra_inputs=True, gains=Gains.finite(0.5, 2.0), tunable=1)
    layer = LayerInstance(target, Hardware(np.ones((2, 4))), rules, OutputError(np.eye(2)))
    strict = surrogate(layer)
    assert strict.target is target and strict.hardware is layer.hardware
    assert strict.rules == Rules(drop=True, gains=Gains.finite(0.5))
    assert surrogate(layer, keep_gains=True).rules == Rules(drop=True, gains=rules.gains)
    task = TaskLoss(np.ones((1, 2)), np.array([0]))
    network = NetworkInstance((layer,), (np.ones(1),), tunable=1, objective=task, adjustable=True)
    plain = surrogate(network)
    assert plain.objective is None and plain.tunable is None and plain.layers[0].rules == strict.rules
    assert plain.biases[0].tolist() == [1.0]
    assert surrogate(plain).digest == plain.digest
    assignment = AssignmentInstance(np.eye(2))
    assert surrogate(assignment) is assignment


def network_with_a_task():
    """A network whose layers no assignment solver takes for the task loss."""
    tiny = {tiny.name: tiny.instance for tiny in MAPPINGS}
    return tiny["network-task-loss"]


@pytest.mark.slow
def test_a_pipeline_gives_the_surrogate_to_solvers_that_refuse():
    """hungarian solves it; its bound and its claim stay behind, and the record says why."""
    instance = network_with_a_task()
    run = solve(instance, "hungarian+random-wiring")
    first, second = run.stages
    assert (first.status, first.bound, first.proof) == (Status.FEASIBLE, None, None)
    assert first.surrogate == second.surrogate and "does not understand task-loss" in first.surrogate
    assert first.objective == pytest.approx(instance.value(first.solution))
    assert run.objective == min(first.objective, second.objective)
    assert (run.status, run.proof, run.bound) == (Status.FEASIBLE, None, None)
    alone = solve(instance, "hungarian")
    assert alone.refused and alone.solution is None and alone.surrogate == ""


def down(instance, solver, start=None):
    """What solve_parts does with the surrogate allowed."""
    return solve_parts(instance, solver, np.random.default_rng(0), Limits(start=start), surrogate=True)


def test_the_first_form_that_is_taken_is_solved():
    """An instance that a solver takes is never replaced; gains are kept where the solver can use them."""
    tiny = {tiny.name: tiny.instance for tiny in MAPPINGS}
    plain = tiny["network-free-biases"]
    result, replaced = down(plain, RandomWiring())
    assert replaced == "" and result.status is Status.FEASIBLE
    budget = tiny["network-budget"]
    layers = tuple(replace(layer, rules=Rules(gains=Gains.finite(2.0, 3.0))) for layer in budget.layers)
    with_gains = replace(network_with_a_task(), layers=layers)
    result, replaced = down(with_gains, RandomWiring(draws=30))
    assert replaced and {g for part in result.solution.layers for g in part.gain.tolist()} == {2.0, 3.0}


def test_layers_with_objectives_of_their_own_come_first():
    """A layer solver under a task loss gets the layers' output errors; one that cannot use them the weight errors."""
    seen = []

    class Listening(RandomWiring):
        def solve(self, instance, limits, rng):
            seen.append(type(instance.objective))
            return super().solve(instance, limits, rng)

    network = network_with_a_task()
    moments = OutputError(np.array([[1.0, 0.5], [0.5, 1.0]]))
    layers = tuple(replace(layer, objective=moments) for layer in network.layers)
    result, replaced = down(replace(network, layers=layers), Listening())
    assert seen == [OutputError, OutputError] and result.bound == -np.inf and replaced
    result, replaced = down(replace(network, layers=layers), Hungarian())
    assert result.status is Status.FEASIBLE and "does not understand task-loss" in replaced


def test_a_start_that_breaks_the_stricter_rules_is_left_out():
    """A start with tuned weights cannot begin a search for mappings without them; a plain one can."""
    seen = []

    class Listening(RandomWiring):
        def solve(self, instance, limits, rng):
            seen.append(limits.start)
            return super().solve(instance, limits, rng)

    tiny = {tiny.name: tiny.instance for tiny in MAPPINGS}
    network = replace(tiny["network-budget"], objective=network_with_a_task().objective)
    tuned = next(tiny for tiny in MAPPINGS if tiny.name == "network-budget").optimum.solution
    plain = reduction(surrogate(network), LayerInstance)
    start = NetworkMapping(
        tuple(RandomWiring().solve(part, Limits(), np.random.default_rng(0)).solution for part in plain.parts)
    )
    down(network, Listening(), start)
    assert [isinstance(part, LayerMapping) for part in seen] == [True, True]
    assert sum(len(part.tunable) for part in tuned.layers) == 1
    seen.clear()
    down(network, Listening(), tuned)
    assert seen == [None, None]


def test_the_reason_is_that_of_the_instance():
    """Where the surrogate is refused too, one reads why the instance itself was."""
    bus = Hardware(np.ones((2, 2)), bus=np.zeros(2, int))
    layer = LayerInstance(Target.from_dense(np.ones((2, 2))), bus, Rules(tunable=1), OutputError(np.ones((2, 2))))
    with pytest.raises(Refused, match=r"correlated-inputs .*, shared-bus .* and tunable"):
        down(layer, Hungarian())
