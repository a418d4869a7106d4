"""Workers forked from a fork server, seen from the host: the server started, asked, and ended with its host."""

import atexit
import contextlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matchopt.run.cold import environment, start_python

HEADER = struct.Struct("<Q")  # bytes of JSON that follow a request's file descriptors
WORD = struct.Struct("<cqq")  # a worker's HELLO, number and bytes in memory; or the server's ENDED, status and 0
HELLO, ENDED = b"h", b"e"
MOST_FAILURES = 3  # of servers in a row, after which a host's workers are cold
PATIENCE = 120.0  # seconds for a server to import what it was told to, and to fork
# What libraries read when they are imported: where it has changed, the server's libraries are not those of the host.
_READ_AT_IMPORT = (
    *("PYTHON", "LD_", "LANG", "LC_", "TZ", "NUMBA_", "OPENBLAS_", "OMP_", "MKL_", "KMP_", "GOMP_", "NPY_", "TORCH_"),
    "CUDA_",
)
# Whose modules may be imported before a fork: they start no thread and make no CUDA context when they are imported.
HELD = frozenset({"lap", "llvmlite", "matchopt", "numba", "numpy", "ortools", "safetensors", "scipy", "torch"})
MOST_NAME = 2000  # characters
MOST_HELD = 10_000  # names of modules, and rules, that are remembered


class Unavailable(Exception):
    """There is no fork server, or it did not fork."""


class WarmWorker:
    """A worker that is a child of the fork server; see `ColdWorker`.

    Parameters
    ----------
    line : to the server, which tells of the worker's end and keeps it a zombie until the line is closed.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        word, self.pid, self.shared = _word(line)
        if word != HELLO:
            raise Unavailable("the worker ended before it began")
        line.setblocking(False)
        self.exit_fd: int | None = line.fileno()
        self.lost = False  # the server died, and the worker with it
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """The exit code once it has ended, minus the signal's number if one killed it; it stays a zombie."""
        if self._exit_code is None:
            try:
                _, self._exit_code, _ = _word(self._line)
            except BlockingIOError:
                pass
            except Unavailable:
                self._exit_code, self.lost = -9, True
        return self._exit_code

    def release(self) -> None:
        """Give its number back, and wait until the server has, unless that is busy with the imports of another."""
        self._line.settimeout(1.0)
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
            while self._line.recv(WORD.size):
                pass
        self._line.close()


class ForkServer:
    """The fork server of one host: started when it is asked, and again if it has died; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._environment: dict[str, str] = {}
        self._failures = 0
        self._learns = True
        self._known: dict[str, None] = {}  # modules, and rules as JSON, that workers have needed so far
        self._told = 0  # how many of them the server knows

    def possible(self) -> bool:
        """Whether there can be one: on Linux, unless MATCHOPT_COLD is set or servers keep failing."""
        wanted = os.environ.get("MATCHOPT_COLD", "0") in ("", "0") and self._failures < MOST_FAILURES
        return wanted and sys.platform == "linux" and hasattr(os, "pidfd_open")

    def begin(self, *modules: str) -> None:
        """Start it if it does not run, so that it starts up, and imports `modules`, while this process prepares."""
        if self.possible():
            with self._lock, contextlib.suppress(OSError):
                self._known.update(dict.fromkeys(modules))
                self._run()

    def fork(self, fds: tuple[int, int, int], threads: int, cold: bool = False) -> WarmWorker:
        """Fork a worker; the descriptors are those of `ColdWorker`.

        Parameters
        ----------
        cold : whether it is to become a fresh interpreter: in its surroundings the same, but with nothing held.

        Raises
        ------
        Unavailable
            when servers keep failing to.
        """
        while self.possible():
            with contextlib.ExitStack() as undone:
                try:
                    with self._lock:
                        line = undone.enter_context(self._ask(fds, threads, cold))
                    worker = WarmWorker(line)
                except (OSError, Unavailable):
                    with self._lock:
                        self._end()
                        self._failures += 1
                        self._known, self._learns = {}, False  # something of it may have been the reason
                    continue
                undone.pop_all()
            self._failures = 0
            return worker
        raise Unavailable("there is no fork server")

    def hold(self, names: object) -> None:
        """Note what a worker has imported and reduced, for the server to hold from the next solve on."""
        if self._learns and isinstance(names, list):
            wanted = [name for name in names if isinstance(name, str) and len(name) < MOST_NAME]
            wanted = [name for name in wanted if name.startswith("{") or name.partition(".")[0] in HELD]
            with self._lock:
                self._known.update(dict.fromkeys(wanted[: max(0, MOST_HELD - len(self._known))]))

    def close(self) -> None:
        """End it, and its workers with it; the next solve would start another."""
        with self._lock:
            self._end()

    def forget(self) -> None:
        """In a child that the host has forked: the server is not this process's."""
        if self._process is not None and self._line is not None:
            self._line.close()
            self._process.returncode = 0

    def _run(self) -> socket.socket:
        """The line to the server, which is started unless it runs with the libraries that the host would have."""
        now = {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}
        if self._process is None or self._process.poll() is not None or self._environment != now:
            self._end()
            self._line, far = socket.socketpair()
            quiet = subprocess.DEVNULL
            with far:
                self._process = start_python("fork_server", far.fileno(), 1, quiet, quiet, *self._known)
            self._environment, self._told = now, len(self._known)
        assert self._line is not None
        return self._line

    def _ask(self, fds: Sequence[int], threads: int, cold: bool) -> socket.socket:
        """Ask for a worker; returns the line that tells of it."""
        server = self._run()
        new = [] if cold else list(self._known)[self._told :]
        self._told += len(new)
        request = {"held": new, "cold": cold, "threads": threads, **_surroundings(threads)}
        body = json.dumps(request).encode()
        line, far = socket.socketpair()
        folder = os.open(".", os.O_PATH)
        try:
            socket.send_fds(server, [HEADER.pack(len(body))], [far.fileno(), *fds, folder])
            server.sendall(body)
        except BaseException:  # such as Ctrl-C in mid-sentence, after which the server would understand nothing
            line.close()
            self._end()
            raise
        finally:
            far.close()
            os.close(folder)
        line.settimeout(PATIENCE)
        return line

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._line = None


def _surroundings(threads: int) -> dict[str, Any]:
    """What a child of this process would have of it; the server has it as it was."""
    status = Path("/proc/self/status").read_text()
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("Umask:")), "22")
    limits = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    return {
        "environment": environment(threads),
        "path": list(map(str, sys.path)),
        "umask": int(mask, 8),
        "affinity": sorted(os.sched_getaffinity(0)),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": {number: resource.getrlimit(number) for number in sorted(limits)},
    }


def _word(line: socket.socket) -> tuple[bytes, int, int]:
    """One word from the server or worker at the other end, which is written and so read as a whole."""
    word = line.recv(WORD.size)
    if len(word) < WORD.size:
        raise Unavailable("the fork server has ended")
    kind, first, second = WORD.unpack(word)
    return kind, first, second


def _forget() -> None:
    """In a forked child: a lock that another thread of its parent held stays locked, and the server is the parent's."""
    global server
    server.forget()
    server = ForkServer()


server = ForkServer()  # of this process
os.register_at_fork(after_in_child=_forget)
atexit.register(lambda: server.close())
