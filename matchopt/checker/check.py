"""The one entrance of the checker: from an instance and a solution to a report."""

from collections.abc import Iterator
from itertools import islice

from matchopt.checker.assignment import assignment_objective, assignment_violations
from matchopt.checker.layer import layer_violations
from matchopt.checker.network import network_objective, network_violations
from matchopt.checker.objective import layer_objective
from matchopt.checker.program import program_objective, program_violations
from matchopt.checker.report import Report, Violation
from matchopt.errors import InvalidInstance
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
from matchopt.instances.demands import understanding

# What the definitions in this folder spell out; on purpose no copy of any other list.
_LAYER = (
    "importance read-noise unusable-cells leak shared-bus several-cells drop extra-inputs gains gain-interval tunable "
    "several-neurons copies programmable-cells write-budget hard-wired"
)
_OBJECTIVES = "output-error correlated-inputs task-loss functional-error score-error"
_NETWORK = "hardware-bias adjustable-bias network-tunable one-chip chained convolutional recurrent"
_OTHERS = "sparse forbidden-pairs integer-costs rectangular whole-variables continuous-variables unbounded-variables"
UNDERSTOOD = frozenset(f"{_LAYER} {_OBJECTIVES} {_NETWORK} {_OTHERS}".split())


@understanding("the checker", UNDERSTOOD)
def check(instance: Instance, solution: Solution, most: int | None = None) -> Report:
    """Check every rule of `instance` and compute the objective, both from the definition.

    A solution of another kind or shape is infeasible, not an error: the report says what does not fit.

    Parameters
    ----------
    instance : any of the four kinds.
    solution : the solution to judge.
    most : broken rules after which no further ones are looked for; None to name all.

    Returns
    -------
    Report
        all broken rules, or the objective when there are none.

    Raises
    ------
    Refused
        when the instance has a demand that the checker does not know, which nobody may ignore.
    """
    found = tuple(islice(_violations(instance, solution), most))
    return Report(None, found) if found else Report(_objective(instance, solution))


@understanding("the checker", UNDERSTOOD)
def is_feasible(instance: Instance, solution: Solution) -> bool:
    """Whether `solution` keeps every rule of `instance`; quicker than `check`, for the objective is left out."""
    return not list(_violations(instance, solution))


def _violations(instance: Instance, solution: Solution) -> Iterator[Violation]:
    match instance, solution:
        case LayerInstance(), LayerMapping():
            return layer_violations(instance, solution)
        case NetworkInstance(), NetworkMapping():
            return network_violations(instance, solution)
        case AssignmentInstance(), Assignment():
            return assignment_violations(instance, solution)
        case ProgramInstance(), ProgramPoint():
            return program_violations(instance, solution)
    if not isinstance(instance, Instance):
        raise InvalidInstance(f"an instance is needed to check a solution against, found {type(instance).__name__}")
    given = solution.kind if isinstance(solution, Solution) else type(solution).__name__
    message = f"the solution must be of kind {instance.kind} like its instance, found {given}"
    return iter([Violation("wrong-kind", message)])


def _objective(instance: Instance, solution: Solution) -> float | int:
    match instance, solution:
        case LayerInstance(), LayerMapping():
            return layer_objective(instance, solution)
        case NetworkInstance(), NetworkMapping():
            return network_objective(instance, solution)
        case AssignmentInstance(), Assignment():
            return assignment_objective(instance, solution)
        case ProgramInstance(), ProgramPoint():
            return program_objective(instance, solution)
    raise AssertionError("the kinds were compared before")
