"""The watchdog: what counts as memory of a worker, and of those it starts."""

import os
import subprocess
import sys
import time

import pytest

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


@pytest.mark.parametrize(
    ("work", "rests"),
    [pytest.param("while time.process_time() < 30: time.sleep(0.0)", False, marks=pytest.mark.slow), ("", True)],
)
def test_a_start_is_limited_in_work(work: str, rests: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that others keep from the processor may go on; one that rests, or works too long, may not."""
    monkeypatch.setattr("matchopt.run.watchdog.START_UP", 0.5)
    worker = subprocess.Popen([sys.executable, "-c", f"import time\n{work}\ntime.sleep(60)"], start_new_session=True)
    watchdog = Watchdog(worker.pid, memory=10**9)
    watchdog.start()
    try:
        _, status, used = os.wait4(worker.pid, 0)
        worker.returncode = status
        assert os.WIFSIGNALED(status) and watchdog.killed_for is Limit.TIME
        assert (used.ru_utime + used.ru_stime < 0.5) is rests
    finally:
        watchdog.stop()
