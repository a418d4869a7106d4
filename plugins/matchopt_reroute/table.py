"""Lower bounds on the costs of all pairs, raised by enumeration."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from matchopt import LayerInstance
from matchopt_reroute.bounds import SAFE
from matchopt_reroute.enumeration import least_errors
from matchopt_reroute.factors import factored

STEPS = 6  # how often the interval between a pair's bound and its best known cost is halved

Found = tuple[int, float, np.ndarray, float]  # neuron, cost, input of each of its cells, gain


class PairTable:
    """Lower bounds of all pairs.

    Attributes
    ----------
    bounds : lower bound of every pair, inf where the row does not fit.
    exact : pairs whose bound is their cost, up to rounding.
    spent : nodes of the largest enumeration that did not end.
    nodes : of all enumerations.
    """

    def __init__(self, instance: LayerInstance, bounds: np.ndarray, threads: int) -> None:
        self._instance, self._threads = instance, max(1, threads)
        self.bounds, self.exact = bounds.copy(), ~np.isfinite(bounds)
        self.spent, self.nodes = np.zeros(bounds.shape, np.int64), 0
        hardware, gains = instance.hardware, instance.rules.gains.values
        assert gains is not None
        self._count = np.asarray(hardware.n_usable, np.int64)
        self._chips = []
        for gain in gains:
            weights = np.where(hardware.usable, gain * hardware.weights, np.inf)
            order = np.argsort(weights, axis=1, kind="stable")
            noise = np.take_along_axis(gain**2 * hardware.variance, order, axis=1)
            self._chips.append((gain, order, np.take_along_axis(weights, order, axis=1), noise))
        self._rows = [factored(instance, i) for i in range(instance.n_rows)]

    def below(self, i: int, neurons: np.ndarray, ceiling: np.ndarray, budget: int) -> list[Found]:
        """Enumerate pairs of row i below `ceiling`; what costs less, and the bounds raised where a search ended."""
        if len(neurons) == 0:
            return []
        parts = np.array_split(np.arange(len(neurons)), min(self._threads, len(neurons)))
        with ThreadPoolExecutor(len(parts)) as pool:
            results = list(pool.map(lambda part: self._least(i, neurons[part], ceiling[part], budget), parts))
        found = []
        for part, (cost, ended, number, at, nodes) in zip(parts, results, strict=True):
            self.nodes += nodes
            for t, j in enumerate(neurons[part].tolist()):
                if ended[t]:
                    self.bounds[i, j] = max(self.bounds[i, j], cost[t] * SAFE)
                    self.exact[i, j] = number[t] >= 0
                else:
                    self.spent[i, j] = budget
                if number[t] >= 0:
                    found.append(self._found(i, j, float(cost[t]), int(number[t]), at[t]))
        return found

    def settle(self, i: int, neurons: np.ndarray, cost: np.ndarray) -> None:
        """Mark pairs exact whose bound has reached what they are known to cost."""
        self.exact[i, neurons] |= self.bounds[i, neurons] >= cost * SAFE

    def halve(self, i: int, j: int, reached: float, budget: int) -> None:
        """Raise the bound of one pair towards the cost that is reached, as far as enumeration with `budget` ends."""
        lower, upper = float(self.bounds[i, j]), reached
        for _ in range(STEPS):
            limit = 0.5 * (lower + upper)
            cost, ended, number, _, nodes = self._least(i, np.array([j]), np.array([limit]), budget)
            self.nodes += nodes
            if not ended[0]:
                upper = limit
                continue
            lower = float(cost[0])
            if number[0] >= 0:
                break  # the cost itself
        self.bounds[i, j] = max(self.bounds[i, j], lower * SAFE)

    def _least(
        self, i: int, neurons: np.ndarray, ceiling: np.ndarray, budget: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
        """Least costs below the ceilings (else the ceilings), which searches ended, gains (-1: none), cells, nodes."""
        factor, _, wanted, power = self._rows[i]
        best, ended, nodes = ceiling.astype(np.float64), np.ones(len(neurons), bool), 0
        number, at = np.full(len(neurons), -1), np.full((len(neurons), len(wanted)), -1)
        drop = self._instance.rules.drop
        for n, (_, _, cells, noise) in enumerate(self._chips):
            done, before = np.zeros(len(neurons), bool), best.copy()
            chip = cells, noise, self._count
            nodes += least_errors(neurons, factor, wanted, power, *chip, drop, budget, best, done, at)
            ended &= done
            number[best < before] = n
        return best, ended, number, at, nodes

    def _found(self, i: int, j: int, cost: float, number: int, at: np.ndarray) -> Found:
        """From sorted cells in the order of the enumeration to inputs by cell."""
        gain, sorted_cells, _, _ = self._chips[number]
        _, order, _, _ = self._rows[i]
        inputs = self._instance.target.indices[self._instance.target.row(i)][order]
        places = np.full(self._instance.hardware.n_cells, -1)
        places[sorted_cells[j][at[at >= 0]]] = inputs[at >= 0]
        return j, cost, places, gain
