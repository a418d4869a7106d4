"""Solvers of layers whose neurons share lines, such as one crossbar: two assignments that depend on each other."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_crossbar.alternation import Alternation as Alternation
from matchopt_crossbar.annealing import Annealing as Annealing
from matchopt_crossbar.buses import Buses as Buses
from matchopt_crossbar.chain import ChainAlternation as ChainAlternation
from matchopt_crossbar.chain import ChainPerturbation as ChainPerturbation
from matchopt_crossbar.exact import Exact as Exact
from matchopt_crossbar.perturbation import Perturbation as Perturbation
from matchopt_crossbar.redundant import Redundant as Redundant
from matchopt_crossbar.tandem import Tandem as Tandem


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register the solvers of crossbars, of several buses and of chains."""
    chains = ChainAlternation, ChainPerturbation
    for solver in (Alternation, Annealing, Perturbation, Exact, Buses, Redundant, Tandem, *chains):
        register(solver)
