"""Tunable weights at a price: bounds of whole networks, and mappings that come close to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from matchopt import LayerInstance, Limits, NetworkInstance, NetworkMapping, PositiveInt, Result, Solver

UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "tunable", "output-error"}
)
OF_NETWORKS = UNDERSTOOD | {"network-tunable", "hardware-bias", "adjustable-bias", "convolutional", "recurrent"}
MOST_PAIRS = 2**27  # entries of the tables of costs: 1 GiB


@dataclass(frozen=True)
class Lagrangian(Solver):
    """Gives tunable weights a price at which rows are assigned exactly, and looks for the one that spends the budget.

    At every price the least cost less the price of the budget is a lower bound. The rows are then kept on their
    neurons, where one price shares the weights out exactly, and the price that does is tried next; in the end neurons
    and tunable weights are improved by turns.

    Parameters
    ----------
    rounds : most prices at which all pairs of rows and neurons are solved, >= 1.
    gap : relative distance of error and bound that is close enough, >= 0.

    References
    ----------
    M. L. Fisher, "The Lagrangian relaxation method for solving integer programming problems", Management Science 27
    (1981), doi:10.1287/mnsc.27.1.1.
    """

    name = "lagrangian"
    solves = NetworkInstance
    needs = ("numba", "scipy")
    understands = OF_NETWORKS

    rounds: PositiveInt = 20
    gap: Annotated[float, Ge(0)] = 5e-4

    def refuses(self, instance: NetworkInstance) -> str | None:
        """See `Solver.refuses`."""
        return _too_large(instance.layers)

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        _prepare()

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_budget.search import Whole, search

        del rng
        total = np.inf if instance.tunable is None else instance.tunable
        whole = Whole(instance.layers, float(total), lambda parts: NetworkMapping(tuple(parts)))
        return search(whole, limits, self.rounds, self.gap)


@dataclass(frozen=True)
class LagrangianLayer(Solver):
    """The same for one layer and its own budget.

    Parameters
    ----------
    rounds, gap : as for `lagrangian`.
    """

    name = "lagrangian-layer"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = UNDERSTOOD

    rounds: PositiveInt = 20
    gap: Annotated[float, Ge(0)] = 5e-4

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        return _too_large([instance])

    def prepare(self) -> None:
        """See `Solver.prepare`."""
        _prepare()

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_budget.search import Whole, search

        del rng
        return search(Whole([instance], np.inf, lambda parts: parts[0]), limits, self.rounds, self.gap)


def _too_large(layers: Sequence[LayerInstance]) -> str | None:
    for layer in layers:
        pairs = layer.n_rows * layer.hardware.n_neurons
        if pairs > MOST_PAIRS:
            return f"a table of costs would have {pairs} entries, more than {MOST_PAIRS}"
    return None


def _prepare() -> None:
    from matchopt_budget.search import compile_search

    compile_search()
