"""Whole networks on neurons that share lines: one solver after the other keeps the rules, and helps."""

import numpy as np
import pytest
from matchopt_corrections import FitGains, Recalibrate, TrainBiases, Tune
from matchopt_reroute import Reroute
from matchopt_slots import Slots
from solvers.small_networks import network

from matchopt import Gains, Limits, NetworkMapping, Solver
from matchopt.checker import check
from matchopt.contract import refusal

LEAKY = {
    "bus": lambda rng, shape: np.arange(shape[0]) // 5,
    "off": lambda rng, shape: 0.05 * rng.standard_normal(shape),
}


CASES: dict[str, tuple[bool, int, list[Solver]]] = {  # labels, tunable weights, stages
    "signals": (False, 0, [Reroute(rounds=1), FitGains(), Recalibrate()]),
    "labels": (True, 0, [Reroute(rounds=1), Slots(epochs=5, batch=20), TrainBiases()]),
    "budget": (True, 3, [Reroute(rounds=1), Tune()]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["labels", "signals", "budget"])
def test_corrections_and_training_go_on_from_a_mapping_on_shared_lines(case: str) -> None:
    """Feasible and no worse than the stage before, on two leaking crossbars per layer; rows keep their neurons."""
    labels, tunable, stages = CASES[case]
    rules = {"drop": True, "extra_inputs": True, "gains": Gains.interval(0.25, 4.0), "tunable": tunable}
    instance = network(5, labels, adjustable=True, cells=8, chip=LEAKY, **rules)
    value, mapping = np.inf, None
    for solver in stages:
        assert refusal(solver, instance) is None
        found = solver.solve(instance, Limits(start=mapping), np.random.default_rng(0)).solution
        assert isinstance(found, NetworkMapping)
        report = check(instance, found)
        assert report.feasible and report.objective <= value * (1.0 + 1e-9)
        if mapping is not None:
            pairs = zip(found.layers, mapping.layers, strict=True)
            assert all(np.array_equal(new.neuron_of, old.neuron_of) for new, old in pairs)
        value, mapping = report.objective, found
