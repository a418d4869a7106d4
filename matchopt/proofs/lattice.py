"""A bound for layers whose cells are multiples of a unit: whatever is wired, weights realised are multiples too.

A connection then costs at least its importance times the squared distance to the nearest multiple, whatever else the
rules allow; fully tunable weights take the largest of these away. Planted targets meet it.
"""

import math
from fractions import Fraction

import numpy as np

from matchopt.instances import LayerInstance
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.proofs.assignment import HALF_ULP

FINEST = 2.0**-20  # of the largest value: a finer unit bounds nothing worth while
UNDERSTOOD = (AT_0_1["layer"] | {"several-neurons", "copies", "chained", "hard-wired", "programmable-cells"}) - {
    "gain-interval", "gains", "correlated-inputs"
}  # fmt: skip


@understanding("the bound by multiples of a unit", UNDERSTOOD)
def lattice_bound(layer: LayerInstance) -> tuple[float, float] | None:
    """The unit, and the bound that it proves; None where cells have no unit, or a range of values.

    Raises
    ------
    Refused
        when gains are others than 1, or inputs are correlated.
    """
    chip, target, rules = layer.hardware, layer.target, layer.rules
    if not np.isnan(chip.low).all():
        return None
    levels = chip.levels[~np.isnan(chip.levels)]
    values = np.unique(np.abs(np.concatenate([chip.weights.ravel(), chip.off.ravel(), levels])))
    largest = float(values.max(initial=0.0))
    if largest == 0.0 or not (values % (FINEST * 2.0 ** math.floor(math.log2(largest))) == 0.0).all():
        return None
    unit = Fraction(0)
    for value in values.tolist():
        over, under = Fraction(value), unit
        while under:
            over, under = under, over % under
        unit = over
    step = float(unit) / math.lcm(*range(1, rules.copies + 1))
    spreads = chip.level_variance[~np.isnan(chip.levels)]
    noise = float(np.concatenate([chip.variance[chip.usable], spreads]).min(initial=math.inf)) / rules.neurons
    beyond = np.fmod(np.abs(target.weights), step)
    factor = layer.objective.importance(target)
    noise = 0.0 if rules.drop or not math.isfinite(noise) else noise
    least = factor * (np.minimum(beyond, step - beyond) ** 2 + noise)
    kept = np.sort(least)[: len(least) - min(len(least), rules.tunable)]
    return float(unit), math.fsum(kept.tolist()) * (1.0 - 8.0 * HALF_ULP)
