"""What enumeration finds out about a tiny instance."""

from dataclasses import dataclass

from matchopt.instances import Solution


@dataclass(frozen=True)
class Optimum:
    """The optimum of an instance, or the knowledge that there is none.

    Parameters
    ----------
    value : least objective, an int for assignments with integer costs; None where the instance is infeasible.
    solution : a solution that attains it; None where the instance is infeasible.
    """

    value: float | int | None
    solution: Solution | None

    @property
    def feasible(self) -> bool:
        """Whether there is a solution at all."""
        return self.solution is not None


INFEASIBLE = Optimum(None, None)
