"""Which solver, or pipeline, suits an instance: what `auto` stands for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from matchopt.contract import refusal
from matchopt.errors import MatchoptError, Refused
from matchopt.instances import AssignmentInstance, Instance, LayerInstance, NetworkInstance, ProgramInstance
from matchopt.plugins import Registry
from matchopt.reduce import not_separable, program_size, reduction, surrogate
from matchopt.reduce.one_chip import join, not_assignable, not_joinable
from matchopt.reduce.split import not_splittable
from matchopt.solver import Solver

AUTO = "auto"
SMALL = 20_000  # coefficients of a program that an exact engine is given
FEW = 12  # rows and inputs of a crossbar whose optimum is sought
HEAVY = 6.0  # see `_heavy_tailed`; measured RRAM has 4, lognormal weights 12 to 180
MANY = 6  # labelled samples of each connection from which on labels teach more than the outputs (docs/answer.md)
PLENTY = 50_000  # whatever the network's size: dense ones learn from so many, too (docs/studies/slot-machines.md)


class Suggestion(NamedTuple):
    """A solver or pipeline, when it is worth asking whether it takes the instance, and why it is the one."""

    solver: str
    when: Callable[[Instance], bool]
    because: str


def _always(instance: Instance) -> bool:
    return True


def _labelled(instance: Instance) -> bool:
    return isinstance(instance, NetworkInstance) and instance.objective is not None and instance.objective.labelled


def _labelled_with_budget(instance: Instance) -> bool:
    return _labelled(instance) and "tunable" in instance.demands


def _hardly_labelled(instance: Instance) -> bool:
    return _labelled(instance) and isinstance(instance, NetworkInstance) and instance.objective is not None and (
        not teaches(len(instance.objective.inputs), sum(layer.target.n_connections for layer in instance.layers))
    )  # fmt: skip


def _heavy_tailed(instance: Instance) -> bool:
    """Whether a few cells outweigh all others: mean fourth power against squared mean square, 3 of normal weights."""
    if not _labelled(instance) or not isinstance(instance, NetworkInstance):
        return False
    layers = [layer.hardware.weights[layer.hardware.usable] for layer in instance.layers]
    ratios = [(cells / max(float(np.sqrt(np.mean(cells**2))), 1e-300)) ** 4 for cells in layers if cells.size]
    return float(np.concatenate(ratios or [np.zeros(1)]).mean()) > HEAVY


def _gates(instance: Instance) -> bool:
    return _whole(instance) and "recurrent" in instance.demands


def _whole(instance: Instance) -> bool:
    return isinstance(instance, NetworkInstance) and instance.objective is not None


def _few(instance: Instance) -> bool:
    if not isinstance(instance, LayerInstance) or instance.n_rows > FEW:
        return False
    return len(set(instance.target.indices.tolist())) <= FEW


def _exact_size(instance: Instance) -> bool:
    return isinstance(instance, ProgramInstance) or _program_is_small(instance)


# The first that takes the instance. What is said of accuracies is in docs/answer.md and the studies behind it.
SUGGESTIONS = (
    Suggestion("slots", _gates, "errors of gates add up from frame to frame, so all wires are trained together"),
    Suggestion(
        "reroute",
        _hardly_labelled,
        f"with fewer than {MANY} labelled samples for each connection the network's signals teach more than labels",
    ),
    Suggestion(
        "reroute",
        _heavy_tailed,
        "a few cells outweigh all others; training on labels lowers the loss there, and the accuracy",
    ),
    Suggestion(
        "reroute+slots+tune",
        _labelled_with_budget,
        "the fixed weights come as far as they go before the tunable ones are spent",
    ),
    Suggestion(
        "reroute+slots", _labelled, "the signals come out right first, then labels decide which weight hears what"
    ),
    Suggestion("slots", _labelled, "labels decide which fixed weight hears what"),
    Suggestion("reroute", _whole, "what counts are the network's signals, not its weights"),
    Suggestion(
        "hungarian", _always, "every row costs what it costs on its hardware neuron, so one assignment is exact"
    ),
    Suggestion("crossbar-exact", _few, "a crossbar of this size can be solved to its optimum"),
    Suggestion("crossbar-buses", _few, "so few rows can be tried on all buses in all orders"),
    Suggestion("cpsat", _exact_size, "its program is small enough for an exact engine"),
    Suggestion("milp", _exact_size, "its program is small enough for an exact engine"),
    Suggestion("lagrangian", _always, "a price on tunable weights comes close to its own bound"),
    Suggestion("lagrangian-layer", _always, "a price on tunable weights comes close to its own bound"),
    Suggestion("priced-writes", _always, "a price on writes has a bound of its own"),
    Suggestion("crossbar-perturb", _always, "neurons share lines, and it is the strongest heuristic for those"),
    Suggestion("chain-perturb", _always, "arrays are one behind the other, and it assigns them together"),
    Suggestion("split-alternate", _always, "rows are split over hardware neurons"),
    Suggestion("copies-alternate", _always, "rows are served by the mean of several hardware neurons"),
    Suggestion(
        "crossbar-redundant", _always, "neurons share lines, and weights have several cells, or rows several neurons"
    ),
    Suggestion("sum-search", _always, "several cells add up to a weight"),
    Suggestion("output-search", _always, "errors of a row's weights depend on each other"),
    Suggestion("greedy", _always, "no stronger solver takes what it asks for"),
    Suggestion("random-wiring", _always, "no stronger solver takes what it asks for"),
)


def choose(instance: Instance, registry: Registry) -> tuple[Suggestion, bool]:
    """The first suggestion all of whose solvers are installed and take the instance, or else its surrogate.

    What it needs is little: nothing is reduced but small programs and layers on one chip.

    Returns
    -------
    suggestion : which.
    surrogate : whether it is for the surrogate; see `matchopt.reduce.surrogate`.

    Raises
    ------
    Refused
        when there is none.
    """
    found = _first(instance, registry)
    if found is not None:
        return found, False
    try:
        found = _first(surrogate(instance), registry)
    except Refused:  # by the surrogate
        found = None
    if found is None:
        asked = ", ".join(sorted(instance.demands)) or "nothing beyond the plainest"
        raise Refused(f"no solver that is installed takes this {instance.kind} (it asks for {asked})")
    return found, True


def teaches(samples: int, connections: int) -> bool:
    """Whether so many labelled samples teach a network of so many connections more than its own outputs do."""
    return samples >= min(MANY * connections, PLENTY)


def who_may_run(solver: str, registry: Registry) -> list[str]:
    """The solvers that a name stands for: the stages of a pipeline, and for auto all there are."""
    return list(registry.solvers) if solver == AUTO else [name.strip() for name in solver.split("+")]


def _first(instance: Instance, registry: Registry) -> Suggestion | None:
    for suggestion in SUGGESTIONS:
        names = suggestion.solver.split("+")
        installed = suggestion.when(instance) and all(name in registry.solvers for name in names)
        if installed and all(_takes(registry.entry(name).cls, instance) for name in names):
            return suggestion
    return None


def _takes(cls: type[Solver], instance: Instance) -> bool:
    try:
        return _goes_down(cls, instance)
    except MatchoptError:  # on the way, or the solver's own
        return False


def _goes_down(cls: type[Solver], instance: Instance) -> bool:
    if isinstance(instance, cls.solves):
        return refusal(cls(), instance) is None
    if cls.solves is ProgramInstance:
        way = reduction(instance, ProgramInstance)
        return all(refusal(cls(), part) is None for part in way.parts)
    if isinstance(instance, NetworkInstance) and instance.one_chip:
        if cls.solves is AssignmentInstance:
            return not_assignable(instance) is None
        return not_joinable(instance) is None and _goes_down(cls, join(instance).parts[0])
    if isinstance(instance, NetworkInstance):
        return not_splittable(instance) is None and all(_goes_down(cls, layer) for layer in instance.layers)
    return isinstance(instance, LayerInstance) and cls.solves is AssignmentInstance and not_separable(instance) is None


def _program_is_small(instance: Instance) -> bool:
    try:
        return isinstance(instance, LayerInstance | NetworkInstance) and program_size(instance) <= SMALL
    except MatchoptError:  # something that programs do not understand
        return False
