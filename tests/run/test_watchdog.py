"""The watchdog: what counts as memory of a worker, and of those it starts."""

import subprocess
import sys
import time

from matchopt.run.watchdog import Watchdog
from matchopt.solver import Limit

NEST = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "x = bytearray(2**27); import time; time.sleep(60)"])
"""


def test_what_a_worker_shares_does_not_hide_what_its_children_take() -> None:
    """However much a worker has in memory without having taken it, a child's memory counts whole."""
    worker = subprocess.Popen([sys.executable, "-c", NEST], start_new_session=True)
    watchdog = Watchdog(worker.pid, memory=10**8, shared=2**40)
    watchdog.arm(30.0)
    watchdog.start()
    try:
        assert worker.wait(30.0) < 0
        assert watchdog.killed_for is Limit.MEMORY
        assert 10**8 < watchdog.peak < 10**9
    finally:
        watchdog.stop()
        watchdog.kill()


def test_what_a_worker_shares_does_not_count() -> None:
    """A worker that has no more than it shares stays far below any limit."""
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    watchdog = Watchdog(worker.pid, memory=1, shared=2**40)
    watchdog.start()
    try:
        time.sleep(0.3)
        assert watchdog.killed_for is None and watchdog.peak == 0 and worker.poll() is None
    finally:
        watchdog.stop()
        watchdog.kill()
        worker.wait()
