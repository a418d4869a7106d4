r"""The best gain of an interval together with the best matching, exactly.

For a fixed matching M the cost at gain g is A - 2 g B + g^2 C with A = sum q w^2 over all connections and, over the
matched ones, B = sum q w h and C = sum q (h^2 + v) >= 0 (a dropped connection keeps its q w^2, so it adds nothing to B
and C). Its best gain is B / C, clipped to the interval.

*Claim.* For 0 <= low < high it is enough to look at matchings that are optimal for some direction
(alpha, beta) = (g^2, 2 g), low <= g <= high, with (0, 1) in place of g = 0; one matching per piece of the envelope
L(alpha, beta) = min over M of alpha C - beta B. *Proof.* Let (g, M) be jointly optimal. M is optimal at gain g, so it
attains L there (at g = 0 every pair costs A, so any matching does). L is concave, homogeneous and linear on finitely
many cones; let M' be the matching kept for a cone that contains the direction of g. Being linear there, M' attains
L at g too, and costs the same as M at g; the clipped gain of M' costs no more.

The pieces are found by the recursion of Eisner and Severance: solve at both ends; where the two lines cross, solve
again; stop when that brings nothing below the two lines. As L is concave, between two directions it lies above the
linear function that agrees with it at both. That gives a lower bound a g^2 - 2 b g + A over the interval of gains, in
closed form; a part whose bound does not beat the best cost found is cut off, so few pieces are ever visited.

The end (0, 1) asks for the matching of largest B. By the rearrangement inequality it gives the most negative q w the
lowest cells and the most positive the highest, in order; where dropping is allowed, only products q w h > 0 are kept.

Negative gains are the same problem with all cells negated. With 0 inside the interval each side is solved by itself;
the cost A of g = 0 is among the candidates of both, as M attains it or less at its clipped gain.

References: Eisner and Severance, "Mathematical techniques for efficient record segmentation in large shared
databases", J. ACM 23(4), 1976, 10.1145/321978.321982.
"""

from typing import Any, NamedTuple

import numpy as np

from matchopt.kernels.compiling import compiled, inlined, leaf
from matchopt.kernels.row_cost import match_row, scale_cells
from matchopt.kernels.runs import nearest_of_row
from matchopt.kernels.small_assignment import DROPPED

# Of A. Costs are differences of sums of that size, so finer differences between envelope pieces are rounding.
ROUNDING = 1e-14

# Columns of a table of lines: the gain and the direction (alpha, beta) that a matching is kept for, what it reaches
# there, L = alpha C - beta B, and its B and C.
GAIN, ALPHA, BETA, REACH, ALONG, ENERGY = range(6)


class Pair(NamedTuple):
    """A target row and a hardware neuron.

    `weights` ascend, with their `importance` and whether that is `uniform`; `steepest` sorts importance * weight
    ascending. `cells` ascend, the first `n_cells` usable, with their `variance`. `skip` is
    what each weight costs left out, its importance times its square, and empty where none may be.
    """

    weights: Any
    importance: Any
    uniform: Any
    steepest: Any
    cells: Any
    variance: Any
    n_cells: Any
    skip: Any


@compiled
def best_gain(pair, low, high, near, kept, scratch):
    """Least cost over gains in [low, high] and matchings of one pair; (cost, gain), with the cells used in `kept`.

    `kept` counts cells in the order of `pair.cells`, -1 for dropped. Infeasible: cost inf.
    """
    w, q, cells, variance, n_cells = pair.weights, pair.importance, pair.cells, pair.variance, pair.n_cells
    drop = pair.skip.size > 0
    gain = min(max(1.0, low), high)
    square = 0.0
    for e in range(w.size):
        kept[e] = DROPPED
        square += q[e] * w[e] * w[e]
    best = square if drop or w.size == 0 else np.inf, gain
    if w.size == 0 or n_cells == 0 or (w.size > n_cells and not drop):
        return best
    if high > 0.0:
        best = _best_on_side(pair, 1.0, max(low, 0.0), high, square, near, kept, scratch, best)
    if low < 0.0:
        negated = np.empty(cells.size)
        noise = np.empty(variance.size)
        scale_cells(-1.0, cells, variance, n_cells, negated, noise)
        mirrored = Pair(w, q, pair.uniform, pair.steepest, negated, noise, n_cells, pair.skip)
        best = _best_on_side(mirrored, -1.0, max(-high, 0.0), -low, square, near, kept, scratch, best)
    return best


@compiled
def _best_on_side(pair, sign, low, high, square, near, kept, scratch, best):
    """`best_gain` for 0 <= low < high, improving on `best`; gains are reported times `sign`, which mirrors the cells.

    A line of `lines` is a matching kept for one direction. `following` chains them by gain; a part of the envelope lies
    between a line and the one that follows it, and `open_parts` is a stack of them.
    """
    lines = np.empty((64, 6))
    following = np.empty(64, np.int64)
    open_parts = np.empty(64, np.int64)
    _solve_at(pair, high, square, near, scratch, lines[1])
    best = _keep_better(pair, sign, low, high, lines[1], near, kept, best)
    _solve_at(pair, low, square, near, scratch, lines[0])
    best = _keep_better(pair, sign, low, high, lines[0], near, kept, best)
    following[0] = 1
    open_parts[0] = 0
    n_lines, n_open = 2, 1
    while n_open:
        n_open -= 1
        part = open_parts[n_open]
        lower, upper = lines[part], lines[following[part]]
        gain = _crossing(lower, upper)
        if gain < 0.0 or square + _bound(lower, upper) >= best[0] - ROUNDING * square:
            continue
        if n_lines == following.size:
            lines, following, open_parts = _doubled(lines, following, open_parts)
            lower = lines[part]
        middle = lines[n_lines]
        _solve_at(pair, gain, square, near, scratch, middle)
        best = _keep_better(pair, sign, low, high, middle, near, kept, best)
        if middle[REACH] >= middle[ALPHA] * lower[ENERGY] - middle[BETA] * lower[ALONG] - ROUNDING * square:
            continue
        following[n_lines] = following[part]
        following[part] = n_lines
        open_parts[n_open] = part
        open_parts[n_open + 1] = n_lines
        n_lines += 1
        n_open += 2
    return best


