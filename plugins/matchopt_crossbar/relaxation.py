"""Lower bounds on layers whose neurons share lines, from wirings that need not agree."""

import math

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, Limits, Target, assign, pair_costs
from matchopt_crossbar.layer import choice, free_costs, scaled

ROUNDING = 2.0**-42  # of the cost of dropping everything and the bound together


def free_bound(layer: LayerInstance, limits: Limits) -> float:
    """The larger of the errors with every row wired freely, and on one bus with every input placed freely; >= 0.

    With a choice of gains inputs are not placed, as a row then has one gain for all of them. Leaks only add to these
    where nothing may be dropped; a dropped connection may be served by the leak of its cell.
    """
    chip, target = scaled(layer), layer.target
    if layer.rules.drop and not chip.free_routing and bool(np.any(chip.off)):
        return 0.0
    factor = layer.objective.importance(target)
    sides = [_assigned(free_costs(layer))]
    if len(set(chip.bus.tolist())) == 1 and not limits.reached() and chip.n_cells and not choice(layer):
        turned, order = transposed(target)
        weights, variance, usable = (
            np.ascontiguousarray(part.T) for part in (chip.weights, chip.variance, chip.usable)
        )
        lines = Hardware(weights, variance, usable)
        if turned.n_rows <= chip.n_cells:
            sides.append(
                _assigned(pair_costs(turned, lines, importance=factor[order], gains=Gains(), drop=layer.rules.drop))
            )
    value = max(sides)
    return max(0.0, value - ROUNDING * (float((factor * target.weights**2).sum()) + value))


def transposed(target: Target) -> tuple[Target, np.ndarray]:
    """Inputs with connections as rows, and the number in `target` of each connection."""
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    order = np.lexsort((target.row_of, input_of))
    starts = np.concatenate([[0], np.cumsum(np.bincount(input_of, minlength=len(inputs)))])
    return Target(starts, target.row_of[order], target.weights[order], target.n_rows), order


def _assigned(costs: np.ndarray) -> float:
    chosen = assign(costs)
    return 0.0 if chosen is None else math.fsum(costs[np.arange(len(chosen)), chosen])
