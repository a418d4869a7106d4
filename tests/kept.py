"""Processes of grids that one run of a study leaves to the next: their imports take seconds of the processor."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import pytest

from matchopt.grid.lines import LocalProcesses


@contextmanager
def kept_processes() -> Iterator[None]:
    """While this lasts, grids of as many jobs share their processes, unless something ends them at once."""
    pools: dict[int, Executor] = {}
    start, end = LocalProcesses._started, LocalProcesses._end

    def started(lines: LocalProcesses) -> Any:
        if lines.width not in pools:
            pools[lines.width] = start(lines)
        return pools[lines.width]

    def submit(lines: LocalProcesses, task: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        return lines._pool.submit(_in_folder, os.getcwd(), task, *arguments)

    def ended(lines: LocalProcesses, at_once: bool) -> None:
        if at_once:
            del pools[lines.width]
            end(lines, at_once)

    with pytest.MonkeyPatch.context() as patch:
        for name, method in (("_started", started), ("submit", submit), ("_end", ended)):
            patch.setattr(LocalProcesses, name, method)
        yield
    for pool in pools.values():
        pool.shutdown()


def _in_folder(folder: str, task: Callable[..., Any], *arguments: Any) -> Any:
    os.chdir(folder)
    return task(*arguments)
