"""The search for the price: each step a bound, an assignment of rows, and a mapping within the budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from matchopt import (
    Gains,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limit,
    Limits,
    Result,
    Solution,
    Status,
    Target,
    kernels,
)  # fmt: skip
from matchopt_budget.priced import PricedLayer
from matchopt_budget.sharing import Shared, share

ROUNDING = 1e-12  # of a bound: sums of positive terms
MET = 1e-9  # relative distance of error and bound that is none
SAME = 1e-8  # relative distance of two prices that are one


@dataclass(frozen=True)
class Whole:
    """Layers with their common budget, and how the mappings of layers become a solution."""

    layers: Sequence[LayerInstance]
    total: float
    solution: Callable[[list[LayerMapping]], Solution]


@dataclass
class _Price:
    """A price: what it is now, and between what it must lie."""

    now: float = 0.0
    low: float = 0.0
    high: float = np.inf

    def see(self, used: float, budget: float) -> None:
        """Learn from what was used at this price."""
        if used > budget:
            self.low = max(self.low, self.now)
        else:
            self.high = min(self.high, self.now)

    def move(self, wanted: float) -> bool:
        """Go to the price that is wanted if it may be the best one, else between the ends; whether that is far."""
        before = self.now
        self.now = wanted
        if not self.low < wanted < self.high and self.high < np.inf:
            self.now = np.sqrt(self.low * self.high) if self.low > 0.0 else self.high / 2.0
        return bool(abs(self.now - before) > SAME * before and self.high - self.low > SAME * self.high)


class _Search:
    """The best bound and mapping so far, and the prices: of the network, and of layers whose own budgets are spent."""

    def __init__(self, whole: Whole, limits: Limits) -> None:
        self.layers = [PricedLayer(layer) for layer in whole.layers]
        self.total = min(whole.total, sum(layer.budget for layer in self.layers))
        self.whole, self.limits = whole, limits
        self.bound, self.evaluated = 0.0, 0
        self.price, self.own = _Price(), [_Price() for _ in self.layers]
        self.best: Shared | None = None

    def start(self) -> bool:
        """Rows where the fewest tunable weights are needed; False if those are too many."""
        needed = [layer.needed() for layer in self.layers]
        neurons = [np.asarray(kernels.assign(need)) for need in needed]
        uses = [need[np.arange(len(of)), of].sum() for need, of in zip(needed, neurons, strict=True)]
        if sum(uses) > self.total or any(use > layer.budget for use, layer in zip(uses, self.layers, strict=True)):
            return False
        self.keep(neurons, 0.0)
        return True

    def keep(self, neurons: list[np.ndarray], guess: float) -> Shared | None:
        """Share the tunable weights out on these neurons; what came of it, offered where it is the best."""
        found = share(self.layers, neurons, self.total, guess)
        if found is not None and (self.best is None or found.value < self.best.value):
            self.best = found
            parts = [part.mapping(layer.target) for part, layer in zip(found.parts, self.layers, strict=True)]
            self.limits.offer(self.whole.solution(parts), found.value, self.bound)
        return found

    def evaluate(self, roughly: bool = False) -> list[np.ndarray] | None:
        """The best neurons at the prices, and the bound that follows; None out of time.

        `roughly` counts all errors of a row alike, which is fast and bounds nothing.
        """
        r, neurons, wirings = self.price.now, [], []
        bound = size = -r * self.total
        for layer, own in zip(self.layers, self.own, strict=True):
            p = max(r, own.now)
            costs = layer.costs(p, self.limits, layer.even() if roughly else None)
            if costs is None:
                return None
            neuron_of = kernels.assign(costs)
            assert neuron_of is not None
            neurons.append(neuron_of)
            wirings.append(layer.wired(neuron_of, p))
            cost = float(costs[np.arange(len(neuron_of)), neuron_of].sum())
            bound, size = bound + cost - (p - r) * layer.budget, size + cost + p * layer.budget
        if not roughly:
            self.bound = max(self.bound, bound - ROUNDING * abs(size))
            self.evaluated += 1
            self._learn([wiring.used for wiring in wirings])
        return neurons

    def _learn(self, used: list[int]) -> None:
        """The slopes of the bound in the prices say on which side of the best ones these are."""
        r, spent = self.price.now, 0
        for layer, own, count in zip(self.layers, self.own, used, strict=True):
            spent += layer.budget if own.now > r else count
            own.now = max(own.now, r)
            own.see(count, layer.budget)
        self.price.see(spent, self.total)

    def move(self, found: Shared) -> bool:
        """Go on to better prices than those of these neurons; False if there are none."""
        far = self.price.move(found.price)
        for own, wanted in zip(self.own, found.own, strict=True):
            moved = own.move(wanted) if wanted > found.price else False
            own.now = own.now if wanted > found.price else 0.0
            far = far or moved
        return far

    def close(self, gap: float) -> bool:
        """Whether bound and error are that close."""
        return self.best is not None and self.best.value - self.bound <= gap * self.best.value

    def improve(self) -> bool:
        """New neurons for the tunable weights there are, and new tunable weights for these; whether that helped."""
        assert self.best is not None
        before = self.best
        neurons = [
            layer.replaced(part.tunable, self.limits) for layer, part in zip(self.layers, before.parts, strict=True)
        ]
        if any(of is None for of in neurons):
            return False
        self.keep(neurons, before.price)  # type: ignore[arg-type]
        return self.best.value < before.value * (1.0 - MET)


def search(whole: Whole, limits: Limits, rounds: int, gap: float) -> Result:
    """See `Lagrangian`."""
    state = _Search(whole, limits)
    if not state.start():
        return Result(None, Status.INFEASIBLE, message="its rows need more tunable weights than there are")
    assert state.best is not None
    if not all(layer.is_even for layer in state.layers):
        state.move(state.best)
        rough = state.evaluate(roughly=True)
        if rough is not None:
            state.keep(rough, state.best.price)
    state.move(state.best)
    done = False
    for _ in limits.steps(rounds):
        neurons = state.evaluate()
        if neurons is None:
            break
        found = state.keep(neurons, state.price.now) or state.best
        done = state.close(gap) or not state.move(found)
        if done:
            break
    while not state.close(gap) and not limits.reached() and state.improve():
        pass
    return _result(state, limits.reached() or (None if done else Limit.ITERATION))


def _result(state: _Search, limit: Limit | None) -> Result:
    met = state.close(MET)
    stats = {"prices": state.evaluated, "price": 0.0 if state.best is None else state.best.price}
    bound = float(min(state.bound, state.limits.best_value))
    status = Status.OPTIMAL if met else Status.FEASIBLE
    return Result(state.limits.best, status, None if met else limit, bound, stats)


def compile_search() -> None:
    """Load and compile what the search calls."""
    target, chip = Target.from_dense(np.ones((1, 1))), Hardware(np.ones((1, 1)))
    for price in (None, 1.0):
        kernels.pair_costs(target, chip, gains=Gains(), drop=False, price=price, threads=1)
        kernels.match_rows(target, chip, np.zeros(1, int), gains=Gains(), drop=False, price=price)
    kernels.assign(np.zeros((1, 1)))
