"""Exact linear assignment: shortest augmenting paths, by the engine that measures fastest."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_hungarian.hungarian import Hungarian as Hungarian
from matchopt_hungarian.streamed import HungarianStreamed as HungarianStreamed


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register hungarian and hungarian-streamed."""
    for solver in (Hungarian, HungarianStreamed):
        register(solver)
