"""Solvers of layers, and whole networks, that share a few fully tunable weights."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_budget.lagrangian import Lagrangian as Lagrangian
from matchopt_budget.lagrangian import LagrangianLayer as LagrangianLayer


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register lagrangian and lagrangian-layer."""
    for solver in (Lagrangian, LagrangianLayer):
        register(solver)
