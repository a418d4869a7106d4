"""A stricter instance with the plainest objective, for solvers that do not take the instance itself."""

from dataclasses import replace
from typing import TypeVar

from matchopt.instances import Gains, Instance, LayerInstance, NetworkInstance, Rules, WeightError
from matchopt.instances.demands import AT_0_1, refuse_unknown
from matchopt.instances.hard_wired import not_sums

AnyInstance = TypeVar("AnyInstance", bound=Instance)
UNDERSTOOD = AT_0_1["network"] | {"several-neurons", "copies", "one-chip", "chained"}
UNDERSTOOD |= {"programmable-cells", "write-budget", "hard-wired"}


def surrogate(instance: AnyInstance, *, keep_gains: bool = False) -> AnyInstance:
    """The same hardware and targets under stricter rules, minimising the weight error summed over the layers.

    One hardware neuron per row, one cell per weight (unless all cells are hard-wired), no extra inputs, no tunable
    connections, one gain for all (the allowed one nearest to 1), the biases as they are; whether connections may be
    dropped stays. Cells are not written where their number is limited, gains come from an interval, or some are
    hard-wired. Every feasible solution is one of `instance` too.
    Bounds and claims of optimality or infeasibility do not carry over: the objective is another one, and the rules
    leave less room.

    Parameters
    ----------
    instance : a network or a layer; instances of other kinds have no such form and are returned as they are.
    keep_gains : leave every gain that `instance` allows.

    Raises
    ------
    Refused
        when the instance has a demand that is not known here.
    """
    found: Instance = instance
    if isinstance(instance, LayerInstance | NetworkInstance):
        refuse_unknown(instance, UNDERSTOOD, "the surrogate")  # what it would drop may not make rules stricter
    if isinstance(instance, LayerInstance):
        found = _plain_layer(instance, keep_gains)
    if isinstance(instance, NetworkInstance):
        layers = tuple(_plain_layer(layer, keep_gains) for layer in instance.layers)
        found = replace(instance, layers=layers, tunable=None, objective=None)
    return found  # type: ignore[return-value]  # of the class it came in


def _plain_layer(layer: LayerInstance, keep_gains: bool) -> LayerInstance:
    gains = layer.rules.gains if keep_gains else Gains.finite(layer.rules.gains.default)
    writing = layer.rules.writes is None and not gains.is_interval and not layer.hardware.hard_wired
    hardware = layer.hardware if writing else layer.hardware.fixed()
    cells = layer.rules.cells_per_weight  # where cells are hard-wired, sums of them are as plain
    cells = cells if not_sums(hardware, cells) is None else 1
    rules = Rules(cells, drop=layer.rules.drop, gains=gains)
    return replace(layer, hardware=hardware, rules=rules, objective=WeightError())
