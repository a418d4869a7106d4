"""For all tests: the same examples on every machine, and the signals of a program in the foreground."""

import gc
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any

import pytest
import typecheck
from hypothesis import settings

# Tests run side by side, and threads of a pool that wait for work burn as much of the processor as those that work.
# For the processes to come, those of pytest-xdist first of all: in this one NumPy has read them already.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

typecheck.install()
gc.disable()  # until all modules and tests are there, half a million objects that stay: see `pytest_collection_finish`

COMPUTATIONS = {"kernels", "proofs", "reduce", "solvers", "testing"}  # folders of tests

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A job in the background ignores Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def digits() -> Iterator[None]:
    """The images that ship are read once in a process, which takes a second; their arrays cannot be written to."""
    from matchopt.library import problems_folder
    from matchopt.network.data.idx import IdxFiles

    read, shipped = IdxFiles.load, problems_folder() / "mnist"
    once = cache(read)

    @wraps(read)
    def load(files: Any, folder: Path) -> Any:
        return once(files, folder) if folder == shipped else read(files, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IdxFiles, "load", load)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage can double the time of a test; it follows quick ones, of a computation the first cases and each eighth.

    They differ in numbers, not in the lines that they reach, and slow tests repeat with more numbers what quick ones
    call; of other quick tests each case may reach a refusal of its own.
    """
    seen: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        many = item.path.parent.name in COMPUTATIONS and seen[test] > 2 and seen[test] % 8
        if many or item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.no_cover)
        seen[test] += 1


def pytest_runtest_setup() -> None:
    """The calls of each function, of which the first are checked, are counted for each test."""
    typecheck.begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Coverage follows a test with its fixtures or not at all, and nothing of pytest's own work in between."""
    coverage = _coverage(item.config)
    if coverage is None:
        return (yield)
    if item.get_closest_marker("no_cover") is None:
        coverage.resume()
    try:
        return (yield)
    finally:
        coverage.pause()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collect garbage as usual from here on, but leave alone what will live as long as the process."""
    gc.freeze()
    gc.enable()
    coverage = _coverage(session.config)
    if coverage is not None:
        coverage.pause()


def _coverage(config: pytest.Config) -> Any:
    """What measures coverage, which can be paused; None where nothing does."""
    return getattr(config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
