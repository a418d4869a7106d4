"""Every registered solver, outsiders' included, on the problem library: `pytest benches -k NAME` for one of them.

One solve each, in its own process as `matchopt solve` and `matchopt bench` do it, with the same seed and limits: they
agree on objective, bound and proof. The time measured is the whole solve; beside it `extra_info` keeps the solver's own
seconds, the checked objective, the bound, the gap and what is known of the instance, so that `--benchmark-json` and
`pytest-benchmark compare` have them. What a solver refuses is not collected. Where timing is off, as in CI, only a few
small instances are.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import matchopt
from matchopt import DataError, Instance, Provenance, Status, solve
from matchopt.formats import CatalogueEntry, read_catalogue, read_instance
from matchopt.plugins import load_plugins
from matchopt.run.descent import foreseen_refusal
from matchopt.testing import tiny_instances

TIME_LIMIT = 10.0  # seconds for each solve; fixed before any run, so that runs compare
TINY = ("layer-three-rows", "layer-crossbar", "assignment-wide-floats", "program-agents", "network-one-layer")
# Larger ones of a family that is here; most of them are not solved in the time limit.
LEFT_OUT = ("orlib-gap/chu1997",)
CACHE = "matchopt/refusals"


def tiny(name: str) -> Callable[[], Instance]:
    """An instance of the conformance kit with its enumerated optimum."""
    (found,) = [one for one in tiny_instances() if one.name == name]

    def read() -> Instance:
        known = Provenance(
            name=name, best_value=found.optimum.value, best_bound=found.optimum.value, best_by="all tried"
        )
        return replace(found.instance, provenance=known)  # type: ignore[type-var]

    return read


def listed(entry: CatalogueEntry) -> Callable[[], Instance]:
    """An instance of the catalogue with the values known there."""

    def read() -> Instance:
        instance = read_instance(entry.locate())
        known = Provenance(name=entry.name, best_value=entry.best_value, best_bound=entry.best_bound)
        return replace(instance, provenance=known)  # type: ignore[type-var]

    return read


LISTED = [entry for entry in read_catalogue() if not entry.path.startswith(LEFT_OUT)]
INSTANCES = {name: tiny(name) for name in TINY} | {entry.name: listed(entry) for entry in LISTED}
PLACES = {entry.name: entry.sha256 for entry in LISTED}


def pairs(timed: bool, refusals: Any) -> list[Any]:
    """(solver, instance) of all that solvers take; `refusals` is kept from run to run, by what decides them.

    Instances that are not here are left out; programs too large to be built only for being asked are left to the test.
    """
    registry = load_plugins()
    known = refusals.get(CACHE, {})
    found = []
    for name in INSTANCES if timed else TINY:
        read = None
        for solver, entry in registry.solvers.items():
            key = f"{name} {PLACES.get(name, '')} {solver} {entry.version} {matchopt.__version__}"
            if key not in known:
                try:
                    read = read or INSTANCES[name]()
                    known[key] = foreseen_refusal(read, registry.make(solver))
                except DataError:
                    break
            if known[key] is None:
                found.append(pytest.param(solver, name, id=f"{solver}-{name}"))
    refusals.set(CACHE, known)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Collect what solvers take."""
    timed = not metafunc.config.getoption("benchmark_disable")
    metafunc.parametrize(("solver", "instance"), pairs(timed, metafunc.config.cache))


def test_solver(benchmark: BenchmarkFixture, solver: str, instance: str) -> None:
    """The answer is checked, no worse a bound than known is passed, and what is claimed optimal is."""
    problem = INSTANCES[instance]()
    benchmark.group = instance
    run = benchmark.pedantic(solve, (problem, solver), {"time_limit": TIME_LIMIT}, rounds=1)
    if run.refused:  # which could not be foreseen
        pytest.skip(run.message)
    known = problem.provenance
    benchmark.extra_info.update(
        status=run.status.value,
        objective=run.objective,
        bound=run.bound,
        gap=run.gap,
        proof=run.proof,
        solver_seconds=run.solver_seconds,
        best_value=known.best_value,
        best_bound=known.best_bound,
    )
    assert run.status is not Status.ERROR, run.message
    assert not run.violations
    slack = 1e-6 * abs(known.best_value or 0.0) + 1e-9
    if run.objective is not None and known.best_bound is not None:
        assert run.objective >= known.best_bound - slack
    if run.bound is not None and known.best_value is not None:
        assert run.bound <= known.best_value + slack
    if run.status is Status.OPTIMAL and known.best_value is not None:
        assert run.objective == pytest.approx(known.best_value, abs=slack)
