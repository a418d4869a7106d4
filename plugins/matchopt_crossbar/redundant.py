"""Layers on shared lines whose weights are sums of cells, or whose rows have several neurons."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from matchopt import LayerInstance, Limits, PositiveFloat, PositiveInt, Result, Solver, is_feasible
from matchopt_crossbar.cooling import Cooling, coolings
from matchopt_crossbar.layer import MOST_COSTS, nothing_wired, without_connections

if TYPE_CHECKING:
    from matchopt_crossbar.redundant_search import Redundancy

MOST_PATTERNS = 256  # ways to serve one weight that are tried: 8 cells of one neuron, two of each of four


@dataclass(frozen=True)
class Redundant(Solver):
    """Rows to neurons and inputs to lines by turns, one neuron of every row and one line of every input at a time.

    Each turn is an exact assignment with all else fixed, and every weight is served by the best of all sums of its
    cells. Noise that fades is added to the costs; the best mapping seen is brought down to a local optimum. Any number
    of neurons per bus. What leaks counts on every line that an input with a row on the bus has.

    Parameters
    ----------
    rounds : turns of all neurons and lines, some 50 ms each at 100 x 100 and twice as many lines. Rounds in excess of
        the time limit are left out, so a large number means: all the time there is.
    hot, cold : first and last factor of the noise, as a share of a typical change of the error.

    References
    ----------
    G. Papandreou, A. Yuille, "Perturb-and-MAP random fields", ICCV 2011, doi:10.1109/ICCV.2011.6126242 (minima under
    noise in place of samples).
    """

    name = "crossbar-redundant"
    solves = LayerInstance
    needs = ("numba", "scipy")
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "shared-bus", "several-cells", "drop", "extra-inputs"}
        | {"gains", "output-error", "several-neurons", "copies"}
    )

    rounds: PositiveInt = 1000
    hot: PositiveFloat = 1.0
    cold: PositiveFloat = 0.03

    def refuses(self, instance: LayerInstance) -> str | None:
        """See `Solver.refuses`."""
        rules, chip = instance.rules, instance.hardware
        if chip.free_routing:
            return "its neurons share no lines; sum-search, split-alternate and copies-alternate are for those"
        if rules.cells_per_weight == rules.neurons == 1:
            return "a weight has one cell, and a row one neuron; crossbar-perturb and crossbar-anneal are for those"
        ways = 2 ** (min(rules.cells_per_weight, chip.n_cells, 64) * rules.neurons)
        if ways > MOST_PATTERNS:
            return (
                f"there are more than {MOST_PATTERNS} ways to choose among the cells of a weight; allow fewer of them"
            )
        costs = instance.target.n_inputs * max(chip.n_cells, 1) * len(set(chip.bus.tolist()))
        costs = max(costs, instance.n_rows * chip.n_neurons) * ways
        return f"its tables would have {costs} entries, more than {MOST_COSTS}" if costs > MOST_COSTS else None

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        """See `Solver.solve`."""
        from matchopt_crossbar.redundant_search import Redundancy

        if instance.target.n_connections == 0:
            return without_connections(instance)
        search = Redundancy(instance, rng)
        if limits.start is not None and is_feasible(instance, limits.start):
            limits.offer(limits.start, instance.value(limits.start))  # type: ignore[arg-type]  # a mapping of the layer
        if instance.rules.drop:
            nothing = nothing_wired(instance)
            limits.offer(nothing, instance.value(nothing))
        unit, times = search.unit, coolings(instance.hardware.n_neurons + instance.hardware.n_cells)
        _offer(search, limits)
        cooling = Cooling(self.hot * unit, min(self.hot, self.cold) * unit, self.rounds, times)
        done, limit = cooling.run(search.perturb, lambda: None, limits, search.start)
        search.descend(limits)
        _offer(search, limits)
        message = "" if limits.best is not None else "no mapping found that keeps the rules"
        return Result(limits.best, limit=limit, bound=0.0, stats={"rounds": done}, message=message)


def _offer(search: "Redundancy", limits: Limits) -> None:
    mapping = search.mapping()
    if mapping is not None:
        limits.offer(mapping, search.layer.value(mapping))
