"""The fork server: a process that holds imports, and from which a worker for each solve is forked.

It is started by its host, listens on one socket, has one thread, and runs no plugin: what plugins import (numpy, numba,
torch ..) it imports too, once a worker has needed it, and matchopt's own kernels it loads from the disk. It ends when
its host does or closes the socket, and its workers end with it.

A request is a header, five file descriptors, and JSON: what is to be `held` from now on (names of modules, and rules
as JSON whose reductions are loaded), whether the worker is a `cold` one, a fresh interpreter, and its surroundings.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from matchopt.instances import Rules
from matchopt.run import worker
from matchopt.run.cold import command, exit_code
from matchopt.run.descent import warm_up
from matchopt.run.reaper import adopt_orphans, end_orphans
from matchopt.run.warm import ENDED, HEADER, HELD, HELLO, WORD

DESCRIPTORS = 5  # of a request: line of words, task, messages, log, working folder


def main(fd: int, host: int, *held: str) -> None:
    """Serve on socket `fd` till its host closes it, holding something from the start; in a worker, run its task."""
    del host  # its end closes the socket
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a host may ignore it, and then nobody is told of a child's end
    adopt_orphans()
    gc.disable()  # looking for garbage would make imports slower, and pages that workers share their own
    _hold(held)
    server = os.getpid()
    messages = _Server(fd).serve()
    gc.enable()
    worker.main(messages, server)


class _Child:
    """A worker as the server sees it: its number, the line to the host, a descriptor that tells its end."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid, self.line, self.exit_fd = pid, line, os.pidfd_open(pid)
        self.ended = False

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # one that has only just been forked leads no group yet
            os.kill(self.pid, signal.SIGKILL)
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.exit_fd)
        self.line.close()  # last: the host waits for it


class _Server:
    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._selector = selectors.PollSelector()  # no object of the system's that a forked worker would share
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._children: dict[Any, _Child] = {}  # by both descriptors that are watched

    def serve(self) -> int:
        """Serve; returns in a forked worker only, with the descriptor of its messages."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._socket:
                    found = self._fork()
                    if found is not None:
                        return found
                elif key.fileobj in self._children:  # not one that was released a moment ago
                    self._look_after(self._children[key.fileobj], key.fileobj)

    def _fork(self) -> int | None:
        try:
            head, fds, _, _ = socket.recv_fds(self._socket, HEADER.size, DESCRIPTORS)
            request = json.loads(self._socket.recv(HEADER.unpack(head)[0], socket.MSG_WAITALL))
        except (OSError, ValueError, struct.error):  # the host has closed its end, maybe in mid-sentence
            self._end()
        _hold(request["held"])
        if len(os.listdir("/proc/self/task")) > 1:  # a fork would copy one thread and the locks of all
            self._end()
        gc.freeze()
        pid = os.fork()
        line = socket.socket(fileno=fds[0])
        if pid == 0:
            return self._in_child(line, fds[1:], request)
        for fd in fds[1:]:
            os.close(fd)
        child = _Child(pid, line)
        for watched in (child.line, child.exit_fd):
            self._children[watched] = child
            self._selector.register(watched, selectors.EVENT_READ)
        return None

    def _in_child(self, line: socket.socket, fds: Sequence[int], request: Mapping[str, Any]) -> int:
        """Leave the server's session, files and surroundings behind; returns the descriptor of messages."""
        os.setsid()
        parent = os.getppid()
        task, messages, log, folder = fds
        for fd, number in ((task, 0), (log, 1), (log, 2)):
            os.dup2(fd, number)
        os.fchdir(folder)
        _take_over(request)
        shared = 0 if request["cold"] else worker.bytes_of("VmRSS")  # less than the server's: no files' pages yet
        line.sendall(WORD.pack(HELLO, os.getpid(), shared))
        line.close()
        self._socket.close()
        for child in set(self._children.values()):
            child.close()
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) != messages:
                with contextlib.suppress(OSError):
                    os.close(int(name))
        if request["cold"]:
            os.set_inheritable(messages, True)
            words = command("worker", messages, parent, os.pathsep.join(request["path"]))
            os.execve(words[0], words, os.environ)
        _use_threads(request["threads"])
        return messages

    def _look_after(self, child: _Child, told: Any) -> None:
        """Tell the host of a worker's end, and let go of it once the host has: so long its number is its own."""
        if told is child.line:
            if not child.ended:  # the host gives it up
                child.kill()
            os.waitpid(child.pid, 0)
            for watched in (child.line, child.exit_fd):
                del self._children[watched]
                with contextlib.suppress(KeyError):
                    self._selector.unregister(watched)
            self._end_orphans()
            child.close()
            return
        child.ended = True
        self._selector.unregister(child.exit_fd)
        with contextlib.suppress(OSError):
            child.line.sendall(WORD.pack(ENDED, exit_code(child.pid), 0))

    def _end_orphans(self) -> None:
        """End what ended workers left: those of a worker that runs are its own."""
        end_orphans({child.pid for child in self._children.values()})

    def _end(self) -> None:
        for child in set(self._children.values()):
            child.kill()
            os.waitpid(child.pid, 0)
        self._children.clear()
        self._end_orphans()
        os._exit(0)


def _take_over(request: Mapping[str, Any]) -> None:
    """Take over what the host's children would have of it now: its environment, search path, limits and rights."""
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:] = request["path"]
    os.umask(request["umask"])
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, request["affinity"])
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, request["niceness"])
    for name, ends in request["limits"].items():
        with contextlib.suppress(OSError, ValueError):  # what was lowered to its end cannot be raised again
            resource.setrlimit(int(name), ends)


def _use_threads(threads: int) -> None:
    """Fresh random numbers, and the threads that are allowed, in libraries that are loaded already."""
    importlib.invalidate_caches()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if threads > 1:
        importlib.import_module("threadpoolctl").threadpool_limits(threads)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _hold(names: Sequence[str]) -> None:
    """Import what a worker has imported before, and load the kernels of the reductions that one has made."""
    for name in names:
        with contextlib.suppress(Exception):  # a worker says what is wrong with it
            if name.startswith("{"):
                warm_up(Rules.from_facts(json.loads(name)))
            elif name.partition(".")[0] in HELD:
                if name == "numba":
                    _set_numba_up()
                importlib.import_module(name)


def _set_numba_up() -> None:
    """Import numba, and compile a function: the first call of any sets the compiler up."""
    if "coverage" in sys.modules:  # it is measured by numba too
        importlib.import_module("numba").njit(_nothing)()
        return
    sys.modules["coverage"] = None  # type: ignore[assignment]  # numba would import it wherever it is installed
    try:
        importlib.import_module("numba").njit(_nothing)()
    finally:
        del sys.modules["coverage"]


def _nothing() -> None:
    """A function for the compiler."""
