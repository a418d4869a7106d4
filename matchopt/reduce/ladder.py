"""Finding the way down the ladder."""

from collections.abc import Mapping

from matchopt.errors import Refused
from matchopt.instances import AssignmentInstance, Instance, LayerInstance, NetworkInstance, ProgramInstance
from matchopt.reduce.layer_program import UNDERSTOOD as IN_BINARIES
from matchopt.reduce.layer_program import layers_to_program
from matchopt.reduce.linearise import UNDERSTOOD as LINEAR
from matchopt.reduce.linearise import linearise
from matchopt.reduce.one_chip import UNDERSTOOD as ONE_CHIP
from matchopt.reduce.one_chip import assign_chip, join, not_assignable, not_joinable
from matchopt.reduce.reduction import Reduction, unchanged
from matchopt.reduce.row_sets import not_row_sets, row_sets
from matchopt.reduce.separable import UNDERSTOOD as SEPARABLE
from matchopt.reduce.separable import layer_to_assignment, not_separable
from matchopt.reduce.split import UNDERSTOOD as SPLIT
from matchopt.reduce.split import not_splittable, split

# What an instance may ask for on its way to a simpler kind. A network that does not split is one program; one on one
# chip is one layer, where its layers differ in no more than their scale.
WAYS_DOWN: Mapping[tuple[str, str], frozenset[str]] = {
    ("network", "layer"): SPLIT | ONE_CHIP,
    ("network", "program"): IN_BINARIES,
    ("layer", "assignment"): SEPARABLE | {"hard-wired"},
    ("layer", "program"): SEPARABLE | IN_BINARIES,
    ("assignment", "program"): LINEAR,
}


def reduction(instance: Instance, to: type[Instance]) -> Reduction:
    """Reduce `instance` to instances of kind `to`.

    Parameters
    ----------
    instance : any instance.
    to : the kind wanted, at the same rung or below: network, layer, assignment, program.

    Raises
    ------
    Refused
        when there is no exact way; the message is the reason.
    """
    if isinstance(instance, to):
        return unchanged(instance)
    if isinstance(instance, NetworkInstance):
        return _from_network(instance, to)
    if isinstance(instance, LayerInstance) and to is AssignmentInstance:
        return layer_to_assignment(instance)
    if isinstance(instance, LayerInstance) and to is ProgramInstance:
        if not_separable(instance) is None:  # the assignment is the smaller program
            step = layer_to_assignment(instance)
            return step.then([linearise(step.parts[0])])
        if instance.rules.neurons > 1 and not_row_sets(instance) is None:  # a far tighter program than that of cells
            return row_sets(instance)
        return _program(instance)
    if isinstance(instance, AssignmentInstance) and to is ProgramInstance:
        return linearise(instance)
    raise Refused(f"a {instance.kind} instance does not reduce to a {to.kind} instance")


def _from_network(network: NetworkInstance, to: type[Instance]) -> Reduction:
    if network.one_chip and to is not LayerInstance and not_assignable(network) is None:
        step = assign_chip(network)
        return step.then([reduction(step.parts[0], to)])
    reason = not_joinable(network) if network.one_chip else not_splittable(network)
    if reason is None and network.one_chip:
        first = join(network)
        return first.then([reduction(first.parts[0], to)])
    if reason is None:
        first = split(network)
        return first.then([reduction(layer, to) for layer in first.parts])
    if to is ProgramInstance and network.objective is None:
        return _program(network)
    raise Refused(reason)


def _program(instance: LayerInstance | NetworkInstance) -> Reduction:
    """The program of binaries, where no value but the target weight can be best for a fully tunable connection."""
    for layer in instance.layers if isinstance(instance, NetworkInstance) else (instance,):
        if layer.rules.tunable > 0 and not layer.objective.is_diagonal:
            raise Refused(
                "fully tunable weights can make up for the errors of correlated inputs: their best values are not the "
                "target's, and no program of whole numbers holds them"
            )
    return layers_to_program(instance)
