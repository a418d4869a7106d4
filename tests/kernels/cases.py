"""Small layers of every kind, and the cost of a pair by methods that share nothing with the kernels."""

from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from matchopt import Gains, Hardware, Target


@dataclass(frozen=True)
class Case:
    """A layer without rules of its own: what the kernels take."""

    target: Target
    hardware: Hardware
    gains: Gains
    drop: bool

    def row(self, i, j):
        """(w, q, h, v) of row i and the usable cells of neuron j."""
        e, usable = self.target.row(i), self.hardware.usable[j]
        return (
            self.target.weights[e],
            self.target.importance[e],
            self.hardware.weights[j][usable],
            self.hardware.variance[j][usable],
        )


@st.composite
def cases(draw, most_targets, most_cells, interval=False):
    """Layers with ties, empty and infeasible rows, noise, unusable cells, unequal and zero importance, any gains."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, neurons = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    n_cells = draw(st.integers(1, most_cells))
    values = draw(st.sampled_from(["gaussian", "binary", "grid", "heavy"]))
    fan_in = rng.integers(0, min(most_targets, n_cells + 2) + 1, m)
    size = int(fan_in.sum())
    importance = draw(st.sampled_from(["one", "per row", "any"]))
    q = {
        "one": np.ones(size),
        "per row": np.repeat(rng.integers(0, 3, m) * 1.0, fan_in),
        "any": rng.integers(0, 3, size) * rng.random(size),
    }[importance]
    target = Target(
        np.concatenate([[0], np.cumsum(fan_in)]),
        np.concatenate([np.arange(n) for n in fan_in]).astype(int),
        _values(values, rng, size),
        int(fan_in.max(initial=1)),
        q,
    )
    shape = (neurons, n_cells)
    variance = rng.random(shape) * rng.integers(0, 2, shape) if draw(st.booleans()) else None
    usable = rng.random(shape) < 0.8 if draw(st.booleans()) else None
    hardware = Hardware(_values(values, rng, shape), variance, usable)
    if interval:
        low = draw(st.sampled_from([-2.0, -0.5, 0.0, 0.3, 1.0]))
        gains = Gains.interval(low, low + draw(st.sampled_from([0.0, 0.1, 1.0, 3.0])))
    else:
        gains = Gains(draw(st.sampled_from([(1.0,), (-1.0,), (0.0,), (0.5, 1.0), (2.0, -0.7, 0.0, 1.0)])))
    return Case(target, hardware, gains, draw(st.booleans()))


def _values(kind, rng, shape):
    if kind == "gaussian":
        return rng.standard_normal(shape)
    if kind == "heavy":
        return rng.standard_cauchy(shape)
    return rng.choice([-1.0, 1.0], shape) if kind == "binary" else rng.integers(-2, 3, shape) / 2


def by_permutations(w, q, h, v, gain, drop):
    """Least cost of a row at one gain, by trying every injection (and every set of dropped connections)."""
    return min(
        (sum(q * ((w - gain * hs) ** 2 + gain**2 * vs)) for hs, vs in _realisations(w, h, v, drop)), default=np.inf
    )


def by_least_squares(w, q, h, v, low, high, drop):
    """Least cost of a row over an interval of gains: for every injection, the clipped least-squares gain."""
    best = np.inf
    for hs, vs in _realisations(w, h, v, drop):
        energy = sum(q * (hs**2 + vs))
        gain = min(max(sum(q * w * hs) / energy, low), high) if energy > 0 else low
        best = min(best, sum(q * ((w - gain * hs) ** 2 + gain**2 * vs)))
    return best


def _realisations(w, h, v, drop):
    n = len(w)
    for matched in range(0 if drop else n, n + 1):
        for kept in combinations(range(n), matched):
            for cells in permutations(range(len(h)), matched):
                hs, vs = np.zeros(n), np.zeros(n)
                hs[list(kept)], vs[list(kept)] = h[list(cells)], v[list(cells)]
                yield hs, vs


def by_assignment(w, q, h, v, gain, drop, price=np.inf):
    """Least cost of a row at one gain by SciPy's assignment on the full matrix, with a private column to drop into."""
    skip = np.minimum(q * w**2 if drop else np.inf, price) + np.zeros(len(w))
    if len(w) > len(h) and not np.isfinite(skip).all():
        return np.inf
    cost = q[:, None] * ((w[:, None] - gain * h) ** 2 + gain**2 * v)
    if np.isfinite(skip).all():
        never = 1.0 + cost.sum() + skip.sum()
        private = np.full((len(w), len(w)), never)
        np.fill_diagonal(private, skip)
        cost = np.hstack([cost, private])
    return cost[linear_sum_assignment(cost)].sum()
