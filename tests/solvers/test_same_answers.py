"""Solvers give the answers that they gave before: what is changed inside them must not change what they find.

The recorded answers are in `answers.json`; an answer that is meant to change is recorded again with
`PYTHONPATH=tests python -m solvers.test_same_answers`.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from solvers import corrected, output_layers, small_networks

from matchopt import Gains, Instance, LayerMapping, Limits, NetworkMapping, Result, Solver

RECORDED = Path(__file__).with_name("answers.json")
FREE: dict[str, Any] = {"drop": True, "extra_inputs": True}
FINITE, INTERVAL = Gains.finite(0.5, 1.0, 2.0), Gains.interval(0.25, 4.0)
Make = Callable[[], tuple[Solver, Instance]]


def _layers() -> dict[str, Make]:
    from matchopt_random import RandomWiring
    from matchopt_reroute import OutputExact, OutputSearch

    size = {"rows": 5, "inputs": 9, "neurons": 7, "cells": 5, "fan_in": 3}
    rules: dict[str, dict[str, Any]] = {
        "plain": {},
        "drop-noise": {"drop": True, "noise": 0.3},
        "gains": {"gains": FINITE},
        "unusable": {"drop": True, "bad": 0.3},
        "interval": {"gains": INTERVAL},
        "free": {**FREE, "noise": 0.1},
    }
    layers = {name: output_layers.layer(n, **size, **rule) for n, (name, rule) in enumerate(rules.items())}
    made: dict[str, Make] = {}
    for name, layer in layers.items():
        made[f"output-search {name}"] = lambda layer=layer: (OutputSearch(kicks=5), layer)
        made[f"random-wiring {name}"] = lambda layer=layer: (RandomWiring(draws=3), layer)
        if name not in ("interval", "free"):
            made[f"output-exact {name}"] = lambda layer=layer: (OutputExact(), layer)
    return made


def _networks() -> dict[str, Make]:
    from matchopt_reroute import Reroute

    network = small_networks.network
    instances = {
        "free": network(1, False, **FREE, adjustable=True),
        "scores": network(2, False, scores=True, **FREE, adjustable=True),
        "labels": network(3, True, **FREE, adjustable=True),
        "hardware-biases": network(4, False, **FREE, hardware_biases=True),
        "bound": network(5, False, adjustable=True, cells=1),
        "extra": network(6, True, extra_inputs=True, cells=2),
        "gains": network(7, False, **FREE, adjustable=True, gains=FINITE),
        "interval": network(8, True, drop=True, gains=INTERVAL),
        "noise": network(9, False, **FREE, chip={"variance": lambda rng, shape: 0.1 * rng.random(shape)}),
    }
    made: dict[str, Make] = {}
    for name, instance in instances.items():
        made[f"reroute {name}"] = lambda instance=instance: (Reroute(samples=100, rounds=1), instance)
        made[f"slots {name}"] = lambda instance=instance: (_slots(), instance)
    made["reroute signals"] = lambda: (Reroute(aim="signals", samples=100), instances["free"])
    return made


def _slots(**options: Any) -> Solver:
    from matchopt_slots import Slots

    return Slots(epochs=3, batch=20, **options)


def _corrections() -> dict[str, Make]:
    from matchopt_corrections import FitGains, Recalibrate, TrainBiases, Tune

    network = corrected.network
    return {
        "recalibrate": lambda: (Recalibrate(), network(1, "functional-error")),
        "recalibrate sum": lambda: (Recalibrate(samples=100), network(2, "none")),
        "gains": lambda: (FitGains(), network(3, gains=FINITE)),
        "gains interval": lambda: (FitGains(biases=False), network(4, "functional-error", gains=INTERVAL, noise=0.1)),
        "gains hardware-biases": lambda: (FitGains(), network(5, gains=INTERVAL, hardware_biases=True, drop=True)),
        "train-biases": lambda: (TrainBiases(epochs=2), network(6)),
        "tune": lambda: (Tune(), network(7, tunable=4)),
        "tune gradient": lambda: (Tune(choose="gradient", budget=0.1), network(8, tunable=9, budget=12)),
        "tune last-layer": lambda: (Tune(where="last-layer"), network(9, tunable=30, hardware_biases=True)),
    }


def cases() -> dict[str, Make]:
    """All solves by name."""
    return {**_layers(), **_networks(), **_corrections()}


def answer(make: Make) -> dict[str, Any]:
    """What is recorded of a solve: status, objective, bound, and the choices made, floats apart."""
    solver, instance = make()
    result: Result = solver.solve(instance, Limits(), np.random.default_rng(0))
    assert result.solution is not None
    return {
        "status": str(result.status),
        "objective": instance.value(result.solution),  # type: ignore[attr-defined]
        "bound": float(result.bound) if np.isfinite(result.bound) else None,
        "choices": _choices(result.solution),
    }


def _choices(solution: Any) -> str:
    """Digest of neurons, cells, inputs and tunable connections, which differ from machine to machine in no bit."""
    layers = solution.layers if isinstance(solution, NetworkMapping) else (solution,)
    seen = hashlib.sha256()
    for part in layers:
        assert isinstance(part, LayerMapping)
        for array in (part.neuron_of, part.wire_indptr, part.cell, part.input, part.tunable):
            seen.update(np.asarray(array, "<i8").tobytes())
    return seen.hexdigest()[:16]


@pytest.mark.parametrize("name", [*json.loads(RECORDED.read_text())] if RECORDED.exists() else [])
def test_answers_are_the_recorded_ones(name: str) -> None:
    """Status and choices are the same, objective and bound up to rounding."""
    if name.startswith("slots"):
        pytest.importorskip("torch")
    recorded = json.loads(RECORDED.read_text())[name]
    found = answer(cases()[name])
    assert (found["status"], found["choices"]) == (recorded["status"], recorded["choices"])
    assert found["objective"] == pytest.approx(recorded["objective"], rel=1e-6)
    assert found["bound"] == (None if recorded["bound"] is None else pytest.approx(recorded["bound"], rel=1e-6))


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: answer(make) for name, make in cases().items()}, indent=1) + "\n")
