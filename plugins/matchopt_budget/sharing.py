"""Which connections get the tunable weights once all rows have their neurons: exact but for ties.

What a row costs with t tunable weights is convex in t (a matching of so many more weights than cells), so one price for
all, and one for each layer whose own budget is used up, shares them out at best. Between the prices just above and
below, rows change one after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from matchopt_budget.priced import PricedLayer, Wiring

CLOSE = 1e-6  # relative distance of the two prices
FAR = 1e6
LEAST = 1e-300  # price below which there is none
STEP = 1.03  # by which a first guess of a price is moved, and twice as far each time


@dataclass(frozen=True, eq=False)
class Shared:
    """What became of the rows on their neurons: the wirings, the network's price, and one for each layer's own budget.

    A layer's own price is 0 where the network's keeps it within its budget.
    """

    parts: list[Wiring]
    price: float
    own: list[float]

    @property
    def value(self) -> float:
        """The error of all layers."""
        return float(sum(part.error.sum() for part in self.parts))


def share(layers: Sequence[PricedLayer], neurons: Sequence[np.ndarray], total: float, guess: float) -> Shared | None:
    """Share out `total` tunable weights; None where rows need more on these neurons."""
    own = [0.0] * len(layers)

    def wired(price: float) -> list[Wiring]:
        return [layer.wired(of, max(price, least)) for layer, of, least in zip(layers, neurons, own, strict=True)]

    def use(price: float) -> int:
        return sum(part.used for part in wired(price))

    most = max((layer.most for layer in layers), default=1.0)
    low, high = _ends(use, total, guess, most)
    if any(part.used > layer.budget for layer, part in zip(layers, wired(high), strict=True)):
        for n, (layer, of) in enumerate(zip(layers, neurons, strict=True)):
            own[n] = _ends(lambda p, layer=layer, of=of: layer.wired(of, p).used, layer.budget, high, layer.most)[1]  # type: ignore[misc]
        low, high = _ends(use, total, high, most)
    dear, cheap = wired(high), wired(min(low, high))
    if use(high) > total or any(part.used > layer.budget for layer, part in zip(layers, dear, strict=True)):
        return None
    for n, (layer, of) in enumerate(zip(layers, neurons, strict=True)):
        if own[n] > low:
            cheap[n] = layer.wired(of, own[n] * (1.0 - 2.0 * CLOSE))
    return Shared(_filled(layers, dear, cheap, total), high, own)


def _ends(use: Callable[[float], int], budget: float, guess: float, most: float) -> tuple[float, float]:
    """Prices close together: at the lower one more weights are used than the budget has, at the higher one not."""
    if use(0.0) <= budget:
        return 0.0, 0.0
    low, high, step = 0.0, most, STEP
    price = min(guess, most / 2.0) if guess > 0.0 else most / 2.0
    while high - low > CLOSE * high and high > LEAST:
        if use(price) > budget:
            low = price
        else:
            high = price
        outside = low == 0.0 or high == most
        price = (price * step if high == most else price / step) if outside else (low + high) / 2.0
        price, step = min(price, (low + most) / 2.0), min(step * step, FAR)
    return low, high


def _filled(
    layers: Sequence[PricedLayer], dear: Sequence[Wiring], cheap: Sequence[Wiring], total: float
) -> list[Wiring]:
    """Rows are wired as at the lower price while the budgets last, then the largest errors are made good."""
    rooms = [layer.budget - part.used for layer, part in zip(layers, dear, strict=True)]
    room = total - sum(part.used for part in dear)
    moves: list[tuple[float, int, int, int]] = []
    for n, (layer, one, other) in enumerate(zip(layers, dear, cheap, strict=True)):
        rows, size = layer.target.row_of, layer.target.n_rows
        more = np.bincount(rows, other.tunable, size) - np.bincount(rows, one.tunable, size)
        gain = np.bincount(rows, one.error - other.error, size)
        moves += [(-gain[i] / more[i], n, int(i), int(more[i])) for i in np.flatnonzero((more > 0) & (gain > 0.0))]
    taken: list[list[int]] = [[] for _ in layers]
    for _, n, i, count in sorted(moves):
        if count <= min(room, rooms[n]):
            taken[n].append(i)
            rooms[n], room = rooms[n] - count, room - count
    parts = []
    for layer, one, other, changing in zip(layers, dear, cheap, taken, strict=True):
        change = np.isin(layer.target.row_of, changing)
        parts.append(
            (one.neuron_of, np.where(change, other.tunable, one.tunable), np.where(change, other.error, one.error))
        )
    return _made_good(layers, parts, rooms, room)


def _made_good(
    layers: Sequence[PricedLayer],
    parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    rooms: list[int],
    room: float,
) -> list[Wiring]:
    errors = [(-error, n, e) for n, part in enumerate(parts) for e, error in enumerate(part[2].tolist()) if error > 0.0]
    tunable = [part[1].copy() for part in parts]
    for _, n, e in sorted(errors) if room > 0 else ():
        if min(room, rooms[n]) > 0:
            tunable[n][e] = True
            rooms[n], room = rooms[n] - 1, room - 1
    return [layer.rewired(part[0], chosen) for layer, part, chosen in zip(layers, parts, tunable, strict=True)]
