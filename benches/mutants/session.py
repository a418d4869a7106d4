"""A pytest session that collects once, and then runs each mutant in a process forked from it.

Most faults are within a function: the child gives every function object of that name the faulty code, wherever it is
referred to. What lies outside of functions has already run; those mutants need a process of their own (`fresh`).
"""

import contextlib
import gc
import hashlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from operators import Mutant, mutated

Tests = dict[str, float]  # node id -> seconds
Outcome = tuple[str, str]  # killed, survived, timeout or uncovered; by which test
MEMORY = 6 * 2**30
INTERPRETED = ("matchopt.proofs.loops", "matchopt.proofs.crossbar_loops")


class Session:
    """The plugin that takes the place of pytest's loop.

    Parameters
    ----------
    root : folder of the repository.
    paths : modules under test, relative to it.
    then : called when everything is collected and the tests of every line are known.
    within : processor seconds of tests for each mutant, the quickest first; a test that takes longer is left out.
    """

    def __init__(self, root: Path, paths: Iterable[str], then: Callable[["Session"], None], within: float) -> None:
        self.root, self.paths, self._then, self._within = root, tuple(paths), then, within
        self.items: dict[str, Any] = {}
        self.seconds: Tests = {}
        self.tests_of: dict[str, dict[int, list[str]]] = {}

    @pytest.hookimpl
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which tests reach which line, then hand over."""
        if session.testsfailed:
            raise session.Interrupted("errors during collection")
        self.items = {item.nodeid: item for item in session.items}
        self._interpret()
        told = self.root / ".pytest_cache" / f"reached-{self._digest()}.json"
        if not told.exists():
            told.parent.mkdir(exist_ok=True)
            status = _forked(lambda: self._learn(told), 3600.0)
            if status != 0:
                raise session.Interrupted("the tests do not pass without mutants")
        self.seconds, self.tests_of = json.loads(told.read_text())
        self._then(self)
        return True

    def _interpret(self) -> None:
        """Machine code has no lines to follow and no code to exchange: functions that take it run in Python here."""
        for name in INTERPRETED[: None if self._within < float("inf") else 1]:  # a tree search may take hours in Python
            module = importlib.import_module(name)
            for called, thing in list(vars(module).items()):
                if hasattr(thing, "py_func"):
                    setattr(module, called, thing.py_func)

    def _digest(self) -> str:
        """Of the modules, and of the tests that may reach them."""
        files = {self.root / path for path in self.paths} | {Path(item.path) for item in self.items.values()}
        names = "\n".join([str(self._within), *self.items]).encode()
        return hashlib.sha256(names + b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:16]

    def _learn(self, told: Path) -> int:
        files = [str(self.root / path) for path in self.paths]
        tracer, seconds = coverage.Coverage(data_file=None, config_file=False, include=files), {}
        signal.signal(signal.SIGPROF, _too_long)
        tracer.start()
        for name in self.items:
            tracer.switch_context(name)
            began = time.process_time()
            failed = self._failing([name], self._within)
            spent = time.process_time() - began
            if failed is None:
                seconds[name] = spent
            elif spent < self._within:  # one of machine code, which is not there
                print(f"left out, as it fails without a mutant: {name}", file=sys.__stderr__)
        tracer.stop()
        data = tracer.get_data()
        tests_of = {}
        for path, file in zip(self.paths, files, strict=True):
            lines = data.contexts_by_lineno(file)
            tests_of[path] = {n: [test for test in tests if test in seconds] for n, tests in lines.items()}
        told.write_text(json.dumps([seconds, tests_of]))
        return 0

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that reach the mutant, quickest first; of one outside functions, all that enter the module."""
        lines = self.tests_of[mutant.path]
        reached = lines.get(str(mutant.line), []) if mutant.function else {t for each in lines.values() for t in each}  # type: ignore[call-overload]
        quickest = sorted(reached, key=lambda name: (self.seconds[name], name))
        spent = accumulate(self.seconds[name] for name in quickest)
        return [name for name, sum_ in zip(quickest, spent, strict=True) if sum_ <= self._within]

    def run(self, mutant: Mutant) -> Outcome:
        """What becomes of a mutant."""
        names = self.tests(mutant)
        if not names:
            return "uncovered", ""
        tree = mutated((self.root / mutant.path).read_text(), mutant.index)
        allowed = 120.0 + 40.0 * sum(self.seconds[name] for name in names)  # by the clock: of what sleeps for ever
        if not mutant.function:
            return self._fresh(mutant, names, allowed)
        code = compile(tree, str(self.root / mutant.path), "exec")
        with tempfile.TemporaryDirectory() as folder:
            told = Path(folder) / "by"
            status = _forked(lambda: self._attempt(mutant, code, names, told), allowed)
            by = told.read_text() if told.exists() else ""
        ended = {0: ("survived", ""), None: ("timeout", ""), -signal.SIGPROF: ("timeout", "")}
        return ended.get(status, ("killed", by))

    def _attempt(self, mutant: Mutant, code: CodeType, names: list[str], told: Path) -> int:
        inside = _code_of(code, mutant.function)
        changed = 0
        for function in [each for each in gc.get_objects() if isinstance(each, FunctionType)]:
            own = function.__code__
            if own.co_qualname == mutant.function and own.co_filename == code.co_filename:
                function.__code__ = inside
                changed += 1
        if not changed:
            raise LookupError(f"no function {mutant.function} of {mutant.path}")
        by = self._failing(names)
        if by is not None:
            told.write_text(by)
        return 0 if by is None else 1

    def _failing(self, names: list[str], allowed: float = float("inf")) -> str | None:
        """The first of these tests that fails."""
        following: list[str | None] = [*names[1:], None]
        for name, after in zip(names, following, strict=True):
            if self.seconds:  # of the processor; what goes on for ever is ended by the quickest test that meets it
                allowed = 3.0 + 10.0 * self.seconds[name]
            signal.setitimer(signal.ITIMER_PROF, allowed if allowed < float("inf") else 0.0)
            reports = runtestprotocol(
                self.items[name], log=False, nextitem=None if after is None else self.items[after]
            )
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            if any(report.failed for report in reports):
                return name
        return None

    def _fresh(self, mutant: Mutant, names: list[str], allowed: float) -> Outcome:
        env = {**os.environ, "MUTANT": f"{self.root / mutant.path}:{mutant.index}"}
        env["PYTHONPATH"] = str(Path(__file__).parent)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "fresh", "-p", "no:cacheprovider"]
        try:
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
                listed.write("\n".join(names))
                listed.flush()
                command.append(f"@{listed.name}")
                done = subprocess.run(
                    command, cwd=self.root, env=env, capture_output=True, text=True, timeout=30 + allowed
                )
        except subprocess.TimeoutExpired:
            return "timeout", ""
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        by = failed[0].split()[1] if failed else ""
        return ("survived", "") if done.returncode == 0 else ("killed", by)


def _too_long(*_: object) -> None:
    raise TimeoutError("longer than --within")


def _code_of(code: CodeType, name: str) -> CodeType:
    for part in name.split("."):
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == part)
    return code


def _forked(work: Callable[[], int], seconds: float) -> int | None:
    """Exit status of `work` in a child with a group of its own; None for one that had to be ended."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        status = 2
        try:
            status = work()
        except BaseException as error:  # whatever the fault does to the machinery of pytest
            print(f"{type(error).__name__}: {error}", file=sys.__stderr__)
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    status: int | None = None
    while time.monotonic() < deadline:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(code)
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return status
