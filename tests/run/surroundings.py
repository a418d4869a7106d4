"""A solver that tells what its process finds around it; loaded as a plugin file."""

import contextlib
import json
import os
import random
import resource
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matchopt import Assignment, AssignmentInstance, Result, Solver, hookimpl, solve


def status(field):
    """A field of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def files():
    """What kind of file each descriptor is of, in order; the numbers and the names of pipes differ."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
    return found


@dataclass(frozen=True)
class Surroundings(Solver):
    """Returns what must be alike in every worker as its message, and what must differ in its statistics."""

    name = "surroundings"
    solves = AssignmentInstance

    libraries: str = ""

    def solve(self, instance, limits, rng):
        found = {
            "files": files(),
            "session": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
            "folder": os.getcwd(),
            "environment": {name: os.environ.get(name) for name in sorted(os.environ) if name != "_"},
            "path": sys.path,
            "hash": hash("matchopt"),
            "rights": [
                status("Umask"),
                len(os.sched_getaffinity(0)) < os.cpu_count(),
                os.getpriority(os.PRIO_PROCESS, 0),
            ],
            "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)],
            "signals": [status(field) for field in ("SigBlk", "SigIgn", "SigCgt")],
            "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
            "threads": [threading.active_count(), int(status("Threads"))],
            "standard input": os.readlink("/proc/self/fd/0"),
            "encodings": [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)],
        }
        legacy = np.random.random()  # noqa: NPY002  # what a plugin may still call
        stats = {"pid": os.getpid(), "parent": os.getppid(), "numpy": legacy, "random": random.random()}
        Path(os.environ["SURROUNDINGS"]).write_text(json.dumps(found, indent=1))
        return Result(Assignment(np.arange(instance.n_rows)), stats=stats | self._counts())

    def _counts(self):
        """Threads of the libraries that are asked for."""
        counts = {}
        if "blas" in self.libraries:
            from threadpoolctl import threadpool_info

            np.ones((2, 2)) @ np.ones((2, 2))
            counts |= {"blas": max(found["num_threads"] for found in threadpool_info())}
        if "numba" in self.libraries:
            import numba

            counts |= {"numba": numba.config.NUMBA_NUM_THREADS}
        if "torch" in self.libraries:
            import torch

            counts |= {"torch": torch.get_num_threads()}
        return counts


@dataclass(frozen=True)
class Nests(Solver):
    """Solves by another solver, in processes of its own."""

    name = "nests"
    solves = AssignmentInstance

    def solve(self, instance, limits, rng):
        file = Path(__file__).with_name("hostile.py")
        runs = [solve(instance, "good", plugin_files=[file], certify=False) for _ in range(2)]
        # It is stopped in the midst of another solve.
        solve(instance, "ignores-sigterm", plugin_files=[file], on_incumbent=lambda _: limits.report(runs[0].solution))
        return Result(None)


@hookimpl
def register_solvers(register):
    register(Surroundings)
    register(Nests)
