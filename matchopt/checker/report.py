"""What `check` returns."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One broken rule.

    Parameters
    ----------
    rule : short name of the rule, such as "neuron-used-twice".
    message : one sentence that names the place, the rule and the values found.
    row : row (target neuron, row of an assignment or of a program) where it is broken; None where it is not a row's.
    layer : layer of a network; None elsewhere.
    """

    rule: str
    message: str
    row: int | None = None
    layer: int | None = None

    @classmethod
    def of_row(cls, rule: str, i: int, what: str) -> "Violation":
        """The rule broken in row `i`, by `what`."""
        return cls(rule, f"row {i}: {what}", row=i)


@dataclass(frozen=True)
class Report:
    """The checker's verdict on one solution of one instance.

    Parameters
    ----------
    objective : the objective, exact (an int) where an assignment's costs are integers; None when infeasible.
    violations : every broken rule, empty for a feasible solution.
    """

    objective: float | int | None
    violations: tuple[Violation, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether no rule is broken."""
        return not self.violations


def total(terms: Iterable[float]) -> float:
    """The correctly rounded sum; inf or nan where the terms leave the range of floats."""
    listed = list(terms)
    try:
        return math.fsum(listed)
    except (OverflowError, ValueError):
        return float(sum(listed))
