"""An outside program: run in a session of its own, listened to within bounds, and surely ended."""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matchopt.errors import PluginError

MOST_ANSWER = 2**26  # bytes of a solution, in a file or printed
MOST_PRINTED = 2**28  # bytes that are read and thrown away before a program is ended for them
TAIL = 2000  # bytes of what a program prints that a message quotes
TICK = 0.05  # seconds between two looks at clock and folder
PATIENCE = 0.3  # seconds between the polite signal and the final one
_CHUNK = 2**16
_LIMITED = f'ulimit -f {MOST_ANSWER // 512}; exec "$@"'  # POSIX counts blocks of 512 bytes


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Parameters
    ----------
    status : its exit status, minus the signal that ended it; None when it was ended for the clock.
    printed : its standard output, where that was wanted.
    tail : the end of what it printed, for messages.
    """

    status: int | None
    printed: bytes
    tail: str


def run_program(words: Sequence[str], folder: Path, remaining: Callable[[], float], wanted: bool) -> Outcome:
    """Run a program until it ends, or the clock does; nothing of its session is left.

    Parameters
    ----------
    words : the program and its arguments.
    folder : where it runs, and may write files of up to 64 MiB in all.
    remaining : seconds left.
    wanted : whether its standard output is kept whole.

    Raises
    ------
    PluginError
        when it cannot be started, prints or writes more than it may.
    """
    command = ["/bin/sh", "-c", _LIMITED, "sh", *words]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes) as process:  # type: ignore[call-overload]
        listener = _Listener(process, folder, wanted)
        try:
            try:
                in_time = listener.listen(remaining)
            finally:
                _end(process)
            listener.read(MOST_ANSWER)  # what is left in the pipes
        finally:
            listener.close()
    tail = bytes(listener.tail).decode("utf-8", "replace")
    return Outcome(process.returncode if in_time else None, bytes(listener.printed), " ".join(tail.split()))


class _Listener:
    """Reads what a program prints, keeping what is wanted of it and its end."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, wanted: bool) -> None:
        self.printed, self.tail, self._total = bytearray(), bytearray(), 0
        self._process, self._folder, self._wanted = process, folder, wanted
        self._selector = selectors.DefaultSelector()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    def listen(self, remaining: Callable[[], float]) -> bool:
        """Until the program ends; whether it did in time."""
        while not _ended(self._process):
            left = remaining()
            if left <= 0.0:
                return False
            self._selector.select(min(TICK, left))
            self.read(_CHUNK)
            self._check_folder()
        return True

    def read(self, most: int) -> None:
        """Take up to so many bytes from each pipe without waiting."""
        for key in list(self._selector.get_map().values()):
            taken = 0
            while taken < most:
                try:
                    data = os.read(key.fd, _CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    self._selector.unregister(key.fileobj)
                    break
                taken += len(data)
                self._keep(data, key.fileobj is self._process.stdout)

    def close(self) -> None:
        """Listen no more."""
        self._selector.close()

    def _keep(self, data: bytes, answer: bool) -> None:
        self._total += len(data)
        self.tail = (self.tail + data)[-TAIL:]
        if answer and self._wanted:
            self.printed += data
        if len(self.printed) > MOST_ANSWER or self._total > MOST_PRINTED:
            raise PluginError(f"it printed more than {(MOST_ANSWER if self._wanted else MOST_PRINTED) >> 20} MiB, "
                              "and was ended")  # fmt: skip

    def _check_folder(self) -> None:
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries]
            if sum(sizes) > 2 * MOST_ANSWER:
                raise PluginError(f"it wrote more than {MOST_ANSWER >> 20} MiB, and was ended")


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether it has; where the system can tell, it is left to be waited for, so that its number is nobody else's."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the whole session, whether or not its first process has ended."""
    signals = (signal.SIGKILL,) if _ended(process) else (signal.SIGTERM, signal.SIGKILL)
    for number in signals:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        if number == signal.SIGTERM:
            _wait(process)
    process.wait()


def _wait(process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE
    while not _ended(process) and time.monotonic() < until:
        time.sleep(0.01)
