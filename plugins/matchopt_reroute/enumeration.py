"""Exact costs of pairs by enumeration, and the lower bounds that it raises; loading this loads numba.

The cost of one row on one hardware neuron is an integer least-squares problem with distinct cells.

With S = R^T R, R upper triangular, the error of a row is a sum over its inputs of (R_ll d_l + sum over m > l of
R_lm d_m)^2, d = target - realised weights. Inputs are decided from the last to the first; at each the free cells are
tried in order of their distance from the weight that would leave no error there, and a branch ends where its error
reaches the best known (sphere decoding; C. P. Schnorr, M. Euchner, Mathematical Programming 66, 1994,
10.1007/BF01581144). Cells are in ascending order.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from matchopt import LayerInstance
from matchopt.kernels import compiled
from matchopt_reroute.bounds import SAFE, moments_of

NONE, DROPPED = -2, -1
STEPS = 6  # how often the interval between a pair's bound and its best known cost is halved
SINGULAR = 1e-12  # a pivot below this share of its diagonal is rounding

Found = tuple[int, float, np.ndarray, float]  # neuron, cost, input of each of its cells, gain


@compiled
def next_choice(level: Any, centre: Any, cells: Any, used: Any, low: Any, high: Any, droppable: Any) -> Any:
    """The free cell nearest to `centre` that has not been tried at this level, DROPPED for none at all, or NONE."""
    while low[level] >= 0 and used[low[level]]:
        low[level] -= 1
    while high[level] < cells.size and used[high[level]]:
        high[level] += 1
    below = centre - cells[low[level]] if low[level] >= 0 else np.inf
    above = cells[high[level]] - centre if high[level] < cells.size else np.inf
    if droppable[level] and abs(centre) <= min(below, above):
        droppable[level] = False
        return DROPPED
    if below == np.inf and above == np.inf:
        return NONE
    if below <= above:
        low[level] -= 1
        return low[level] + 1
    high[level] += 1
    return high[level] - 1


@compiled
def open_level(
    level: Any, factor: Any, target: Any, cells: Any, missing: Any, rest: Any, centre: Any, low: Any, high: Any
) -> None:
    """Set what the levels above leave for this one, and the weight that would undo it."""
    rest[level] = 0.0
    for m in range(level + 1, target.size):
        rest[level] += factor[level, m] * missing[m]
    centre[level] = target[level]
    if factor[level, level] > 0.0:
        centre[level] += rest[level] / factor[level, level]
    high[level] = np.searchsorted(cells, centre[level])
    low[level] = high[level] - 1


@compiled
def least_error(factor: Any, target: Any, power: Any, cells: Any, noise: Any, drop: Any, limit: Any, budget: Any,
                at: Any) -> Any:  # fmt: skip
    """The least error below `limit`, or `limit` if there is none; the nodes visited; whether the search ended.

    `at` receives the cell of each input, DROPPED for none, where an error below `limit` is found.
    """
    n = target.size
    used = np.zeros(cells.size, np.bool_)
    low, high = np.empty(n, np.int64), np.empty(n, np.int64)
    droppable, chosen = np.zeros(n, np.bool_), np.full(n, NONE, np.int64)
    error, centre, rest, missing = np.zeros(n + 1), np.zeros(n), np.zeros(n), np.zeros(n)
    best, nodes, level, entering = limit, 0, n - 1, True
    if n == 0:
        return min(best, 0.0), 0, True
    while level < n:
        if entering:
            open_level(level, factor, target, cells, missing, rest, centre, low, high)
            droppable[level], chosen[level] = drop, NONE
        elif chosen[level] >= 0:
            used[chosen[level]] = False
        k = next_choice(level, centre[level], cells, used, low, high, droppable)
        weight = cells[k] if k >= 0 else 0.0
        short = rest[level] + factor[level, level] * (target[level] - weight)
        reach = error[level + 1] + short * short
        chosen[level], entering = k, False
        if k == NONE or reach >= best:
            chosen[level] = NONE
            level += 1
            continue
        nodes += 1
        if nodes > budget:
            return best, nodes, False
        if k >= 0:
            reach += noise[k] * power[level]
            used[k] = True
        if reach >= best:
            continue
        error[level] = reach
        missing[level] = target[level] - weight
        if level == 0:
            best = reach
            at[:] = chosen
        else:
            level -= 1
            entering = True
    return best, nodes, True


@compiled
def least_errors(neurons: Any, factor: Any, target: Any, power: Any, cells: Any, noise: Any, count: Any, drop: Any,
                 budget: Any, best: Any, ended: Any, at: Any) -> Any:  # fmt: skip
    """`least_error` of one row on several neurons, one line of `best`, `ended` and `at` for each; returns the nodes.

    On entry `best` holds the limits; `at` is filled where something better is found.
    """
    nodes = 0
    for t in range(neurons.size):
        j = neurons[t]
        best[t], visited, ended[t] = least_error(
            factor, target, power, cells[j, : count[j]], noise[j, : count[j]], drop, best[t], budget, at[t]
        )
        nodes += visited
    return nodes


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


def factored(instance: LayerInstance, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row i for the enumeration: R, the order of its connections in it, their weights and second moments.

    The input that the others explain least comes last, where the enumeration begins, and so on among those left.
    """
    part = instance.target.row(i)
    inputs = instance.target.indices[part]
    own = moments_of(instance)[np.ix_(inputs, inputs)]
    left, last = list(range(len(inputs))), []
    while left:
        block = own[np.ix_(left, left)]
        jitter = SINGULAR * max(float(block.diagonal().max()), 1e-300)
        inverse = np.linalg.inv(block + jitter * np.eye(len(left)))
        last.append(left.pop(int(np.argmin(inverse.diagonal()))))
    order = np.array(last[::-1], np.int64)
    own = np.ascontiguousarray(own[np.ix_(order, order)])
    return _root(own), order, instance.target.weights[part][order], own.diagonal().copy()


def _root(matrix: np.ndarray) -> np.ndarray:
    """The upper triangular R >= 0 on its diagonal with R^T R = matrix; rows of inputs that others determine are 0."""
    rest, root = matrix.copy(), np.zeros_like(matrix)
    for n in range(len(matrix)):
        if rest[n, n] > SINGULAR * matrix[n, n]:
            root[n, n:] = rest[n, n:] / np.sqrt(rest[n, n])
            rest[n:, n:] -= np.outer(root[n, n:], root[n, n:])
    return root
