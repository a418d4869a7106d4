"""Programs in whole variables through OR-Tools CP-SAT."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_cpsat.cpsat import CpSat as CpSat


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register cpsat."""
    register(CpSat)
