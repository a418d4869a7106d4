"""The built-in plugins: what they register, and what registering costs."""

import subprocess
import sys
from importlib import import_module

import pytest

PACKAGES = {
    "matchopt_random": ["random", "random-wiring"],
    "matchopt_greedy": ["greedy", "greedy-pairs", "priced-writes"],
    "matchopt_hungarian": ["hungarian", "hungarian-streamed"],
    "matchopt_cpsat": ["cpsat"],
    "matchopt_milp": ["milp"],
    "matchopt_corrections": ["recalibrate", "gains", "train-biases", "tune"],
    "matchopt_slots": ["slots"],
    "matchopt_parts": ["copies-alternate", "split-alternate", "tiles-cover"],
    "matchopt_budget": ["lagrangian", "lagrangian-layer"],
    "matchopt_sums": ["sum-search"],
    "matchopt_crossbar": [
        "crossbar-alternate",
        "crossbar-anneal",
        "crossbar-perturb",
        "crossbar-exact",
        "crossbar-buses",
        "crossbar-redundant",
        "crossbar-tandem",
        "chain-alternate",
        "chain-perturb",
    ],
}


@pytest.mark.parametrize("package", PACKAGES)
def test_registers_its_solvers(package: str) -> None:
    """Each package registers the solvers it is known for."""
    found: list[type] = []
    import_module(package).register_solvers(found.append)
    assert [solver.name for solver in found] == PACKAGES[package]  # type: ignore[attr-defined]


def test_registering_is_cheap() -> None:
    """All of them register without importing an engine: no scipy, ortools, lap or numba."""
    code = f"import sys; [__import__(name) for name in {list(PACKAGES)}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"scipy", "ortools", "lap", "numba", "torch"} & set(done.stdout.split())
