"""The solver slots: what it returns under all rules, its seeds and limits, and what it refuses."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matchopt_slots import Slots
from solvers.small_networks import network

from matchopt import (
    FunctionalError,
    Gains,
    LayerMapping,
    Limit,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Result,
    Rules,
    Status,
    surrogate,
)
from matchopt.checker import check
from matchopt.contract import refusal

QUICK = Slots(epochs=3)
ONE_BUS: dict[str, Any] = {"bus": lambda rng, shape: np.zeros(shape[0], int)}
LEAKY: dict[str, Any] = {  # three neurons each, some cells stuck, all others leaking a little
    "bus": lambda rng, shape: 7 * (np.arange(shape[0]) // 3),
    "off": lambda rng, shape: 0.1 * rng.standard_normal(shape),
    "usable": lambda rng, shape: rng.random(shape) < 0.9,
}
FREE = {"drop": True, "extra_inputs": True}


def solved(instance: NetworkInstance, solver: Slots = QUICK, seed: int = 0, **limits: Any) -> Result:
    """Solve in this process."""
    return solver.solve(instance, Limits(**limits), np.random.default_rng(seed))


def objective(instance: NetworkInstance, result: Result) -> float:
    """The checked objective."""
    report = check(instance, result.solution)
    assert report.feasible, report.violations
    return float(report.objective)


CASES: dict[str, dict[str, Any]] = {
    "own inputs": {},
    "own inputs, spare cells": {"cells": 2},
    "drop": {"drop": True, "cells": -2},
    "extra inputs": {"extra_inputs": True, "cells": 2},
    "free": FREE,
    "free, few cells": FREE | {"cells": -3},
    "free, a cell for every input": FREE | {"cells": 9},
    "gains": FREE | {"gains": Gains.interval(0.5, 2.0), "cells": 1},
    "negative gains": {"gains": Gains.finite(-1.0, 2.0), "cells": 1},
    "hardware biases": FREE | {"hardware_biases": True},
    "hardware biases, own inputs": {"hardware_biases": True},
    "adjustable": FREE | {"adjustable": True},
    "faults and noise": FREE | {"cells": 2, "chip": {
        "usable": lambda rng, shape: rng.random(shape) < 0.8, "variance": lambda rng, shape: 0.1 * rng.random(shape)}},
}  # fmt: skip


SHARED: dict[str, tuple[float, dict[str, Any]]] = {  # and what share of the loss is left at most
    "one crossbar": (0.7, FREE | {"adjustable": True, "cells": 8, "chip": ONE_BUS}),
    "own inputs": (0.9, {"adjustable": True, "cells": 8, "chip": ONE_BUS, "gains": Gains.finite(0.5, 2.0)}),
    "few lines": (0.99, FREE | {"cells": -2, "chip": ONE_BUS | {"variance": lambda rng, shape: rng.random(shape)}}),
    "leaks": (0.9, FREE | {"hardware_biases": True, "cells": 6, "chip": LEAKY}),
    "leaks, own inputs": (0.999, {"drop": True, "cells": 6, "chip": LEAKY}),
}


@pytest.mark.parametrize("case", SHARED)
def test_shared_lines_are_kept_and_training_pays(case: str) -> None:
    """Each incumbent passes the checker and is better than the one before; begun from again the last stays as it is."""
    share, made = SHARED[case]
    instance, reported = network(1, True, **made), []
    solver = Slots(epochs=20, batch=20, rate=0.05, bias_rate=0.05)
    result = solved(instance, solver, on_incumbent=lambda solution, _: reported.append(solution))
    values = [objective(instance, Result(solution)) for solution in reported]
    assert values == sorted(values, reverse=True) and objective(instance, result) == values[-1]
    assert values[-1] < share * values[0]
    begun = solved(instance, Slots(epochs=0), start=result.solution)
    assert objective(instance, begun) == pytest.approx(values[-1], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("goal", ["labels", "functional", "scores"])
@pytest.mark.parametrize("case", CASES)
def test_feasible_and_never_worse_than_the_start(case: str, goal: str) -> None:
    """Under all rules every incumbent passes the checker, each is better than the one before, the last is returned."""
    instance, reported = network(1, goal == "labels", scores=goal == "scores", **CASES[case]), []
    for solver in (QUICK, Slots(epochs=3, start="scratch", threshold=0.0), Slots(epochs=2, projection="greedy")):
        reported.clear()
        result = solved(instance, solver, on_incumbent=lambda solution, _: reported.append(solution))
        values = [objective(instance, Result(solution)) for solution in reported]
        assert values == sorted(values, reverse=True) and len(set(values)) == len(values)
        assert objective(instance, result) == values[-1]
        assert (result.solution.biases is not None) == instance.adjustable


@pytest.mark.parametrize("goal", ["labels", "functional", "scores"])
def test_training_pays(goal: str) -> None:
    """Learned selection ends far below the assignment of least weight error, also from scratch."""
    instance = network(2, goal == "labels", scores=goal == "scores", adjustable=True, cells=-1, **FREE)
    before = objective(instance, solved(instance, Slots(epochs=0)))
    for start in ("assignment", "scratch"):
        after = objective(
            instance, solved(instance, Slots(epochs=60, batch=20, rate=0.05, bias_rate=0.05, start=start))
        )
        assert after < 0.6 * before


def test_a_given_start_is_begun_from() -> None:
    """Without an epoch the answer is the start, its biases included; a start that does not fit is ignored."""
    instance = network(3, True, adjustable=True, cells=1, **FREE)
    start = solved(instance).solution
    assert isinstance(start, NetworkMapping)
    again = solved(instance, Slots(epochs=0), start=start)
    assert objective(instance, again) == pytest.approx(objective(instance, Result(start)), abs=1e-9)
    other = network(3, True, adjustable=True, cells=0, **FREE)
    plain = solved(other, Slots(epochs=0))
    foreign = NetworkMapping(tuple(reversed(start.layers)), start.biases)
    for useless in (foreign, NetworkMapping(start.layers[:1])):
        found = solved(other, Slots(epochs=0), start=useless)
        assert objective(other, found) == pytest.approx(objective(other, plain))


def test_same_seed_same_answer() -> None:
    """The seed decides; another seed trains another mapping."""
    instance = network(4, True, adjustable=True, **FREE)
    digests = [solved(instance, seed=seed).solution.digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_functional_error_has_no_labels_to_read() -> None:
    """Instances from data with shuffled labels are the same instance, so they have the same answer."""
    from matchopt.network import SparseNetwork, draw_hardware, export_network

    rng = np.random.default_rng(5)
    net = SparseNetwork.from_arrays([rng.standard_normal((5, 6)), rng.standard_normal((3, 5))])
    inputs, labels = rng.random((50, 6)), rng.integers(0, 3, 50)
    chip, rules = draw_hardware(net, "gaussian", 1.0, 1.0, 0), Rules(**FREE)
    instances = [
        export_network(net, chip, rules=rules, objective="functional-error", sample_inputs=inputs, sample_labels=some)
        for some in (labels, rng.permutation(labels))
    ]
    assert not hasattr(instances[0].objective, "labels")
    assert instances[0].digest == instances[1].digest
    assert len({solved(instance).solution.digest for instance in instances}) == 1


def test_loss_that_is_no_number_keeps_the_last_good_mapping() -> None:
    """A hopeless rate ends with ERROR, a sentence, and the mapping that training began with."""
    instance = network(6, True, adjustable=True, **FREE)
    with np.errstate(all="ignore"):
        result = solved(instance, Slots(epochs=50, rate=1e30, bias_rate=1e38))
    assert result.status is Status.ERROR and "rate" in result.message
    assert objective(instance, result) <= objective(instance, solved(instance, Slots(epochs=0))) + 1e-9


@pytest.mark.slow
def test_time_limit_is_kept_and_the_rate_ends_low() -> None:
    """Far too many epochs are cut to the time there is, and the answer says so."""
    instance = network(7, True, samples=3000, adjustable=True, **FREE)
    solved(instance)  # loads and compiles
    began = time.monotonic()
    result = solved(instance, Slots(epochs=10**6), seconds=1.0)
    assert time.monotonic() - began < 1.6
    assert result.limit is Limit.TIME and result.status is Status.FEASIBLE
    assert 0 < result.stats["epochs"] < 10**6
    assert objective(instance, result) < objective(instance, solved(instance, Slots(epochs=0)))


def test_iterations_are_epochs() -> None:
    """The iteration limit plans so many epochs, and training is the same as with that option."""
    instance = network(8, True, **FREE)
    limited, plain = solved(instance, Slots(epochs=9), iterations=2), solved(instance, Slots(epochs=2))
    assert limited.limit is Limit.ITERATION and plain.limit is None
    assert limited.stats["epochs"] == 2 and limited.solution.digest == plain.solution.digest


def test_too_few_cells_are_infeasible() -> None:
    """Rows that must keep more inputs than any neuron has cells cannot be served."""
    for solver in (QUICK, Slots(start="scratch")):
        result = solved(network(9, True, cells=-1), solver)
        assert result.status is Status.INFEASIBLE and result.solution is None


def test_budgets_of_tunable_connections_are_left_unspent() -> None:
    """What is trained is the same with a budget; that no mapping does without it proves nothing where there is one."""
    for case in (network(3, True), network(9, True, cells=-1)):
        allowed = replace(
            case, layers=tuple(replace(layer, rules=replace(layer.rules, tunable=2)) for layer in case.layers)
        )
        plain, result = solved(case), solved(allowed)
        assert result.status is not Status.INFEASIBLE
        if plain.solution is None:
            assert result.solution is None and plain.status is Status.INFEASIBLE
        else:
            assert result.solution.digest == plain.solution.digest and not any(
                len(part.tunable) for part in result.solution.layers
            )


def test_a_start_with_tunable_connections_is_an_answer_to_beat() -> None:
    """It is kept where training, which begins without it, ends worse."""
    case = network(3, True)
    allowed = replace(
        case, layers=tuple(replace(layer, rules=replace(layer.rules, tunable=99)) for layer in case.layers)
    )
    parts = []
    for layer in allowed.layers:
        every, none = np.arange(layer.target.n_connections), np.zeros(0, np.int64)
        starts = np.zeros(layer.n_rows + 1, np.int64)
        parts.append(LayerMapping(
            np.arange(layer.n_rows), starts, none, none, tunable=every, tuned=layer.target.weights,
        ))  # fmt: skip
    best = NetworkMapping(tuple(parts))
    poor = replace(best, layers=tuple(replace(part, tuned=100.0 * part.tuned) for part in best.layers))
    assert allowed.value(best) < allowed.value(solved(allowed).solution) < allowed.value(poor)
    assert solved(allowed, start=best).solution is best
    assert solved(allowed, start=poor).solution.digest == solved(allowed).solution.digest


def test_inputs_that_are_always_zero_are_left_alone() -> None:
    """No cell is spent on an input that is 0 on all samples; a network without any live input is answered too."""
    instance = network(10, True, **FREE)
    mapping = solved(instance, Slots(epochs=2, start="scratch", threshold=0.0)).solution
    assert 3 not in mapping.layers[0].input.tolist()
    dark = replace(instance, objective=FunctionalError(np.zeros((20, 12))))
    assert check(dark, solved(dark).solution).feasible


def test_refuses_in_one_sentence() -> None:
    """What slots cannot do, or would leave unused, is said."""
    instance = network(11, True)

    def with_rules(**changes: Any) -> NetworkInstance:
        return replace(instance, layers=tuple(replace(layer, **changes) for layer in instance.layers))

    refused = {
        "task-loss, functional-error or score-error": surrogate(instance),
        "several-cells": with_rules(rules=Rules(cells_per_weight=2)),
    }
    assert refusal(QUICK, instance) is None
    assert "no lines to begin with" in (refusal(Slots(start="scratch"), network(1, True, chip=ONE_BUS)) or "")
    for words, what in refused.items():
        assert words in (refusal(QUICK, what) or "")


@pytest.mark.parametrize(
    "option", [{"rate": -1.0}, {"epochs": -1}, {"batch": 0}, {"held_out": 0.6}, {"threshold": -1.0}]
)
def test_bad_options_are_named(option: dict[str, Any]) -> None:
    """Every option out of range is named."""
    with pytest.raises(ValueError, match=next(iter(option))):
        Slots(**option)
