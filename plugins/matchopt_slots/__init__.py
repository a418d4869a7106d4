"""Learned selection: training which fixed weight of its hardware neuron listens to which input."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_slots.slots import Slots as Slots


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register slots."""
    register(Slots)