@compiled
def _doubled(lines, following, open_parts):
    size = following.size
    more_lines = np.empty((2 * size, 6))
    more_following = np.empty(2 * size, np.int64)
    more_open = np.empty(2 * size, np.int64)
    for p in range(size):
        more_following[p] = following[p]
        more_open[p] = open_parts[p]
        for i in range(6):
            more_lines[p, i] = lines[p, i]
    return more_lines, more_following, more_open


@inlined
def _crossing(lower, upper):
    """Gain at which two lines of the envelope cross, or -1 where they are one up to rounding."""
    rise, run = lower[ALONG] - upper[ALONG], lower[ENERGY] - upper[ENERGY]
    if rise <= 0.0 or run <= 0.0:
        return -1.0
    gain = 2.0 * rise / run
    return gain if lower[GAIN] < gain < upper[GAIN] else -1.0


@inlined
def _bound(lower, upper):
    """Least a g^2 - 2 b g over the gains of a part, a and b agreeing with L at both ends."""
    determinant = upper[ALPHA] * lower[BETA] - lower[ALPHA] * upper[BETA]
    a = (upper[REACH] * lower[BETA] - lower[REACH] * upper[BETA]) / determinant
    b = (lower[ALPHA] * upper[REACH] - upper[ALPHA] * lower[REACH]) / determinant
    if a > 0.0 and lower[GAIN] < b / a < upper[GAIN]:
        return -b * b / a
    return min(
        a * upper[GAIN] * upper[GAIN] - 2.0 * b * upper[GAIN], a * lower[GAIN] * lower[GAIN] - 2.0 * b * lower[GAIN]
    )


@leaf
def _solve_at(pair, gain, square, near, scratch, line):
    """Optimal matching at a gain > 0, or that of largest B at gain 0: its cells in `near`, and its `line`."""
    w, q, cells, variance, n_cells = pair.weights, pair.importance, pair.cells, pair.variance, pair.n_cells
    scaled, noise = scratch.scaled, scratch.noise
    first, unlimited = np.int64(0), np.float64(np.inf)
    cost = 0.0
    if gain > 0.0:
        scale_cells(gain, cells, variance, n_cells, scaled, noise)
        nearest_of_row(w, scaled, n_cells, near)
        cost = match_row(
            first, w.size, w, q, pair.uniform, scaled, noise, n_cells, pair.skip, near, unlimited,
            scratch.conflicts, scratch.work,
        )  # fmt: skip
    else:
        _steepest_matching(pair, near)
    along, energy = 0.0, 0.0
    for e in range(w.size):
        k = near[e]
        if k >= 0:
            along += q[e] * w[e] * cells[k]
            energy += q[e] * (cells[k] * cells[k] + (variance[k] if variance.size else 0.0))
    line[GAIN], line[ALPHA], line[BETA] = gain, gain * gain, 2.0 * gain
    line[REACH], line[ALONG], line[ENERGY] = cost - square, along, energy
    if gain == 0.0:
        line[BETA], line[REACH] = 1.0, -along


@leaf
def _steepest_matching(pair, near):
    """Matching of largest B (rearrangement inequality)."""
    w, q, cells, n_cells, drop = pair.weights, pair.importance, pair.cells, pair.n_cells, pair.skip.size > 0
    for e in range(w.size):
        near[e] = DROPPED
    for p in range(w.size):
        e = pair.steepest[p]
        if q[e] * w[e] >= 0.0 or (drop and (p >= n_cells or cells[p] >= 0.0)):
            break
        near[e] = p
    for p in range(w.size - 1, -1, -1):
        e, k = pair.steepest[p], n_cells - w.size + p
        if q[e] * w[e] < 0.0 or (drop and (q[e] * w[e] == 0.0 or k < 0 or cells[k] <= 0.0)):
            break
        near[e] = k


@leaf
def _keep_better(pair, sign, low, high, line, near, kept, best):
    """Evaluate the matching in `near` at its own best gain; the better of it and `best`, its cells in `kept`."""
    w, q, cells, variance, n_cells = pair.weights, pair.importance, pair.cells, pair.variance, pair.n_cells
    gain = min(max(line[ALONG] / line[ENERGY], low), high) if line[ENERGY] > 0.0 else line[GAIN]
    cost = 0.0
    for e in range(w.size):
        k = near[e]
        error = w[e] - (gain * cells[k] if k >= 0 else 0.0)
        noise = variance[k] if k >= 0 and variance.size else 0.0
        cost += q[e] * (error * error + gain * gain * noise)
    if cost >= best[0]:
        return best
    for e in range(w.size):
        mirrored = sign < 0.0 and near[e] >= 0
        kept[e] = n_cells - 1 - near[e] if mirrored else near[e]
    return cost, sign * gain
