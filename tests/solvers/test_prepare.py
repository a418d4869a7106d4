"""What `prepare` and `prepare_for` promise: a solver's clock pays for nothing that could have been loaded before."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, sys
import numpy as np
from matchopt import Limits
from solvers.test_same_answers import cases

def compiled():
    from numba.core.dispatcher import Dispatcher
    return sum(len(found.signatures) for found in gc.get_objects() if isinstance(found, Dispatcher))

solver, instance = cases()[sys.argv[1]]()
solver.prepare_for(instance)
before, modules = compiled(), set(sys.modules)
solver.solve(instance, Limits(), np.random.default_rng(0))
heavy = {name.partition(".")[0] for name in set(sys.modules) - modules} & {"numba", "scipy", "torch", "llvmlite"}
print(before, compiled() - before, sorted(heavy))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["output-search drop-noise", "output-exact gains", "reroute bound", "slots free", "slots gains"]
)
def test_nothing_is_left_to_load(case: str) -> None:
    """In a fresh process a solve after `prepare_for` compiles nothing for new types and imports no heavy package."""
    command = [sys.executable, "-c", SCRIPT, case]
    tests = Path(__file__).parents[1]
    run = subprocess.run(command, cwd=tests, env={"PYTHONPATH": str(tests)}, capture_output=True, text=True, check=True)
    before, new, heavy = run.stdout.split(maxsplit=2)
    assert int(before) > 0 and (new, heavy.strip()) == ("0", "[]")
