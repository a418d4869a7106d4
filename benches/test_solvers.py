"""Every registered solver, outsiders' included, on the problem library: `pytest benches -k NAME` for one of them.

One solve each, in its own process as `matchopt solve` does it. The time measured is the whole solve; beside it
`extra_info` keeps the checked objective, the bound, the gap and what is known of the instance. Where timing is off, as
in CI, only a few small instances run.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from matchopt import DataError, Instance, Provenance, Status, solve
from matchopt.formats import CatalogueEntry, read_catalogue, read_instance
from matchopt.plugins import load_plugins
from matchopt.testing import tiny_instances

TIME_LIMIT = 10.0  # seconds for each solve; fixed before any run, so that runs compare
TINY = ("layer-three-rows", "layer-crossbar", "assignment-wide-floats", "program-agents", "network-one-layer")
# Larger ones of a family that is here; most of them are not solved in the time limit.
LEFT_OUT = ("orlib-gap/chu1997",)


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
        try:
            instance = read_instance(entry.locate())
        except DataError as cause:
            pytest.skip(str(cause))
        known = Provenance(name=entry.name, best_value=entry.best_value, best_bound=entry.best_bound)
        return replace(instance, provenance=known)  # type: ignore[type-var]

    return read


INSTANCES = {name: tiny(name) for name in TINY} | {
    entry.name: listed(entry) for entry in read_catalogue() if not entry.path.startswith(LEFT_OUT)
}


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("solver", load_plugins().solvers)
def test_solver(benchmark: BenchmarkFixture, solver: str, instance: str) -> None:
    """The answer is checked, no worse a bound than known is passed, and what is claimed optimal is."""
    if not benchmark.enabled and instance not in TINY:
        pytest.skip("timing is off: the problem library is left to `make bench`")
    problem = INSTANCES[instance]()
    benchmark.group = instance
    run = benchmark.pedantic(solve, (problem, solver), {"time_limit": TIME_LIMIT}, rounds=1)
    if run.refused:
        benchmark.extra_info.update(refused=run.message)  # the time in the table is that of refusing
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
