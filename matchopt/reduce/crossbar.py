"""Mappings of layers whose neurons share lines to begin from: a short search by perturbed assignments."""

import math
import time

import numpy as np

from matchopt.instances import Hardware, LayerInstance, LayerMapping, Target
from matchopt.instances.menus import FIELDS as MENUS

WORK = 2**27  # entries of the tables of costs, over all rounds: a second or so
ROUNDS = 12_000  # at most
CHUNKS = 20  # of rounds, between two looks at the clock
HOT, COLD = 0.25, 0.03  # first and last temperature, in the unit of the search
MOST_COSTS = 2**24  # entries of the tables, beyond which beginning takes too long


def crossbar_beginning(layer: LayerInstance, seconds: float = math.inf) -> LayerMapping | None:
    """The best mapping of a short search for neurons of rows and lines of inputs.

    What counts is the diagonal of the objective, with one cell per weight. A fixed amount of work, less where so many
    seconds are too few. None where connections find no cell that way, or the layer is too large. Cells that can be
    written are searched as they are under gains of an interval.
    """
    from matchopt.kernels import Crossbar, line_prices, wire_lines

    target, chip, rules = layer.target, layer.hardware, layer.rules
    buses, inputs = len(set(chip.bus.tolist())), len(np.unique(target.indices))
    lines = max(chip.n_cells, inputs) + (inputs if np.any(chip.off) and rules.drop else 0)
    costs = layer.n_rows * chip.n_neurons + buses * inputs * lines
    if costs > MOST_COSTS or layer.n_rows > chip.n_neurons or target.n_connections == 0:
        return None
    outside = layer.objective.diagonal(target, np.full(target.n_inputs, layer.n_rows), np.arange(target.n_inputs))
    menus = {} if rules.gains.is_interval else {name: getattr(chip, name) for name in MENUS}
    bare = Hardware(chip.weights, chip.variance, chip.usable, chip.off, chip.bus, **menus)
    search = Crossbar(
        target, bare, np.random.default_rng(0),
        importance=layer.objective.importance(target), drop=rules.drop, driven=outside, gains=rules.gains,
        extra_inputs=rules.extra_inputs, tunable=rules.tunable > 0,
    )  # fmt: skip
    rounds, until = max(CHUNKS, min(ROUNDS, WORK // max(1, costs))), time.monotonic() + seconds
    search.descend()
    if rules.tunable or rules.writes is not None:
        search.charge(*line_prices(layer, *search.best_lines()))
        search.descend()
    for chunk in range(CHUNKS):
        heat = HOT * (COLD / HOT) ** (chunk / CHUNKS) * search.unit
        search.perturb(rounds // CHUNKS, heat, (COLD / HOT) ** (1.0 / rounds))
        if time.monotonic() > until:
            break
    search.resume()
    search.descend()
    search.polish()
    return wire_lines(layer, *search.best_lines())


def prepare_crossbar() -> None:
    """Load, or on a fresh machine compile, what the search runs."""
    one = np.ones((1, 1))
    crossbar_beginning(LayerInstance(Target.from_dense(one), Hardware(np.ones((2, 1)), bus=np.zeros(2, np.int64))))
