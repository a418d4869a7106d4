"""Workers forked from a fork server, seen from the host: the server started, asked, and ended with its host."""

import atexit
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from matchopt.run.cold import environment, start_python

HEADER = struct.Struct("<Q")  # bytes of JSON that follow a request's file descriptors
WORD = struct.Struct("<cqq")  # a worker's HELLO, number and bytes in memory; or the server's ENDED, status and 0
HELLO, ENDED = b"h", b"e"
COLD = "MATCHOPT_COLD"  # environment variable: set, all workers are cold
MOST_FAILURES = 3  # of servers in a row, after which a host's workers are cold
PATIENCE = 120.0  # seconds for a server to import what it was told to, and to fork
# What libraries read when they are imported: where it has changed, the server's libraries are not those of the host.
_READ_AT_IMPORT = ("PYTHON", "LD_", "NUMBA_", "OPENBLAS_", "OMP_", "MKL_", "KMP_", "GOMP_", "NPY_", "TORCH_", "CUDA_")


class Unavailable(Exception):
    """There is no fork server, or it did not fork."""


class StillbornWorker(Unavailable):
    """The server lives, the worker does not."""


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
            raise StillbornWorker("the worker ended before it began")
        self._line.setblocking(False)
        self.exit_fd: int | None = line.fileno()
        self.lost = False  # the server died, and the worker with it
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """The exit code once it has ended, minus the signal's number if one killed it; it stays a zombie."""
        if self._exit_code is None:
            with contextlib.suppress(BlockingIOError):
                try:
                    _, self._exit_code, _ = _word(self._line)
                except Unavailable:
                    self._exit_code, self.lost = -9, True
        return self._exit_code

    def release(self) -> None:
        """Give its number back, and wait until the server has."""
        self._line.setblocking(True)
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
            while self._line.recv(WORD.size):
                pass
        self._line.close()


class ForkServer:
    """The host's side of one server.

    Parameters
    ----------
    modules : what it imports before it is asked.
    """

    def __init__(self, *modules: str) -> None:
        self.environment = _read_at_import()
        self.host = os.getpid()
        self._line, far = socket.socketpair()
        with far:
            self._process = start_python(
                "fork_server", far.fileno(), 1, subprocess.DEVNULL, subprocess.DEVNULL, *modules
            )
        self._held = {json.dumps(name) for name in modules}  # modules and rules it was told of

    def serves(self) -> bool:
        """Whether it still runs, and with the libraries that a fresh interpreter would have."""
        return self._process.poll() is None and self.environment == _read_at_import()

    def ask(self, fds: tuple[int, int, int], threads: int, known: Mapping[str, Mapping[str, Any]]) -> socket.socket:
        """Ask for a worker; returns the line that tells of it."""
        line, far = socket.socketpair()
        folder = os.open(".", os.O_PATH)
        new = {
            what: [value for key, value in values.items() if key not in self._held] for what, values in known.items()
        }
        self._held.update(*known.values())
        request = {"threads": threads, "environment": environment(threads), "path": sys.path, **new}
        body = json.dumps(request).encode()
        try:
            with far:
                socket.send_fds(self._line, [HEADER.pack(len(body))], [far.fileno(), *fds, folder])
                self._line.sendall(body)
        except BaseException:
            line.close()
            raise
        finally:
            os.close(folder)
        line.settimeout(PATIENCE)
        return line

    def forget(self) -> None:
        """In a child that the host has forked: the server is not this process's."""
        self._line.close()
        self._process.returncode = 0

    def end(self) -> None:
        """End the server, and with it its workers."""
        self._line.close()
        self._process.kill()
        self._process.wait()


class _Host:
    """All that one process knows of its fork servers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.server: ForkServer | None = None
        self.failures = 0  # in a row
        self.known: dict[str, dict[str, Any]] = {
            "modules": {},
            "rules": {},
        }  # empty: learn no more


_host = _Host()


def possible() -> bool:
    """Whether this process can have warm workers: on Linux, unless MATCHOPT_COLD is set or its servers keep failing."""
    able = sys.platform == "linux" and hasattr(os, "pidfd_open")
    return able and os.environ.get(COLD, "0") in ("", "0") and _host.failures < MOST_FAILURES


def begin(*modules: str) -> None:
    """Start the fork server if there may and should be one, so that it starts up while this process prepares.

    Parameters
    ----------
    modules : what the solve is likely to need; the server imports it meanwhile.
    """
    if possible():
        with _host.lock, contextlib.suppress(OSError):
            _running(*modules)


def fork_worker(fds: tuple[int, int, int], threads: int) -> WarmWorker:
    """Fork a worker; the descriptors are those of `ColdWorker`.

    Raises
    ------
    Unavailable
        when there is no server, or it fails to fork.
    """
    line: socket.socket | None = None
    try:
        with _host.lock:
            line = _running().ask(fds, threads, _host.known)
        worker = WarmWorker(line)
        _host.failures = 0
        return worker
    except (OSError, Unavailable) as cause:
        if line is not None:
            line.close()
        if not isinstance(cause, StillbornWorker):
            _give_up()
        raise Unavailable(str(cause)) from cause
    except BaseException:
        if line is not None:
            line.close()
        raise


def hold(facts: Mapping[str, Any]) -> None:
    """Note what a worker has imported and reduced, for the server to hold from the next solve on."""
    with _host.lock:
        for what, values in _host.known.items():
            found = facts.get(what)
            if isinstance(found, list):
                values.update((json.dumps(value), value) for value in found)


def end() -> None:
    """End this process's fork server, if it has one; the next solve would start another."""
    with _host.lock:
        if _host.server is not None:
            _host.server.end()
            _host.server = None


def _running(*modules: str) -> ForkServer:
    if _host.server is None or not _host.server.serves():
        if _host.server is not None:
            _host.server.end()
        _host.server = ForkServer(*modules)
    return _host.server


def _give_up() -> None:
    """End a server that has failed; something of what it was to hold may have been the reason."""
    with _host.lock:
        if _host.server is not None:
            _host.server.end()
            _host.server = None
        _host.failures += 1
        _host.known = {}


def _read_at_import() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}


def _word(line: socket.socket) -> tuple[bytes, int, int]:
    """One word from the server or worker at the other end, which is written and so read as a whole."""
    word = line.recv(WORD.size)
    if len(word) < WORD.size:
        raise Unavailable("the fork server has ended")
    kind, first, second = WORD.unpack(word)
    return kind, first, second


def _forget() -> None:
    """In a forked child: a lock that another thread of its parent held stays locked, and the server is the parent's."""
    global _host
    if _host.server is not None:
        _host.server.forget()
    _host = _Host()


os.register_at_fork(after_in_child=_forget)
atexit.register(end)
