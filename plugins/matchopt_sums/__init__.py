"""Solvers of layers whose weights may be sums of cells that listen anywhere."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_sums.search import SumSearch as SumSearch


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register sum-search."""
    register(SumSearch)
