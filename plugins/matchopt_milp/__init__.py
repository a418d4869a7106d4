"""Mixed-integer linear programs through HiGHS, as scipy ships it."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_milp.milp import Milp as Milp


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register milp."""
    register(Milp)
