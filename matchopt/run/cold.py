"""A worker in a fresh interpreter: on any POSIX system, and where nothing may be held from one solve to the next."""

import contextlib
import os
import subprocess
import sys

from matchopt.errors import MatchoptError

try:
    import fcntl
except ImportError:
    raise MatchoptError("solvers run on POSIX systems only; on Windows use its subsystem for Linux (WSL)") from None

# The host's search path goes along, so that the worker finds what the host finds, and nothing in the current folder.
_START = (
    "import sys; sys.path[:] = sys.argv[1].split(sys.argv[2]); "
    "from matchopt.run.{} import main; main({}, {}, *sys.argv[3:])"
)
_FIXED = {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}  # the same order of sets in every run; prints at once
_NESTING = "MATCHOPT_NESTING"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: the host's, and how many threads libraries may start."""
    nested = {_NESTING: str(nesting() + 1)}
    return {**os.environ, **_FIXED, **nested, **dict.fromkeys(_THREAD_VARIABLES, str(threads))}


def nesting() -> int:
    """How many solvers this process runs within."""
    text = os.environ.get(_NESTING, "")
    return int(text) if text.isdecimal() else 0


def command(module: str, fd: int, parent: int, path: str, *more: str) -> list[str]:
    """The command of an interpreter that runs `module.main(fd, parent, *more)`; see `search_path`."""
    return [sys.executable, "-P", "-c", _START.format(module, fd, parent), path, os.pathsep, *more]


def search_path() -> str:
    """This process's search path in one text."""
    return os.pathsep.join(map(str, sys.path))


def start_python(module: str, fd: int, threads: int, stdin: int, log: int, *more: str) -> "subprocess.Popen[bytes]":
    """Start `module.main(fd, number of this process, *more)` in an interpreter and a session of its own."""
    free = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)  # a host may have closed its standard streams
    try:
        return subprocess.Popen(
            command(module, free, os.getpid(), search_path(), *more),
            pass_fds=(free,),
            start_new_session=True,
            env=environment(threads),
            stdin=stdin,
            stdout=log,
            stderr=log,
        )
    finally:
        os.close(free)


def exit_code(pid: int) -> int | None:
    """The exit code of a child, minus the signal's number if one killed it, None if it runs; it stays a zombie."""
    try:
        state = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # a host that ignores SIGCHLD has it taken away
        return 0
    if state is None:
        return None
    return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status


class ColdWorker:
    """A worker that is a child of this process, where there is no fork server.

    Parameters
    ----------
    task, messages, log : descriptors of the pipes it reads its task from, sends messages into, and prints into.
    threads : most threads.
    """

    shared = 0  # bytes in memory that it did not take itself
    lost = False

    def __init__(self, task: int, messages: int, log: int, threads: int) -> None:
        self._process = start_python("worker", messages, threads, task, log)
        self.pid = self._process.pid
        self.exit_fd: int | None = None  # readable once it has ended, where the system has such a thing
        with contextlib.suppress(AttributeError, OSError):
            self.exit_fd = os.pidfd_open(self.pid)

    def exit_code(self) -> int | None:
        """The exit code once it has ended, minus the signal's number if one killed it; it stays a zombie."""
        return exit_code(self.pid)

    def release(self) -> None:
        """Wait for its end, and give its number back."""
        self._process.wait()
        if self.exit_fd is not None:
            os.close(self.exit_fd)
