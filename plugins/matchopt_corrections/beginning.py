"""What a correction begins from, the samples it is fitted to, and when it is worth keeping."""

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
    Result,
    SampleObjective,
    assign,
    is_feasible,
    reduction,
    surrogate,
)

# Every rule and architecture, for the wiring stays as it is.
UNDERSTOOD = frozenset({
    "importance", "read-noise", "unusable-cells", "leak", "shared-bus", "several-cells", "drop", "extra-inputs",
    "gains", "gain-interval", "tunable", "output-error", "correlated-inputs", "task-loss", "functional-error",
    "score-error", "hardware-bias", "adjustable-bias", "network-tunable", "convolutional", "recurrent",
})  # fmt: skip
NUMBERS = 2**25  # in what one layer receives at all places of the samples that a correction is fitted to
HELD_OUT = 0.1  # share of the samples on which a correction is judged
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


def started(instance: NetworkInstance, limits: Limits, name: str) -> NetworkMapping | Result:
    """What `begin` gives, or the result of the solver `name` where there is nothing to correct or no time for it."""
    start = begin(instance, limits)
    if start is None:
        return Result(None, limit=limits.reached(), message=NO_START.format(name=name))
    return Result(start, limit=limits.reached()) if limits.reached() else start


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
    return replace(instance, objective=samples_of(instance).part(which))


def samples_of(instance: NetworkInstance) -> SampleObjective:
    """The objective, else the functional error on embedded samples; there are some where `lacks_samples` is None."""
    if instance.objective is not None:
        return instance.objective
    assert instance.samples is not None
    return FunctionalError(instance.samples)


def lacks_samples(instance: NetworkInstance) -> str | None:
    """Why nothing can be fitted to an instance, or None."""
    if instance.objective is None and (instance.samples is None or len(instance.samples) == 0):
        return "it has no sample inputs to fit a correction to; export it with samples or with an objective on samples"
    return None


def affordable(instance: NetworkInstance, most: int) -> int:
    """`most` samples (0 for all), or where rows are seen at many places as many as memory holds these for.

    The places of a sample are not independent: count the samples for the error of a mean. Of n normal signals a second
    moment has a relative standard error of sqrt(2 / n).
    """
    if instance.runs.plain:
        return most
    pairs = zip(instance.runs.places, instance.layers, strict=True)
    numbers = max(places * max(layer.n_rows, layer.target.n_inputs) for places, layer in pairs)
    return min(most or NUMBERS, max(2, NUMBERS // numbers))


def split(which: np.ndarray, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the samples to fit to and of those to judge by: 10 % of them, at least one, in random order.

    Parameters
    ----------
    which : numbers of the samples that count, at least one; a single one serves both.
    most : most samples to use, 0 for all.
    rng : draws the order.
    """
    order = which[rng.permutation(len(which))[: most or None]]
    held = max(1, round(HELD_OUT * len(order)))
    return (order, order) if len(order) == 1 else (order[held:], order[:held])
