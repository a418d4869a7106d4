"""The one entrance of the proofs: from an instance and a solution to a certificate."""

from matchopt.certify.assignment import certify_assignment
from matchopt.certify.certificate import Certificate
from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    Solution,
)


def certify(instance: Instance, solution: Solution, *, seconds: float = 10.0) -> Certificate:
    """Prove a lower bound on the objective of `instance` and, if it can be done, that `solution` is optimal.

    Parameters
    ----------
    instance : an assignment, a separable layer, or a network of separable layers.
    solution : a feasible solution of it; `matchopt.check` must have passed.
    seconds : time to spend; when it is up the bound reached so far is returned.

    Returns
    -------
    Certificate
        exact on integers; on floats the bound is rounded down and `optimal` means to within `allowance`.

    Raises
    ------
    Refused
        when there is no independent proof for this kind of instance, or the solution is visibly infeasible.
    """
    match instance, solution:
        case AssignmentInstance(), Assignment():
            return certify_assignment(instance, solution, seconds)
    if solution.kind != instance.kind:
        raise Refused(f"the solution is of kind {solution.kind}, its instance of kind {instance.kind}")
    raise Refused(f"no independent proof of a bound on {instance.kind} instances is known here")
