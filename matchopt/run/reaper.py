"""What is left of solvers: processes that outlived their parents come to a subreaper, which ends them."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST = 2.0  # seconds for what forks as fast as it is killed


def adopt_orphans() -> None:
    """From now on descendants whose parents end become children of this process, where the system has that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with(parent: int) -> None:
    """Let the system kill this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def end_orphans(known: Collection[int]) -> None:
    """Kill the children of this process but those that are `known`, with their process groups."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # there are none at all, which is quickly known
        return
    import psutil  # type: ignore[import-untyped]  # it ships no types

    deadline = time.monotonic() + _LONGEST
    while time.monotonic() < deadline:
        orphans = [child.pid for child in psutil.Process().children() if child.pid not in known]
        if not orphans:
            return
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                group = os.getpgid(pid)
                os.kill(pid, signal.SIGKILL)
                if group not in (0, os.getpgrp()):  # all at once: one by one they could go on forking
                    os.killpg(group, signal.SIGKILL)
        for pid in orphans:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
