"""A worker process seen from the host: started, fed, listened to, and surely ended."""

import contextlib
import fcntl
import os
import selectors
import signal
import sys
import threading
from collections.abc import Generator
from types import TracebackType

from matchopt.parts import Parts
from matchopt.run import warm
from matchopt.run.cold import ColdWorker
from matchopt.run.messages import MAX_ANSWER, MAX_ARRAYS, BadMessage, Frames, encode, write_all
from matchopt.run.warm import Unavailable, WarmWorker
from matchopt.run.watchdog import Watchdog

_TICK = 0.1  # seconds after which the host looks round even if nothing comes in
_BATCH = 2**23  # most bytes that are read before what they say is acted on
_PIPE_BYTES = 2**20
_LOG_BYTES = 2**16


class Stopped(Exception):
    """The caller asked to stop."""


class WorkerProcess:
    """A worker in a session of its own; use it as a context, whose end leaves no process behind.

    Parameters
    ----------
    threads : most threads.
    memory : most bytes the worker and its descendants may have in memory.
    cold : whether it must be a fresh interpreter; else it is one only where there is no fork server.
    most : bytes of arrays that an answer may have.
    server : starts it; default the fork server of this process.
    """

    def __init__(
        self,
        threads: int,
        memory: int,
        cold: bool = False,
        most: int = MAX_ARRAYS,
        server: warm.ForkServer | None = None,
    ) -> None:
        self._most = most
        self.fault = ""  # what was wrong with the bytes it sent
        self.exit_code: int | None = None  # of a worker that ended by itself; negative: minus the signal's number
        self._log = bytearray()
        self._ended = False
        task_fd, self._task_fd = os.pipe()
        self._read_fd, write_fd = os.pipe()
        self._log_fd, log_fd = os.pipe()
        theirs, self._ours = (task_fd, write_fd, log_fd), (self._task_fd, self._read_fd, self._log_fd)
        try:
            _widen(self._read_fd)
            os.set_blocking(self._read_fd, False)
            os.set_blocking(self._log_fd, False)
            self._child = _start(theirs, threads, cold, server or warm.server)
        except BaseException:
            _close(self._ours)
            raise
        finally:
            _close(theirs)
        self.watchdog = Watchdog(self._child.pid, memory, self._child.shared)

    def __enter__(self) -> "WorkerProcess":
        self.watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def lost(self) -> bool:
        """Whether it died with its fork server, through no fault of its own."""
        return self._child.lost

    @property
    def log(self) -> str:
        """The end of what the worker and its solver printed."""
        return self._log.decode(errors="replace")

    def send(self, message: Parts) -> None:
        """Send the task; a worker that is gone already shows in `batches`."""
        with contextlib.suppress(BrokenPipeError):
            write_all(self._task_fd, encode(message))

    def batches(self, cancel: threading.Event | None = None) -> Generator[list[Parts], None, None]:
        """What the worker sends, as it comes in, until it has ended or sent bytes that are no message.

        Raises
        ------
        Stopped
            once `cancel` is set.
        """
        frames = Frames(self._most, MAX_ANSWER)
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            selector.register(self._log_fd, selectors.EVENT_READ)
            if self._child.exit_fd is not None:
                selector.register(self._child.exit_fd, selectors.EVENT_READ)
            open_fds = {self._read_fd, self._log_fd}
            while not self.fault:
                selector.select(_TICK)
                if cancel is not None and cancel.is_set():
                    raise Stopped
                gone = self._is_gone()  # asked before reading: what it sent before its end is read below
                for fd in list(open_fds):
                    data, at_end = _drain(fd)
                    if at_end:
                        selector.unregister(fd)
                        open_fds.remove(fd)
                    if fd == self._log_fd:
                        self._keep_log(data)
                    elif data:
                        yield self._cut(frames, data)
                if gone and not (self._read_fd in open_fds and _is_waiting(self._read_fd)):
                    return

    def end(self) -> None:
        """Kill the worker and every process it started, and take what is left of the log; may be called twice."""
        if self._ended:
            return
        self._ended = True
        self._is_gone()
        self.watchdog.find_family()
        self.watchdog.kill()
        self.watchdog.stop()
        self._child.release()
        self.watchdog.clear()
        self._keep_log(_drain(self._log_fd)[0])
        _close(self._ours)

    def _cut(self, frames: Frames, data: bytes) -> list[Parts]:
        found: list[Parts] = []
        try:
            for message in frames.feed(data):
                found.append(message)  # one by one: those before a bad one count
        except BadMessage as cause:
            self.fault = str(cause)
        return found

    def _keep_log(self, data: bytes) -> None:
        self._log += data
        del self._log[:-_LOG_BYTES]

    def _is_gone(self) -> bool:
        """Whether the worker has ended, left as a zombie so that its number stays its own."""
        if self.exit_code is None:
            self.exit_code = self._child.exit_code()
        return self.exit_code is not None


def _start(fds: tuple[int, int, int], threads: int, cold: bool, server: warm.ForkServer) -> ColdWorker | WarmWorker:
    with contextlib.suppress(Unavailable):
        return server.fork(fds, threads, cold)
    return ColdWorker(*fds, threads)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


def _widen(fd: int) -> None:
    """Let a pipe hold more, where the system can, so that a solver need not wait for its host."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _drain(fd: int) -> tuple[bytes, bool]:
    """What can be read now, at most a batch, and whether the other end is closed."""
    data = bytearray()
    with contextlib.suppress(BlockingIOError):
        while len(data) < _BATCH:
            piece = os.read(fd, 2**20)
            if not piece:
                return bytes(data), True
            data += piece
    return bytes(data), False


def _is_waiting(fd: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        return bool(selector.select(0))


def signal_name(number: int) -> str:
    """The name of a signal, such as SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
