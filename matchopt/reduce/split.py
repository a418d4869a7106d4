"""A network into its layers."""

from collections.abc import Sequence

from matchopt.errors import Refused
from matchopt.instances import LayerMapping, NetworkInstance, NetworkMapping, Solution
from matchopt.instances.demands import AT_0_1, not_understood
from matchopt.reduce.reduction import Reduction

# All that a layer may ask for is left to who takes the layers; biases change no layer's objective.
UNDERSTOOD = AT_0_1["network"] - {"task-loss", "functional-error", "score-error"}
UNDERSTOOD |= {"several-neurons", "copies", "programmable-cells", "write-budget", "hard-wired"}


def not_splittable(network: NetworkInstance) -> str | None:
    """Why the layers of `network` cannot be mapped one by one, or None."""
    strange = not_understood(network, UNDERSTOOD, "the split into layers")
    if strange is not None:
        return strange
    budgets = sum(layer.rules.tunable for layer in network.layers)
    if network.tunable is not None and network.tunable < budgets:
        return f"one budget of {network.tunable} tunable connections couples the layers"
    return None


def split(network: NetworkInstance) -> Reduction:
    """Split a network whose objective is the sum over its layers.

    Raises
    ------
    Refused
        when an objective of the whole network or a common tunable budget couples the layers.
    """
    reason = not_splittable(network)
    if reason is not None:
        raise Refused(reason)

    def lift(solutions: Sequence[Solution]) -> NetworkMapping:
        layers = [solution for solution in solutions if isinstance(solution, LayerMapping)]
        if len(layers) != len(network.layers):
            raise Refused(f"expected {len(network.layers)} layer mappings, found {len(layers)}")
        return NetworkMapping(tuple(layers))

    def lower(solution: Solution) -> tuple[Solution, ...]:
        if not isinstance(solution, NetworkMapping):
            raise Refused(f"expected a network mapping, found a {solution.kind} solution")
        return solution.layers

    return Reduction("split", network.layers, lift, lower)
