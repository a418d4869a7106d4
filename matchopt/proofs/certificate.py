"""What `certify` returns."""

from dataclasses import dataclass

PROVED_WITHIN = 1e-6  # of the objective: a bound that is further below, for its rounding errors, proves no optimum
TINY = 1e-12  # the same where the objective is next to nothing


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
    """

    bound: float | int
    optimal: bool
    improvable: bool
    allowance: float
    method: str
