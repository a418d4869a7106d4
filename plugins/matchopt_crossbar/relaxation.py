"""Lower bounds on layers whose neurons share lines, from wirings that need not agree."""

import math
from dataclasses import fields

import numpy as np

from matchopt import Gains, Hardware, LayerInstance, Limits, Target, assign, pair_costs
from matchopt_crossbar.layer import FREE, choice, free_costs, scaled, spent

ROUNDING = 2.0**-42  # of the cost of dropping everything and the bound together


def free_bound(layer: LayerInstance, limits: Limits, prices: tuple[float, float] = FREE) -> float:
    """The larger of the errors with every row wired freely, and on one bus with every input placed freely; >= 0.

    With a choice of gains inputs are not placed, as a row then has one gain for all of them. Leaks only add to these
    where nothing may be dropped; a dropped connection may be served by the leak of its cell. What the limits allow of
    writes and of tuned connections is taken off at their prices (Lagrangian relaxation).
    """
    chip, target, less = scaled(layer), layer.target, spent(layer, prices)
    if layer.rules.drop and not chip.free_routing and bool(np.any(chip.off)):
        return 0.0
    if math.isinf(less) or (layer.rules.tunable and layer.rules.gains.is_interval):
        return 0.0
    factor = layer.objective.importance(target)
    sides = [_assigned(free_costs(layer, prices))]
    if len(set(chip.bus.tolist())) == 1 and not limits.reached() and chip.n_cells and not choice(layer):
        turned, order = transposed(target)
        if turned.n_rows <= chip.n_cells:
            tuned = prices[1] if math.isfinite(prices[1]) else None
            costs = pair_costs(turned, _lines(chip), importance=factor[order], gains=Gains(), drop=layer.rules.drop,
                               price=tuned, write_price=prices[0])  # fmt: skip
            sides.append(_assigned(costs))
    value = max(sides) - less
    return max(0.0, value - ROUNDING * (float((factor * target.weights**2).sum()) + value + 2.0 * less))


def transposed(target: Target) -> tuple[Target, np.ndarray]:
    """Inputs with connections as rows, and the number in `target` of each connection."""
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    order = np.lexsort((target.row_of, input_of))
    starts = np.concatenate([[0], np.cumsum(np.bincount(input_of, minlength=len(inputs)))])
    return Target(starts, target.row_of[order], target.weights[order], target.n_rows), order


def _lines(chip: Hardware) -> Hardware:
    """Neurons as cells of lines, without leaks."""
    named = [
        each.name for each in fields(chip) if each.name not in ("off", "bus", "neuron", "origin", "measured", "input")
    ]
    return Hardware(**{name: np.ascontiguousarray(np.swapaxes(getattr(chip, name), 0, 1)) for name in named})  # type: ignore[arg-type]  # arrays of its fields


def _assigned(costs: np.ndarray) -> float:
    chosen = assign(costs)
    return 0.0 if chosen is None else math.fsum(costs[np.arange(len(chosen)), chosen])
