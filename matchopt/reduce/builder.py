"""Collects the variables and rows of a program one by one."""

from collections.abc import Mapping

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import ProgramInstance, Provenance

MAX_ENTRIES = 2_500_000  # coefficients; beyond, building takes seconds and half a GB, and no engine closes the program


def too_large() -> Refused:
    """What is said of a program beyond that."""
    return Refused(f"the program would have more than {MAX_ENTRIES} coefficients; the instance is too large for it")


class ProgramBuilder:
    """A growing program whose variables are all binary.

    Raises
    ------
    Refused
        from `row` when the program grows beyond what anyone could solve.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        self._cost: list[float] = []
        self._starts = [0]
        self._indices: list[int] = []
        self._coefficients: list[float] = []
        self._low: list[float] = []
        self._high: list[float] = []

    @property
    def n_variables(self) -> int:
        """Number of variables so far."""
        return len(self._cost)

    def variable(self, cost: float = 0.0) -> int:
        """Add a binary variable and return its number."""
        self._cost.append(cost)
        return len(self._cost) - 1

    def add_cost(self, variable: int, cost: float) -> None:
        """Raise the objective coefficient of `variable`."""
        self._cost[variable] += cost

    def row(self, terms: Mapping[int, float], low: float = -np.inf, high: float = np.inf) -> None:
        """Add the row low <= sum of coefficient * variable <= high."""
        for variable in sorted(terms):
            self._indices.append(variable)
            self._coefficients.append(terms[variable])
        if len(self._indices) > MAX_ENTRIES:
            raise too_large()
        self._starts.append(len(self._indices))
        self._low.append(low)
        self._high.append(high)

    def product(self, first: int, second: int, cost: float) -> int:
        """Add a variable that equals first * second in every feasible point, at `cost`."""
        both = self.variable(cost)
        self.row({both: 1.0, first: -1.0}, high=0.0)
        self.row({both: 1.0, second: -1.0}, high=0.0)
        self.row({both: 1.0, first: -1.0, second: -1.0}, low=-1.0)
        return both

    def program(self, provenance: Provenance) -> ProgramInstance:
        """The finished program."""
        n = self.n_variables
        return ProgramInstance(
            np.array(self._cost, dtype=np.float64),
            np.array(self._starts),
            np.array(self._indices, dtype=np.int64),
            np.array(self._coefficients, dtype=np.float64),
            np.array(self._low, dtype=np.float64),
            np.array(self._high, dtype=np.float64),
            np.zeros(n),
            np.ones(n),
            np.ones(n, bool),
            self.offset,
            provenance=provenance,
        )
