"""Greedy heuristics: strongest target neuron first, and cheapest pair first."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_greedy.neurons import Greedy as Greedy
from matchopt_greedy.pairs import GreedyPairs as GreedyPairs


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register greedy and greedy-pairs."""
    register(Greedy)
    register(GreedyPairs)
