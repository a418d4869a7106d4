"""The one entrance of the checker: from an instance and a solution to a report."""

from collections.abc import Callable

from matchopt.check.assignment import assignment_objective, assignment_violations
from matchopt.check.layer import layer_violations
from matchopt.check.network import network_objective, network_violations
from matchopt.check.objective import layer_objective
from matchopt.check.program import program_objective, program_violations
from matchopt.check.report import Report, Violation
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    ProgramPoint,
    Solution,
)


def check(instance: Instance, solution: Solution) -> Report:
    """Check every rule of `instance` and compute the objective, both from the definition.

    A solution of another kind or shape is infeasible, not an error: the report says what does not fit.

    Parameters
    ----------
    instance : any of the four kinds.
    solution : the solution to judge.

    Returns
    -------
    Report
        all broken rules, or the objective when there are none.
    """
    match instance, solution:
        case LayerInstance(), LayerMapping():
            found = layer_violations(instance, solution)
            return _report(found, lambda: layer_objective(instance, solution))
        case NetworkInstance(), NetworkMapping():
            found = network_violations(instance, solution)
            return _report(found, lambda: network_objective(instance, solution))
        case AssignmentInstance(), Assignment():
            found = assignment_violations(instance, solution)
            return _report(found, lambda: assignment_objective(instance, solution))
        case ProgramInstance(), ProgramPoint():
            found = program_violations(instance, solution)
            return _report(found, lambda: program_objective(instance, solution))
    given = solution.kind if isinstance(solution, Solution) else type(solution).__name__
    message = f"the solution must be of kind {instance.kind} like its instance, found {given}"
    return Report(None, (Violation("wrong-kind", message),))


def _report(found: list[Violation], objective: Callable[[], float | int]) -> Report:
    return Report(None, tuple(found)) if found else Report(objective())
