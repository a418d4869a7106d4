"""For all tests: the same examples on every machine, and the signals of a program in the foreground."""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
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

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# A job in the background ignores Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def images_read_once() -> Iterator[None]:
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


@pytest.fixture(scope="module")
def shared_processes() -> Iterator[None]:
    """The studies of a module run in the processes of those before."""
    from kept import kept_processes

    with kept_processes():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage can double the time of a test; it follows quick ones that reach lines which others do not.

    Slow tests repeat with more numbers what quick ones call. `untraced.txt`, which `benches/untraced.py` writes, lists
    quick tests that none of, or only some cases of which, are needed; what it does not know is followed.
    """
    file = Path(__file__).with_name("untraced.txt")
    listed = dict(line.partition("=")[::2] for line in file.read_text().split()) if file.exists() else {}
    seen: Counter[str] = Counter()
    for item in items:
        test = item.nodeid.partition("[")[0]
        needless = test in listed and str(seen[test]) not in listed[test].split(",")
        if needless or item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.no_cover)
        seen[test] += 1


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """The calls of each function, of which the first are checked, are counted for each test."""
    typecheck.begin_test()
    with followed(item):
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Within what pytest itself does around a test, which coverage would slow down too."""
    with followed(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After a test that coverage does not follow, pytest-cov has it go on."""
    coverage = _coverage(item.config)
    if coverage is not None:
        coverage.pause()


@contextmanager
def followed(item: pytest.Item) -> Iterator[None]:
    """Coverage follows a test with the making of its fixtures, or not at all."""
    coverage = _coverage(item.config)
    if coverage is None or item.get_closest_marker("no_cover") is not None:
        yield
        return
    coverage.resume()
    try:
        yield
    finally:
        coverage.pause()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collect garbage as usual from here on, but leave alone what will live as long as the process."""
    coverage = _coverage(session.config)
    if coverage is not None:
        import_all()  # a test that coverage does not follow may be the first that needs a module
        coverage.pause()
        while other := type(coverage.cov).current():  # a worker of pytest-xdist begins as if it were alone
            other.stop()
    gc.freeze()
    gc.enable()


def import_all() -> None:
    """Import all modules of the package and of the plugins that ship."""
    root = Path(__file__).resolve().parents[1]
    for folder in (root / "matchopt", *sorted((root / "plugins").glob("matchopt_*"))):
        for module in walk_packages([str(folder)], f"{folder.name}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):  # of an extra
                    import_module(module.name)


def pytest_configure() -> None:
    """Coverage reports twice, in a number and in a table, for which each module need be parsed only once."""
    control = sys.modules.get("coverage.control")
    if control is not None:
        control.PythonFileReporter = cache(control.PythonFileReporter)  # type: ignore[attr-defined]


def _coverage(config: pytest.Config) -> Any:
    """What measures coverage, which can be paused; None where nothing does."""
    return getattr(config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
