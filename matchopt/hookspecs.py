"""Every hook of matchopt; read them all in a minute."""

from collections.abc import Callable

import pluggy

from matchopt.solver import Solver
from matchopt.trainer_contract import TrainerContract

hookspec = pluggy.HookspecMarker("matchopt")
hookimpl = pluggy.HookimplMarker("matchopt")


@hookspec
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Call `register(cls)` for every `Solver` class you bring."""


@hookspec
def register_trainers(register: Callable[[type[TrainerContract]], None]) -> None:
    """Call `register(cls)` for every `matchopt.network.Trainer` class you bring."""
