"""Watches a worker process and its descendants, and kills them all when a limit is passed."""

import contextlib
import math
import os
import signal
import threading
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from matchopt.run.shared_memory import SharedMemory
from matchopt.solver import Limit

PERIOD = 0.05  # seconds between two looks at the memory
FAMILY_EVERY = 5  # looks between two searches for new descendants, which read the table of all processes
GRACE = 1.0  # least seconds a solver may overrun its limit, to come back by itself with its answer
GRACE_SHARE = 0.1  # the same as a share of the limit
PATIENCE = 0.5  # seconds between the polite signal and the final one
START_UP = 300.0  # processor seconds a worker may take before its solver's clock starts; it may have to compile first
WORKING = 0.01  # least share of a processor of a worker that waits for its turn, not for ever
MEMORY_SHARE = 0.8  # share of the free memory that a run may take when nobody says how much


def free_memory() -> int:
    """Bytes that can be used now, in this machine or in the container around this process."""
    free = int(psutil.virtual_memory().available)
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        most = int((group / "memory.max").read_text())  # "max" where there is no limit
        free = min(free, max(0, most - int((group / "memory.current").read_text())))
    return free


def _is_childless(pid: int) -> bool:
    """Whether a process surely has no children, told without reading the table of all processes."""
    lists = list(Path(f"/proc/{pid}/task").glob("*/children"))  # there are none where the kernel keeps no such lists
    with contextlib.suppress(OSError):
        return bool(lists) and not any(file.read_bytes() for file in lists)
    return False


class Watchdog(threading.Thread):
    """A thread that samples the memory of a process tree and ends it past a limit.

    Parameters
    ----------
    pid : the worker, leader of its own process group.
    memory : most bytes the whole tree may have in memory.
    shared : bytes that the worker has in memory without having taken them, which do not count.
    """

    def __init__(self, pid: int, memory: int, shared: int = 0) -> None:
        super().__init__(daemon=True, name="matchopt-watchdog")
        self.killed_for: Limit | None = None  # why the worker was killed, once it was
        self.peak = 0  # most bytes seen
        self._memory = memory
        self._shared = shared
        self._started_by = time.monotonic() + START_UP
        self._worked = 0.0  # processor seconds of the worker when that was set
        self._deadline: float | None = None  # once the solver's clock runs
        self._over = threading.Event()
        self._pid = pid
        self._files = SharedMemory()
        self._family: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.Error):
            self._family[pid] = psutil.Process(pid)

    def arm(self, seconds: float | None) -> None:
        """Begin the solver's time; None for no limit."""
        more = math.inf if seconds is None else seconds + max(GRACE, GRACE_SHARE * seconds)
        self._deadline = time.monotonic() + more

    def stop(self) -> None:
        """End this thread."""
        self._over.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Look until stopped."""
        looks = 0
        while not self._over.wait(PERIOD):
            if looks % FAMILY_EVERY == 0:
                self.find_family()
            looks += 1
            used = self._used()
            self.peak = max(self.peak, used)
            if used > self._memory:
                self._end(Limit.MEMORY, 0.0)
                return
            if self._is_late():
                self._end(Limit.TIME, PATIENCE)
                return

    def find_family(self) -> None:
        """Remember the descendants there are now, wherever they move later, and what they have in shared memory."""
        self._files.bytes(list(self._family))
        for pid, member in list(self._family.items()):
            if _is_childless(pid):
                continue
            with contextlib.suppress(psutil.Error):
                for child in member.children(recursive=True):
                    self._family.setdefault(child.pid, child)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process group and to every descendant that was seen.

        The worker must not have been waited for: as long as it is a zombie its group's number is no one else's.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)
        for pid, member in self._family.items():
            if pid != self._pid:
                with contextlib.suppress(psutil.Error):
                    member.send_signal(number)  # psutil makes sure that the number was not taken by another process

    def clear(self) -> None:
        """Once all have ended: remove what they left in shared memory."""
        self._files.remove(self._family.keys())

    def _used(self) -> int:
        used = self._files.bytes(list(self._family))
        for pid, member in list(self._family.items()):
            with contextlib.suppress(psutil.Error):
                used += max(0, int(member.memory_info().rss) - (self._shared if pid == self._pid else 0))
        return used

    def _is_late(self) -> bool:
        now, deadline = time.monotonic(), self._deadline
        if deadline is not None:
            return now > deadline
        if now <= self._started_by:
            return False
        worked = 0.0
        with contextlib.suppress(psutil.Error):
            times = self._family[self._pid].cpu_times()
            worked = times.user + times.system + times.children_user + times.children_system
        if not self._worked + WORKING * START_UP <= worked < START_UP:
            return True
        self._worked, self._started_by = worked, now + START_UP  # others have kept it from the processor
        return False

    def _end(self, limit: Limit, patience: float) -> None:
        self.killed_for = limit
        self.find_family()
        if patience:
            self.kill(signal.SIGTERM)
            if self._over.wait(patience):
                return
        self.kill()
