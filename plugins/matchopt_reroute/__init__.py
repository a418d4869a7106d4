"""Solvers of output errors: the inputs of a row are chosen so that its signal is right, not its single weights."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_reroute.reroute import Reroute as Reroute


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register reroute."""
    register(Reroute)
