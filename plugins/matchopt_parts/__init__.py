"""Solvers of layers whose rows have several hardware neurons: parts whose outputs add, and copies that are averaged."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_parts.copies import CopiesAlternate as CopiesAlternate
from matchopt_parts.splitting import SplitAlternate as SplitAlternate
from matchopt_parts.tiles import TilesCover as TilesCover


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register copies-alternate, split-alternate and tiles-cover."""
    for solver in (CopiesAlternate, SplitAlternate, TilesCover):
        register(solver)
