"""Textbook searches of one crossbar, to compare with: single-swap annealing and robust tabu search, both compiled.

References: S. Kirkpatrick, C. Gelatt, M. Vecchi, "Optimization by simulated annealing", Science 220 (1983),
10.1126/science.220.4598.671; E. Taillard, "Robust taboo search for the quadratic assignment problem", Parallel
Computing 17 (1991), 10.1016/S0167-8191(05)80147-4.
"""

import time
from typing import Any, NamedTuple, no_type_check

import numpy as np

from matchopt import LayerInstance
from matchopt.kernels import compiled

HOT, COLD = 1.0, 0.1  # temperatures of annealing, in squares of the targets' unit
SWAPS, STEPS = 20_000, 100  # between two looks at the clock


class Side(NamedTuple):
    """Rows with their connections and neurons, or inputs with theirs and lines: `places[a]` is that of item a, spare
    ones included; `table[a, j]` is what item a costs on place j, `banned[a, j]` until when tabu search bars it."""

    start: Any
    met: Any
    weight: Any
    cells: Any
    places: Any
    table: Any
    banned: Any


def anneal(layer: LayerInstance, seconds: float, seed: int) -> float:
    """The error after so many seconds of processor time, random swaps of two rows or two inputs one at a time."""
    sides, began = _sides(layer, seed), time.process_time()
    while (share := (time.process_time() - began) / seconds) < 1.0:
        _swaps(*sides, layer.rules.drop, HOT * (COLD / HOT) ** share, SWAPS, seed + int(1e9 * share))
    return _error(layer, sides)


def tabu(layer: LayerInstance, seconds: float, seed: int) -> float:
    """The best error in so many seconds of processor time; of all swaps the best that is not barred is made."""
    sides, began, now = _sides(layer, seed), time.process_time(), 0
    for side, other in (sides, sides[::-1]):
        for a in range(len(side.start) - 1):
            _tabulate(side, other, a, layer.rules.drop)
    least, kept = np.zeros(1) + np.inf, [side.places.copy() for side in sides]
    while time.process_time() - began < seconds:
        _moves(*sides, layer.rules.drop, now, STEPS, seed + now, least, *kept)
        now += STEPS
    for side, places in zip(sides, kept, strict=True):
        side.places[:] = places
    return _error(layer, sides)


def _sides(layer: LayerInstance, seed: int) -> tuple[Side, Side]:
    target, rng, made = layer.target, np.random.default_rng(seed), []
    by_input = np.lexsort((target.row_of, target.indices))
    starts = [target.indptr, np.concatenate([[0], np.cumsum(np.bincount(target.indices, minlength=target.n_inputs))])]
    listed = [(target.indices, target.weights), (target.row_of[by_input], target.weights[by_input])]
    for start, (met, weight), cells in zip(
        starts, listed, (layer.hardware.weights, layer.hardware.weights.T), strict=True
    ):
        shape = (len(start) - 1, len(cells))
        parts = np.array(start, np.int64), np.array(met, np.int64), np.array(weight), np.array(cells, order="C")
        made.append(Side(*parts, rng.permutation(len(cells)), np.zeros(shape), np.zeros(shape, np.int64)))
    return made[0], made[1]


def _error(layer: LayerInstance, sides: tuple[Side, Side]) -> float:
    rows, inputs = sides[0].places[layer.target.row_of], sides[1].places[layer.target.indices]
    squares = (layer.target.weights - layer.hardware.weights[rows, inputs]) ** 2
    return float((np.minimum(squares, layer.target.weights**2) if layer.rules.drop else squares).sum())


@compiled
@no_type_check
def _cost(side, other, a, place, drop):
    """What item a costs on a place, its partners where they are."""
    total, cells = 0.0, side.cells[place]
    for e in range(side.start[a], side.start[a + 1]):
        w = side.weight[e]
        d = w - cells[other.places[side.met[e]]]
        total += min(d * d, w * w) if drop else d * d
    return total


@compiled
@no_type_check
def _swaps(rows, cols, drop, heat, number, seed):
    """So many random swaps at one temperature."""
    np.random.seed(seed % 2**31)  # noqa: NPY002  # what compiled code has
    for _ in range(number):
        side, other = (rows, cols) if np.random.random() < 0.5 else (cols, rows)  # noqa: NPY002
        items = side.start.size - 1
        a, b = np.random.randint(items), np.random.randint(side.places.size)  # noqa: NPY002
        if a == b:
            continue
        at, to = side.places[a], side.places[b]
        delta = _cost(side, other, a, to, drop) - _cost(side, other, a, at, drop)
        if b < items:
            delta += _cost(side, other, b, at, drop) - _cost(side, other, b, to, drop)
        if delta <= 0.0 or np.random.random() < np.exp(-delta / heat):  # noqa: NPY002
            side.places[a], side.places[b] = to, at


@compiled
@no_type_check
def _tabulate(side, other, a, drop):
    for j in range(side.places.size):
        side.table[a, j] = _cost(side, other, a, j, drop)


@compiled
@no_type_check
def _best(side, now, goal):
    """The best swap that is not barred or reaches the goal: what it changes, and the two items."""
    items, least, first, second = side.start.size - 1, np.inf, -1, -1
    for a in range(items):
        at = side.places[a]
        for b in range(a + 1, side.places.size):
            to = side.places[b]
            delta = side.table[a, to] - side.table[a, at]
            if b < items:
                delta += side.table[b, at] - side.table[b, to]
            if delta < least:
                barred = side.banned[a, to] > now and (b >= items or side.banned[b, at] > now)
                if not barred or delta < goal:
                    least, first, second = delta, a, b
    return least, first, second


@compiled
@no_type_check
def _move(side, other, a, b, drop, until):
    """Swap two items, bar the way back, and renew the other table where they have partners."""
    at, to, items = side.places[a], side.places[b], side.start.size - 1
    side.places[a], side.places[b] = to, at
    side.banned[a, at] = until
    for item in (a, b):
        if item < items:
            for e in range(side.start[item], side.start[item + 1]):
                _tabulate(other, side, side.met[e], drop)
    if b < items:
        side.banned[b, to] = until


@compiled
@no_type_check
def _moves(rows, cols, drop, now, number, seed, least, kept_rows, kept_cols):
    np.random.seed(seed % 2**31)  # noqa: NPY002  # what compiled code has
    total = 0.0
    for a in range(rows.start.size - 1):
        total += rows.table[a, rows.places[a]]
    for step in range(now, now + number):
        goal = least[0] - total - 1e-9
        by_rows, by_cols = _best(rows, step, goal), _best(cols, step, goal)
        until = step + np.random.randint(20, 80)  # noqa: NPY002
        if by_rows[0] <= by_cols[0] and by_rows[1] >= 0:
            _move(rows, cols, by_rows[1], by_rows[2], drop, until)
            total += by_rows[0]
        elif by_cols[1] >= 0:
            _move(cols, rows, by_cols[1], by_cols[2], drop, until)
            total += by_cols[0]
        if total < least[0] - 1e-9:
            least[0] = total
            kept_rows[:] = rows.places
            kept_cols[:] = cols.places
