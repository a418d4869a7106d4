"""Where tasks are performed: in processes of this machine, or on a Dask cluster."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from matchopt.errors import InvalidOption, MissingExtra, NoCluster
from matchopt.run.reaper import die_with

PATIENCE = 10.0  # seconds that a scheduler has to answer, and a process to end
WORKERLESS = 60.0  # seconds that a cluster may be without any worker, as while one is started again


class Left(SystemExit):
    """The grid ended while a task was under way."""


class LocalProcesses(Executor):
    """Processes of this machine, in a `with` block; none outlives it.

    Parameters
    ----------
    jobs : how many, >= 1.

    Raises
    ------
    InvalidOption
        for fewer.
    """

    def __init__(self, jobs: int) -> None:
        if jobs < 1:
            raise InvalidOption(f"jobs must be >= 1, found {jobs}")
        self.width = jobs  # tasks at a time: what is under way when a process dies is all that is in doubt
        self._pool = self._started()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._end(kind is not None)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See `Executor.submit`."""
        return self._pool.submit(fn, *args, **kwargs)

    def renew(self) -> None:
        """Start anew after a process has died."""
        self._end(True)
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self.width, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
        )

    def _end(self, at_once: bool) -> None:
        processes = list((self._pool._processes or {}).values())  # noqa: SLF001  # there is no public way to them
        last_resort = threading.Timer(PATIENCE, _kill, (processes,))
        if at_once:  # a training leaves its checkpoint, a solver's own process goes with its host
            last_resort.start()
            for process in processes:
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        last_resort.cancel()


class ClusterLines(Executor):
    """The executor of a Dask client, which notices that nobody is there any more.

    Parameters
    ----------
    client : a connected `distributed.Client`.
    address : of its scheduler, for people.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._executor = client.get_executor(pure=False)
        self._seen = time.monotonic()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """See `Executor.submit`."""
        future: Future[Any] = self._executor.submit(fn, *args, **kwargs)
        return future

    def check(self) -> None:
        """Ask the scheduler for its workers.

        Raises
        ------
        NoCluster
            when it does not answer, or has had none for a minute: what is under way would never end.
        """
        try:
            if self._client.nthreads():
                self._seen = time.monotonic()
        except Exception as cause:  # of many kinds: the client is closed, the connection lost, time is up
            raise self.lost() from cause
        if time.monotonic() - self._seen > WORKERLESS:
            raise NoCluster(
                f"the Dask scheduler at {self._address} has lost all its workers; what is finished is kept: start "
                f"others (dask worker {self._address}) and give the same command again"
            )

    def lost(self) -> NoCluster:
        """What to raise when the scheduler is gone."""
        return NoCluster(
            f"the Dask scheduler at {self._address} is gone; what is finished is kept: start it again and give the "
            "same command again"
        )


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The executor of a Dask cluster.

    A worker that dies costs nothing: the scheduler gives its tasks to others, a few times.

    Parameters
    ----------
    address : of the scheduler, such as "tcp://127.0.0.1:8786".

    Raises
    ------
    MissingExtra
        without distributed.
    NoCluster
        when no scheduler answers there, or it has no worker; inside a grid also when that happens later.
    """
    try:
        from distributed import Client as Connect
    except ModuleNotFoundError:
        raise MissingExtra("running on a cluster", "distributed", "cluster") from None
    try:
        connect: Any = Connect  # distributed is not typed
        client = connect(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as cause:
        reason = " ".join(str(cause).split())
        raise NoCluster(f"no Dask scheduler answers at {address}: {reason}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise NoCluster(f"the Dask scheduler at {address} has no worker; start: dask worker {address}") from None
        yield ClusterLines(client, address)


def _kill(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.kill()


def _begin(parent: int) -> None:
    """A process of the pool goes with its parent, however that ends.

    Ctrl-C is the parent's to answer, who then sends SIGTERM: a task under way ends as by Ctrl-C.
    """
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Left(0)
