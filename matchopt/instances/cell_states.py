"""What cells read: unwritten, or with a value written into them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from matchopt.instances.hardware import Hardware

Places = Int[np.ndarray, "*places"]
Numbers = Float[np.ndarray, "*places"]


def best_states(
    hardware: Hardware,
    neurons: Places,
    cells: Places,
    weights: Numbers,
    *,
    factor: Numbers | float = 1.0,
    gain: Numbers | float = 1.0,
    price: float = 0.0,
) -> tuple[Numbers, Numbers]:
    """The least cost of target weights on cells, and the value to write for it; all arguments are broadcast together.

    A state (value, variance) of a cell costs factor * ((weight - gain * value)^2 + gain^2 * variance), and `price` on
    top of that where it is written. Of a range the value nearest to weight / gain is the best, whatever the variance.

    Parameters
    ----------
    hardware : the cells.
    neurons, cells : hardware neuron and cell of each pair.
    weights : target weight of each pair.
    factor : importance of the squared error.
    gain : factor at the output of the neuron.
    price : of a write, >= 0, in units of the cost.

    Returns
    -------
    cost, written : inf where the cell cannot be used; NaN where it is best left as it is, equal costs included.
    """

    def cost_of(value: Numbers, variance: Numbers) -> Numbers:
        return np.asarray(factor * ((weights - gain * value) ** 2 + gain * gain * variance))

    usable = hardware.usable[neurons, cells]
    cost = np.where(usable, cost_of(hardware.weights[neurons, cells], hardware.variance[neurons, cells]), np.inf)
    written = np.full(cost.shape, np.nan)
    aim = np.divide(weights, gain, out=np.zeros(cost.shape), where=np.broadcast_to(gain, cost.shape) != 0.0)
    for value, variance in _to_write(hardware, neurons, cells, aim):
        other = cost_of(value, variance) + price
        better = usable & (other < cost)  # not where there is nothing to write, which is NaN
        cost, written = np.where(better, other, cost), np.where(better, value, written)
    return cost, written


def _to_write(hardware: Hardware, neurons: Places, cells: Places, aim: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Value and variance of what can be written, NaN where there is nothing: the best of a range, and every level."""
    if not hardware.programmable:
        return
    low, high = hardware.low[neurons, cells], hardware.high[neurons, cells]
    yield np.minimum(np.maximum(aim, low), high), hardware.write_variance[neurons, cells]
    for s in range(hardware.levels.shape[2]):
        yield hardware.levels[neurons, cells, s], hardware.level_variance[neurons, cells, s]


def states_of(hardware: Hardware, neurons: Places, cells: Places, written: Numbers | None) -> tuple[Numbers, Numbers]:
    """Value and variance of cells with these values written into them, NaN for cells left as they are."""
    value, variance = hardware.weights[neurons, cells], hardware.variance[neurons, cells]
    if written is None:
        return value, variance
    kept, spread = np.isnan(written), hardware.write_variance[neurons, cells]
    for s in range(hardware.levels.shape[2]):
        spread = np.where(
            written == hardware.levels[neurons, cells, s], hardware.level_variance[neurons, cells, s], spread
        )
    return np.where(kept, value, written), np.where(kept, variance, spread)
