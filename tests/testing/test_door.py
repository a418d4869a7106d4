"""`solver_checks` as a plugin author meets it: one line in a test file, run by pytest in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN_TEST = '''
from dataclasses import dataclass

from matchopt import Assignment, AssignmentInstance, Result, Solver
from matchopt.testing import kit, solver_checks, tiny_instances

some = tuple(tiny for tiny in tiny_instances() if tiny.name.startswith("assignment-s"))
kit.tiny_instances = lambda: some


@dataclass(frozen=True)
class Random(Solver):
    """One random assignment."""

    name = "one-random"
    solves = AssignmentInstance
    role = "baseline"

    def refuses(self, instance):
        return "takes dense instances only" if instance.is_sparse else None

    def solve(self, instance, limits, rng):
        bound = float("nan") if {lies} else -float("inf")
        return Result(Assignment(rng.permutation(instance.n_cols)[: instance.n_rows]), bound=bound)


test_random = solver_checks(Random(), expected_failures={expected})
'''


def run(
    folder: Path, *, lies: bool = False, expected: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the one-line test of a random solver."""
    test = folder / "test_plugin.py"
    test.write_text(PLUGIN_TEST.format(lies=lies, expected=expected or {}))
    command = [sys.executable, "-m", "pytest", "-q", "-rsx", "-p", "no:cacheprovider", str(test)]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=120)


@pytest.mark.slow
def test_an_honest_plugin_passes_with_reasons_for_every_skip(tmp_path: Path) -> None:
    """The one-line test passes; a refused instance is skipped with the solver's reason."""
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "takes dense instances only" in done.stdout


@pytest.mark.slow
def test_a_failure_names_law_and_instance(tmp_path: Path) -> None:
    """The test id of a failure is the law and the instance, and the message the claim and what was found."""
    done = run(tmp_path, lies=True)
    assert done.returncode == 1
    assert "bound-is-a-number-assignment-square" in done.stdout
    assert "the bound is NaN" in done.stdout


@pytest.mark.slow
def test_an_excused_law_is_an_expected_failure(tmp_path: Path) -> None:
    """With the law excused the same plugin passes, and the reason is shown."""
    done = run(tmp_path, lies=True, expected={"bound-is-a-number": "no bound yet"})
    assert done.returncode == 0, done.stdout
    assert "no bound yet" in done.stdout


@pytest.mark.slow
def test_an_excuse_that_is_not_needed_fails(tmp_path: Path) -> None:
    """An excuse for a law that nothing breaks is a failure of its own."""
    done = run(tmp_path, expected={"bound-is-a-number": "once"})
    assert done.returncode == 1
    assert "remove it" in done.stdout
