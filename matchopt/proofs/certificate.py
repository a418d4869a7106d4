"""What `certify` returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Certificate:
    """What could be proved about one feasible solution, without help from the solver that made it.

    Parameters
    ----------
    bound : lower bound on the objective of every solution of the instance, rounding included; -inf for none; an exact
        int where an assignment's costs are integers.
    optimal : the solution is optimal to within `allowance`, and that is proved.
    improvable : a solution better by more than `allowance` was found and its cost recomputed, so any claim that this
        one is optimal is false.
    allowance : the most by which the objective of an `optimal` solution can exceed `bound`; 0 on integers.
    method : how the bound was obtained, for tables.
    """

    bound: float | int
    optimal: bool
    improvable: bool
    allowance: float
    method: str
