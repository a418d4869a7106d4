"""Baseline: random hardware neurons and random cells, under every rule a layer can have."""

from dataclasses import dataclass, replace

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, PositiveInt, Result, Solver
from matchopt_random.drawing import best_of, drive_lines, place


@dataclass(frozen=True)
class RandomWiring(Solver):
    """A random mapping that keeps every rule: one cell for each weight, unwritten, random gains among the allowed ones.

    Rows go to random hardware neurons with room, those with the most connections first. On every bus the inputs that
    its rows need then go to lines whose cells all these rows can use, by a largest matching in random order; with free
    routing that is any random choice of usable cells. Connections left over are dropped where the rules allow, else
    served by tunable weights while the budget lasts, else the mapping is thrown away and drawn again.

    Parameters
    ----------
    draws : random mappings to make, >= 1; the best is kept.
    attempts : tries for each before giving up, >= 1; from the second on, every other one packs rows with common inputs
        onto the same bus.
    """

    name = "random-wiring"
    solves = LayerInstance
    needs = ("scipy",)
    role = "baseline"
    understands = frozenset(
        {"importance", "read-noise", "unusable-cells", "leak", "drop", "extra-inputs", "gains", "gain-interval"}
        | {"shared-bus", "hard-wired", "several-cells", "tunable", "output-error", "correlated-inputs"}
        | {"programmable-cells", "write-budget"}
    )

    draws: PositiveInt = 1
    attempts: PositiveInt = 20

    def solve(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> Result:
        result, none = best_of(self.draws, lambda: self._draw(instance, limits, rng), instance, limits)
        return replace(result, message=f"no mapping in {self.attempts} attempts") if none else result

    def _draw(self, instance: LayerInstance, limits: Limits, rng: np.random.Generator) -> LayerMapping | None:
        for attempt in range(self.attempts):
            if attempt and limits.reached():
                return None
            mapping = _attempt(instance, attempt % 2 == 1, rng)
            if mapping is not None:
                return mapping
        return None


def _attempt(instance: LayerInstance, packed: bool, rng: np.random.Generator) -> LayerMapping | None:
    neuron_of = place(instance, packed, rng)
    cell_of = np.full(instance.target.n_connections, -1)
    bus_of = instance.hardware.bus[neuron_of]
    for bus in np.unique(bus_of):
        rows = np.flatnonzero(bus_of == bus)
        drive_lines(instance, rows, neuron_of[rows], cell_of, rng)
    left_over = np.flatnonzero(cell_of < 0)
    tunable = np.zeros(0, np.int64)
    if len(left_over) and not instance.rules.drop:
        if len(left_over) > instance.rules.tunable:
            return None
        tunable = left_over
    gain = _gains(instance, rng)
    return LayerMapping.from_cells(instance.target, neuron_of, cell_of, gain, tunable)


def _gains(instance: LayerInstance, rng: np.random.Generator) -> np.ndarray:
    gains = instance.rules.gains
    if gains.values is not None:
        return rng.choice(np.array(gains.values), instance.n_rows)
    assert gains.low is not None and gains.high is not None
    return np.clip(rng.uniform(gains.low, gains.high, instance.n_rows), gains.low, gains.high)
