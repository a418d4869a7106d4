"""Baselines: random feasible assignments, and random wirings under every rule of a layer."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_random.assignment import RandomAssignment as RandomAssignment
from matchopt_random.wiring import RandomWiring as RandomWiring


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register random and random-wiring."""
    register(RandomAssignment)
    register(RandomWiring)
