"""What a correction begins from, and when it is worth keeping."""

from dataclasses import replace

import numpy as np

from matchopt import (
    Assignment,
    AssignmentInstance,
    FunctionalError,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Refused,
    assign,
    is_feasible,
    reduction,
    surrogate,
)
from matchopt_corrections.samples import samples_of

NO_START = "there is no mapping to correct; put a solver before it, such as hungarian+{name}"
EQUAL = 1e-12  # relative: objectives that differ by less are those of one wiring, summed in another order


def begin(instance: NetworkInstance, limits: Limits) -> NetworkMapping | None:
    """The start that was given if it is feasible, else the mapping of least weight error; None where there is none."""
    if isinstance(limits.start, NetworkMapping) and is_feasible(instance, limits.start):
        return limits.start
    if limits.reached():
        return None
    try:
        way = reduction(surrogate(instance, keep_gains=True), AssignmentInstance)
    except Refused:  # coupled rows
        return None
    found = []
    for part in way.parts:
        assert isinstance(part, AssignmentInstance)
        col_of = assign(part.cost)
        if col_of is None:
            return None
        found.append(Assignment(col_of))
    lifted = way.lift(found)
    return lifted if isinstance(lifted, NetworkMapping) and is_feasible(instance, lifted) else None


def is_better(instance: NetworkInstance, new: NetworkMapping, old: NetworkMapping, held_out: np.ndarray) -> bool:
    """Whether a correction is at least as good as what it corrects, on samples it has not seen.

    By the instance's own objective; where that does not see the correction, as layers' errors do not see biases, by the
    functional error.

    Parameters
    ----------
    instance : decides by its objective.
    new, old : mappings with and without the correction, the new one fitted to other samples.
    held_out : numbers of the samples to compare on.
    """
    if instance.objective is None:
        values = instance.value(new), instance.value(old)
        if abs(values[0] - values[1]) > EQUAL * abs(values[1]):
            return values[0] < values[1]
    judge = restricted(instance, held_out)
    return judge.value(new) <= judge.value(old)


def restricted(instance: NetworkInstance, which: np.ndarray) -> NetworkInstance:
    """The instance judged on some of its samples; by the functional error where its own objective uses none."""
    if instance.objective is not None:
        return replace(instance, objective=instance.objective.part(which))
    samples = samples_of(instance)
    return replace(instance, objective=FunctionalError(samples.inputs[which], samples.scale))
