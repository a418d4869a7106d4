"""Splits of costs by entropic smoothing, in double precision and NumPy: where an ascent begins that would get stuck."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from matchopt.proofs.coupled import Coupled
from matchopt.proofs.effort import Effort

HOT, COLD = 8.0, 0.02  # temperatures, as multiples of the bound for each connection
RELAXED, SINKHORN = 1.6, 3  # of a step, and rounds of an assignment
SHARED, FAINT = 1.001, 1e-30  # listening to a partner: more than it can serve, and so little that it is taken for this
SMOOTH_STEPS, FEWEST, MOST_SMOOTH = 60, 10, 2**22  # steps, at least, and costs of connections on cells
SMOOTH_ENTRY = 60.0  # steps of work for each cost of a connection on a cell


def smoothed(problem: Coupled, heat: float, effort: Effort) -> tuple[np.ndarray, np.ndarray] | None:
    """Prices and fares that inputs keep after steps at a falling temperature, as in `Kept`; None where it is no use.

    An ascent gets stuck where no side alone can keep more, which soft minima never do (entropic smoothing). Partners
    that connections of an item would share get a fare. Steps go beyond what each asks for (over-relaxation).

    Parameters
    ----------
    heat : the unit of temperatures, in that of costs.
    """
    entries = math.prod(problem.shape)
    steps = int(min(SMOOTH_STEPS, effort.steps / (4.0 * SMOOTH_ENTRY * entries)))
    if heat <= 0.0 or not 0 < entries <= MOST_SMOOTH or steps < FEWEST:
        return None
    costs = problem.costs(np.arange(problem.shape[0]))
    costs[np.isinf(costs)] = 4.0 * costs[np.isfinite(costs)].max(initial=0.0) * problem.shape[0]
    sides = [_Soft.of(problem, side, turned) for side, turned in enumerate((costs, costs.transpose(0, 2, 1)))]
    for step in range(steps):
        now = heat * HOT * (COLD / HOT) ** (step / steps)
        for own, other in (sides, sides[::-1]):
            effort.spend(SMOOTH_ENTRY * entries)
            if effort.late_by_the_clock:
                return None
            own.step(other, now, RELAXED if step else 1.0)
    return sides[1].price, sides[1].fare


@dataclass(eq=False)
class _Soft:
    """One side: costs of connections by place and partner, their items, what is kept, and potentials of places."""

    costs: Float[np.ndarray, "connections places partners"]
    items: list[np.ndarray]
    item_of: Int[np.ndarray, " connections"]
    price: Float[np.ndarray, "connections places"]
    fare: Float[np.ndarray, "items places partners"]
    of_place: Float[np.ndarray, " places"]

    @classmethod
    def of(cls, problem: Coupled, side: int, costs: np.ndarray) -> "_Soft":
        items, (count, places, partners) = problem.items[side], costs.shape
        fare = np.zeros((len(items), places, partners))
        return cls(costs, items, problem.item_of[side], np.zeros((count, places)), fare, np.zeros(places))

    def step(self, other: "_Soft", heat: float, relaxed: float) -> None:
        """Keep the soft minima of what the other leaves, less what a soft assignment of the items does not need."""
        paid = self.fare[self.item_of] + other.fare[other.item_of].transpose(0, 2, 1)
        left = self.costs - other.price[:, None, :] - paid
        minima = _soft_least(left, heat, 2)
        listening = np.exp((minima[:, :, None] - left) / heat)
        least, parts = self.fare.sum(axis=2), np.array([max(1, len(e)) for e in self.items])
        for a, e in enumerate(self.items):
            least[a] += minima[e].sum(axis=0)
            shared = listening[e].sum(axis=0)
            changed = np.minimum(0.0, self.fare[a] - heat * np.log(np.maximum(shared, FAINT)))
            self.fare[a] = np.where((shared > SHARED) | (self.fare[a] < 0.0), changed, 0.0)
        warm = heat * len(minima) / len(self.items)
        for _ in range(SINKHORN):
            of_item = _soft_least(least - self.of_place, warm, 1)
            self.of_place = np.minimum(0.0, _soft_least(least - of_item[:, None], warm, 0))
        over = (least - of_item[:, None] - self.of_place) / parts[:, None]
        self.price += relaxed * (minima - over[self.item_of] - self.price)


def _soft_least(values: np.ndarray, heat: float, axis: int) -> np.ndarray:
    least = values.min(axis=axis, keepdims=True)
    total = np.exp((least - values) / heat).sum(axis=axis)
    return np.asarray(least.squeeze(axis) - heat * np.log(total))
