"""A separable layer into a linear assignment of target to hardware neurons, the wiring solved inside each pair."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import Refused
from matchopt.instances import Assignment, AssignmentInstance, LayerInstance, LayerMapping, Provenance, Solution
from matchopt.instances.demands import AT_0_1, not_understood
from matchopt.instances.hard_wired import not_sums
from matchopt.reduce.reduction import Reduction

# Without what couples rows (wiring that neurons share, a budget of tunable connections) or connections of a row (sums
# of cells, correlated inputs). Cells of a neuron that shares no line do not leak.
UNDERSTOOD = AT_0_1["layer"] - {"shared-bus", "several-cells", "tunable", "correlated-inputs"} | {"programmable-cells"}
# Where cells are hard-wired every weight is a sum over the cells of its own input, and lines are driven anyway.
UNDERSTOOD_WIRED = (AT_0_1["layer"] | {"hard-wired"}) - {"tunable", "correlated-inputs", "gain-interval"}
_WHO = "the assignment of rows to hardware neurons"


def not_separable(layer: LayerInstance) -> str | None:
    """Why the cost of `layer` is no sum over (target neuron, hardware neuron) pairs that the kernel solves, or None.

    Extra inputs do not couple anything: outside the support the target is 0 and every realised weight only adds a cost
    >= 0, so an optimal mapping without extra inputs exists (WeightError and diagonal OutputError alike).
    """
    if layer.hardware.hard_wired:
        reason = not_understood(layer, UNDERSTOOD_WIRED, _WHO)
        if reason is None and (unfit := not_sums(layer.hardware, layer.rules.cells_per_weight)):
            return f"{_WHO} does not take all hard-wired cells: {unfit}"
        return reason
    both = {"programmable-cells", "gain-interval"}
    if both <= layer.demands:  # the best value to write depends on the gain, and the best gain on what is written
        return not_understood(layer, UNDERSTOOD - both, _WHO)
    return not_understood(layer, UNDERSTOOD, _WHO)


def layer_to_assignment(layer: LayerInstance) -> Reduction:
    """Reduce a separable layer to the assignment of its rows to hardware neurons.

    The cost of a pair is the optimum of its wiring (and gain), so the assignment's optimum is the layer's
    (docs/mathematics.md). Rows that do not fit a neuron have cost inf there.

    Raises
    ------
    Refused
        when the layer is not separable.
    """
    reason = not_separable(layer)
    if reason is not None:
        raise Refused(reason)
    source = f"pair costs of layer {layer.digest}"
    instance = AssignmentInstance(_costs(layer), provenance=Provenance(name=layer.provenance.name, source=source))

    def lift(solutions: Sequence[Solution]) -> LayerMapping:
        (assignment,) = solutions
        if not isinstance(assignment, Assignment) or len(assignment.col_of) != layer.n_rows:
            raise Refused(f"expected an assignment of {layer.n_rows} rows")
        return wire(layer, assignment)

    def lower(solution: Solution) -> tuple[Assignment]:
        if not isinstance(solution, LayerMapping):
            raise Refused(f"expected a layer mapping, found a {solution.kind} solution")
        return (Assignment(solution.neuron_of),)

    return Reduction("assignment", (instance,), lift, lower)


def _costs(layer: LayerInstance) -> Float[np.ndarray, "rows neurons"]:
    from matchopt.kernels import pair_costs  # brings numba: half a second that programs and refusals need not wait

    if layer.hardware.hard_wired:
        costs: np.ndarray = _sums(layer).costs()
        return costs
    rules, importance = layer.rules, layer.objective.importance(layer.target)
    return pair_costs(layer.target, layer.hardware, gains=rules.gains, drop=rules.drop, importance=importance)


def _sums(layer: LayerInstance) -> Any:
    from matchopt.kernels import HardWired

    every = np.arange(layer.target.n_inputs)
    outside = layer.objective.diagonal(layer.target, np.full(len(every), layer.n_rows), every)
    importance = layer.objective.importance(layer.target)
    return HardWired(layer.target, layer.hardware, layer.rules, importance=importance, outside=outside)


def wire(layer: LayerInstance, assignment: Assignment) -> LayerMapping:
    """Complete a choice of hardware neurons with the optimal wiring and gain of every row."""
    from matchopt.kernels import match_rows

    if layer.hardware.hard_wired:
        found = _sums(layer).wire(assignment.col_of)
        starts = np.searchsorted(found.row, np.arange(layer.n_rows + 1))
        return LayerMapping(assignment.col_of, starts, found.cell, found.input, found.gain)
    matching = match_rows(
        layer.target,
        layer.hardware,
        assignment.col_of,
        gains=layer.rules.gains,
        drop=layer.rules.drop,
        importance=layer.objective.importance(layer.target),
    )
    return LayerMapping.from_cells(
        layer.target, assignment.col_of, matching.cell_of, matching.gain, written=matching.written
    )
