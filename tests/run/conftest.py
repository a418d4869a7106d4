"""What the tests of runs share: a small instance, the hostile solvers, and a look for stray processes."""

import contextlib
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from matchopt import Allowance, AssignmentInstance
from matchopt.run import Task, warm, watchdog

HOSTILE = Path(__file__).with_name("hostile.py")
COST = np.array([[7, 3, 9, 4, 8], [5, 6, 2, 9, 7], [8, 8, 6, 3, 5], [4, 9, 7, 8, 1]])  # optimum 3 + 2 + 3 + 1 = 9


@pytest.fixture(scope="session")
def instance():
    """An assignment of 4 rows and 5 columns with optimum 9; the diagonal costs 7 + 6 + 6 + 8 = 27."""
    return AssignmentInstance(COST)


@pytest.fixture(scope="session")
def quick_kills():
    """Solvers that overrun their limit are killed after 0.2 s instead of 1 s."""
    before = watchdog.GRACE, watchdog.PATIENCE
    watchdog.GRACE, watchdog.PATIENCE = 0.2, 0.2
    yield
    watchdog.GRACE, watchdog.PATIENCE = before


def _forget_what_was_held():
    warm.server.close()
    warm.server = warm.ForkServer()


@pytest.fixture(scope="module")
def light_server():
    """A fork server without the imports of earlier tests, which every one that is started anew would make again."""
    _forget_what_was_held()


@pytest.fixture
def heavy_server():
    """A fork server that may import much, since later tests get another."""
    _forget_what_was_held()
    yield
    _forget_what_was_held()


@pytest.fixture
def task(instance):
    """Make a task for one of the hostile solvers."""

    def make(name, **changes):
        return Task(
            **{"instance": instance, "solver": name, "plugin_files": (HOSTILE,), "allowance": Allowance(10.0)} | changes
        )

    return make


@pytest.fixture(autouse=True)
def _no_strays():
    """No test leaves a process behind."""
    yield
    deadline = time.monotonic() + 2.0
    while (left := _children()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left


def _children():
    """Command lines of all descendants, Python's own resource tracker and the fork server, which stay, left out."""
    found = []
    mine = psutil.Process()
    for child in mine.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.ppid() == mine.pid and any("matchopt.run.fork_server" in word for word in child.cmdline()):
                continue
            found.append(" ".join(child.cmdline()))
    return [line for line in found if "resource_tracker" not in line]
