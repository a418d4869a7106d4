"""Greedy heuristics: strongest target neuron first, and cheapest pair first; and limits on writes by their price."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_greedy.neurons import Greedy as Greedy
from matchopt_greedy.pairs import GreedyPairs as GreedyPairs
from matchopt_greedy.writes import PricedWrites as PricedWrites


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register greedy, greedy-pairs and priced-writes."""
    for solver in (Greedy, GreedyPairs, PricedWrites):
        register(solver)
