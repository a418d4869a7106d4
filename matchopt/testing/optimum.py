"""What enumeration finds out about a tiny instance."""

from dataclasses import dataclass

from matchopt.instances import Solution


@dataclass(frozen=True)
class Optimum:
    """The optimum of an instance, the best that enumeration finds, or the knowledge that there is no solution.

    Parameters
    ----------
    value : least objective, an int for assignments with integer costs; None where the instance is infeasible.
    solution : a solution that attains it; None where the instance is infeasible.
    proven : whether nothing can be better. False where digital biases, fully tunable weights or what is written into
        cells may take any value and only the instance's own, or the nearest, were tried: then the least objective is at
        most `value`.
    """

    value: float | int | None
    solution: Solution | None
    proven: bool = True

    @property
    def feasible(self) -> bool:
        """Whether there is a solution at all."""
        return self.solution is not None


INFEASIBLE = Optimum(None, None)
