"""A worker process seen from the host: started, fed, listened to, and surely ended."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from types import TracebackType

from matchopt.parts import Parts
from matchopt.run.messages import BadMessage, Frames, encode, write_all
from matchopt.run.watchdog import Watchdog

# The host's search path goes along, so that the worker finds what the host finds, and nothing in the current folder.
_START = "import sys; sys.path[:] = sys.argv[3].split(sys.argv[4]); from matchopt.run.worker import main; main({}, {})"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)
_TICK = 0.1  # seconds after which the host looks round even if nothing comes in
_BATCH = 2**23  # most bytes that are read before what they say is acted on
_PIPE_BYTES = 2**20
_LOG_BYTES = 2**16
_F_SETPIPE_SZ = 1031


class Stopped(Exception):
    """The caller asked to stop."""


class WorkerProcess:
    """A worker in a session of its own; use it as a context, whose end leaves no process behind.

    Parameters
    ----------
    threads : most threads; the libraries that count them read it when they are imported.
    memory : most bytes the worker and its descendants may have in memory.
    """

    def __init__(self, threads: int, memory: int) -> None:
        self.fault = ""  # what was wrong with the bytes it sent
        self.exit_code: int | None = None  # of a worker that ended by itself; negative: minus the signal's number
        self._log = bytearray()
        self._read_fd, write_fd = os.pipe()
        self._log_fd, log_fd = os.pipe()
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            fcntl.fcntl(self._read_fd, _F_SETPIPE_SZ, _PIPE_BYTES)
        start = _START.format(write_fd, os.getpid())
        path = os.pathsep.join(sys.path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", start, "matchopt", "worker", path, os.pathsep],
                stdin=subprocess.PIPE,
                stdout=log_fd,
                stderr=log_fd,
                pass_fds=(write_fd,),
                start_new_session=True,
                env=_environment(threads),
            )
        except BaseException:
            os.close(self._read_fd)
            os.close(self._log_fd)
            raise
        finally:
            os.close(write_fd)
            os.close(log_fd)
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._log_fd, False)
        self.watchdog = Watchdog(self._process.pid, memory)

    def __enter__(self) -> "WorkerProcess":
        self.watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def log(self) -> str:
        """The end of what the worker and its solver printed."""
        return self._log.decode(errors="replace")

    def send(self, message: Parts) -> None:
        """Send the task; a worker that is gone already shows in `batches`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            write_all(self._process.stdin.fileno(), encode(message))

    def batches(self, cancel: threading.Event | None = None) -> Generator[list[Parts], None, None]:
        """What the worker sends, as it comes in, until it has ended or sent bytes that are no message.

        Raises
        ------
        Stopped
            once `cancel` is set.
        """
        frames = Frames()
        with selectors.DefaultSelector() as selector:
            selector.register(self._read_fd, selectors.EVENT_READ)
            selector.register(self._log_fd, selectors.EVENT_READ)
            with _exit_descriptor(self._process.pid) as exit_fd:
                if exit_fd is not None:
                    selector.register(exit_fd, selectors.EVENT_READ)
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
        if self._process.returncode is not None:
            return
        self._is_gone()
        self.watchdog.find_family()
        self.watchdog.kill()
        self.watchdog.stop()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._keep_log(_drain(self._log_fd)[0])
        os.close(self._read_fd)
        os.close(self._log_fd)

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
            state = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if state is not None:
                self.exit_code = state.si_status if state.si_code == os.CLD_EXITED else -state.si_status
        return self.exit_code is not None


@contextlib.contextmanager
def _exit_descriptor(pid: int) -> Iterator[int | None]:
    """A file descriptor that becomes readable when the process ends, where the system has such a thing."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


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


def _environment(threads: int) -> dict[str, str]:
    fixed = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}  # the same order of sets in every run; prints at once
    return {**os.environ, **fixed, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}


def signal_name(number: int) -> str:
    """The name of a signal, such as SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
