"""What `certify` returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

PROVED_WITHIN = 1e-6  # of the objective: a bound that is further below, for its rounding errors, proves no optimum
TINY = 1e-12  # the same where the objective is next to nothing


@dataclass(frozen=True, eq=False)
class Duals:
    """Dual potentials of one assignment of rows to columns, or to hardware neurons: what its bound rests upon.

    Parameters
    ----------
    rows, columns : u and v <= 0, with u + v at most what any row costs on any column, to rounding.
    price : of a tunable weight, or of a write, that the costs hold besides; 0 where nothing has one.
    """

    rows: Shaped[np.ndarray, " rows"]
    columns: Shaped[np.ndarray, " cols"]
    price: float = 0.0

    def split(self, sizes: Sequence[int], places: Sequence[np.ndarray]) -> "tuple[Duals, ...]":
        """The potentials of several groups of rows in a line, each with its own choice of the columns."""
        rows = np.split(self.rows, np.cumsum(sizes)[:-1])
        return tuple(Duals(u, self.columns[at], self.price) for u, at in zip(rows, places, strict=True))


@dataclass(frozen=True)
class Certificate:
    """What could be proved about one feasible solution, without help from the solver that made it.

    Parameters
    ----------
    bound : lower bound on the objective of every solution of the instance, rounding included; -inf for none; an exact
        int where an assignment's costs are integers.
    optimal : the solution is optimal to within `allowance`, and to within `PROVED_WITHIN` of its objective (plus
        `TINY`), and that is proved.
    improvable : a solution better by more than `allowance` was found and its cost recomputed, so any claim that this
        one is optimal is false.
    allowance : the most by which the objective of an `optimal` solution can exceed `bound`; 0 on integers.
    method : how the bound was obtained, for tables.
    duals : potentials that the bound follows from, layer by layer; empty where it rests upon something else.
    """

    bound: float | int
    optimal: bool
    improvable: bool
    allowance: float
    method: str
    duals: tuple[Duals, ...] = field(default=(), compare=False, repr=False)
