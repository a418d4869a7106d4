"""Every hook of matchopt; read them all in a minute."""

from collections.abc import Callable

import pluggy

from matchopt.solver import Solver

hookspec = pluggy.HookspecMarker("matchopt")
hookimpl = pluggy.HookimplMarker("matchopt")


@hookspec
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Call `register(cls)` for every `Solver` class you bring."""
