"""For all tests: the same examples on every machine, and the signals of a program in the foreground."""

import os
import signal
from collections import Counter

import pytest
import typecheck
from hypothesis import settings

# Tests run side by side, and threads of a pool that wait for work burn as much of the processor as those that work.
# For the processes to come, those of pytest-xdist first of all: in this one NumPy has read them already.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

typecheck.install()

COMPUTATIONS = {"kernels", "proofs", "reduce", "solvers", "testing"}  # folders of tests
ENTERED = {"cli", "grid", "study"}  # folders whose slow tests reach lines that no quick one does

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A job in the background ignores Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage can double the time of a test; it follows the first cases of a computation and each eighth.

    They differ in numbers, not in the lines that they reach; of other tests each case may reach a refusal of its own.
    Slow ones repeat with more numbers, or in processes of their own, what quick ones call.
    """
    seen: Counter[str] = Counter()
    for item in items:
        test, room = item.nodeid.partition("[")[0], item.path.parent.name
        slow = item.get_closest_marker("slow") is not None and room not in ENTERED
        if slow or (room in COMPUTATIONS and seen[test] > 2 and seen[test] % 8):
            item.add_marker(pytest.mark.no_cover)
        seen[test] += 1
