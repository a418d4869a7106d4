"""Solvers whose processes try to outlive them, or take what they are started from along; a plugin file.

Every process that stays writes a file named by its number into the folder ESCAPED.
"""

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np

from matchopt import Assignment, AssignmentInstance, Result, Solver, hookimpl

SOLVERS = []
STAY = "import os, sys, time; open(os.path.join(os.environ['ESCAPED'], str(os.getpid())), 'w'); time.sleep(60)"


def escaping(method):
    """Make a solver of a function (instance, limits) -> None that is called before the diagonal is returned."""

    def solve(self, instance, limits, rng):
        limits.report(Assignment(np.arange(instance.n_rows)))
        method(instance, limits)
        return Result(Assignment(np.arange(instance.n_rows)))

    body = {"name": method.__name__.replace("_", "-"), "solves": AssignmentInstance, "solve": solve}
    SOLVERS.append(dataclass(frozen=True)(type(method.__name__, (Solver,), body)))
    return method


def stay():
    Path(os.environ["ESCAPED"], str(os.getpid())).touch()
    time.sleep(60)
    os._exit(0)


def daemon():
    """A process in a session of its own whose parent has ended: what was started as a service is."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            stay()
        os._exit(0)
    os.wait()


def there():
    """Wait for a first process that stays."""
    while not list(Path(os.environ["ESCAPED"]).iterdir()):
        time.sleep(0.01)


@escaping
def forks_a_daemon(instance, limits):
    daemon()
    there()


@escaping
def leaves_a_daemon_at_once(instance, limits):
    daemon()
    there()
    os._exit(0)


@escaping
def dies_with_a_daemon(instance, limits):
    daemon()
    there()
    os.kill(os.getpid(), signal.SIGKILL)


@escaping
def starts_services(instance, limits):
    for _ in range(3):
        subprocess.Popen([sys.executable, "-c", STAY], start_new_session=True)
    there()


@escaping
def forks_in_a_chain(instance, limits):
    if os.fork() == 0:
        os.setsid()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            Path(os.environ["ESCAPED"], "chain").write_text(str(os.getpid()))
        os._exit(0)
    there()
    os._exit(1)


@escaping
def forks_and_waits(instance, limits):
    daemon()
    time.sleep(60)


@escaping
def kills_its_parent(instance, limits):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@escaping
def kills_its_parent_once(instance, limits):
    mark = Path(os.environ["ESCAPED"], "killed")
    if not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


@escaping
def fills_shared_memory(instance, limits):
    with open(f"/dev/shm/matchopt-test-{os.getpid()}", "wb") as file:
        for _ in range(30):
            file.write(bytes(2 * 10**7))
            time.sleep(0.05)


@escaping
def maps_shared_memory(instance, limits):
    block = shared_memory.SharedMemory(create=True, size=10**7)
    block.buf[:] = bytes(10**7)
    time.sleep(0.5)
    os._exit(1)


@escaping
def fills_a_nameless_file(instance, limits):
    fd = os.memfd_create("x")
    for _ in range(30):
        os.write(fd, bytes(2 * 10**7))
        time.sleep(0.05)


@escaping
def leaves_a_segment(instance, limits):
    libc = ctypes.CDLL(None)
    number = libc.shmget(0, 10**6, 0o1600)
    Path(os.environ["ESCAPED"], f"segment-{number}").touch()


@escaping
def maps_its_own(instance, limits):
    block = mmap.mmap(-1, 10**8)
    block[:] = bytes(10**8)
    time.sleep(0.3)


@hookimpl
def register_solvers(register):
    for cls in SOLVERS:
        register(cls)
