"""Solvers of output errors: the inputs of a row are chosen so that its signal is right, not its single weights."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_reroute.exact import OutputExact as OutputExact
from matchopt_reroute.reroute import Reroute as Reroute
from matchopt_reroute.search import OutputSearch as OutputSearch


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register output-search, output-exact and reroute."""
    for solver in (OutputSearch, OutputExact, Reroute):
        register(solver)
