"""DEEP R samples the tempered posterior restricted to its budget (Bellec et al. 2018, theorem 1).

Between rewirings the active parameters follow Langevin dynamics, whose stationary density is
exp(-(E(theta) + alpha * sum theta) / T) on theta >= 0. A parameter that reaches zero is replaced by one of the dormant
sites, the one just left included, at zero: the same network with another support. All supports that share the other
K - 1 sites meet there like legs of a spider, entered with equal probability; so in the limit of small steps the law is

    p(support, theta) ~ exp(-(E(theta) + alpha * sum theta) / T),  |support| = K,  theta >= 0,

one normalisation for all supports, and for all signs where those are redrawn.
"""

from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import chisquare

from matchopt.network.methods.rewiring import Rewiring
from matchopt.network.training.fully_connected import ConnectionModel

CHAINS, RATE, STEPS = 2_500, 1e-3, 5_000  # 5 units of time; on any two sites the energy relaxes in .7 to 1.0
ACTIVE, SITES = 2, 4
ALPHA, TEMPERATURE = 1.0, 0.5
CURVATURE = np.array([[2.0, 0.6, -0.4, 0.3], [0.6, 1.5, 0.5, -0.2], [-0.4, 0.5, 1.8, 0.4], [0.3, -0.2, 0.4, 1.2]])
MINIMUM = np.array([0.9, 0.3, -0.8, -0.5])
SIGNS = np.array([1.0, 1.0, -1.0, 1.0])
SUPPORTS = list(combinations(range(SITES), ACTIVE))


def expected(redraw):
    """Probabilities of supports (with signs, where redrawn) and the mean of |theta|, by Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    nodes, weights = 3.0 * (nodes + 1.0), 3.0 * weights  # 0 .. 6, twelve standard deviations
    theta = np.stack(np.meshgrid(nodes, nodes, indexing="ij"))
    area, masses, sums = np.outer(weights, weights), [], 0.0
    for support in SUPPORTS:
        for signs in product((-1, 1), repeat=ACTIVE) if redraw else [SIGNS[list(support)]]:
            w = np.zeros((SITES, *theta.shape[1:]))
            w[list(support)] = np.reshape(signs, (-1, 1, 1)) * theta
            error = w - MINIMUM[:, None, None]
            energy = 0.5 * np.einsum("iab,ij,jab->ab", error, CURVATURE, error) + ALPHA * theta.sum(axis=0)
            density = area * np.exp(-energy / TEMPERATURE)
            masses.append(density.sum())
            sums += (density * theta.sum(axis=0)).sum()
    return np.array(masses) / sum(masses), sums / sum(masses)


def sample(redraw):
    """Sites, weights and signs of independent chains, each (chains, active); every 2 x 2 layer is one chain."""
    rng = np.random.default_rng(1)
    start = [np.sort(rng.choice(SITES, ACTIVE, replace=False)) for _ in range(CHAINS)]
    widths = (2,) * (CHAINS + 1)
    model = ConnectionModel(widths, start, np.zeros(CHAINS * ACTIVE + 2 * CHAINS, np.float32))
    signs = np.tile(SIGNS, CHAINS).astype(np.int8)
    step_std = (2 * RATE * TEMPERATURE) ** 0.5
    rewiring = Rewiring(model, signs, rng, ALPHA, step_std / RATE, redraw)
    count, pull = CHAINS * ACTIVE, (CURVATURE @ MINIMUM).astype(np.float32)
    before, after = (np.repeat(model.first_unit[i : CHAINS + i], ACTIVE) for i in (0, 1))
    for step in range(STEPS + 1):
        sites = (2 * (model.target - after) + model.source - before).reshape(CHAINS, ACTIVE)
        weights = model.values[:count].reshape(CHAINS, ACTIVE)
        if step < STEPS:
            slope = CURVATURE.astype(np.float32)[sites[:, :, None], sites[:, None, :]]
            model.gradient[:count] = (np.einsum("cij,cj->ci", slope, weights) - pull[sites]).ravel()
            rewiring.step(model.values, model.gradient, RATE)
    signs = rewiring.sign.reshape(CHAINS, ACTIVE)
    order = np.argsort(sites, axis=1)
    return tuple(np.take_along_axis(x, order, axis=1) for x in (sites, weights, signs))


@pytest.mark.slow
@pytest.mark.parametrize("redraw", [False, True])
def test_dynamics_sample_the_posterior_on_the_budget(redraw):
    """Supports are met as often, and parameters are as large on average, as integration of the law says.

    Chains are independent, so the chi-square test is exact; seeded, with p > .001 asked for. Its non-centrality is
    above 60 if alpha or T is off by a factor 2, against a threshold of 20 (fixed signs, 5 degrees of freedom). A step
    puts what passes zero at zero, so theta is up to .58 steps too small per connection (the expected overshoot of a
    Gaussian walk, Siegmund 1979), which is what the mean may be off beside four standard errors. In all .08, while
    alpha or T off by a factor 2 moves the mean by .16 or more.
    """
    probabilities, mean = expected(redraw)
    sites, weights, signs = sample(redraw)
    kinds = [(s, q) for s in SUPPORTS for q in (product((-1, 1), repeat=ACTIVE) if redraw else [SIGNS[list(s)]])]
    seen = [((sites == s).all(axis=1) & (signs == q).all(axis=1)).sum() for s, q in kinds]
    assert sum(seen) == CHAINS
    assert chisquare(seen, CHAINS * probabilities).pvalue > 1e-3
    total = np.abs(weights).sum(axis=1, dtype=np.float64)
    allowed = 0.58 * ACTIVE * (2 * RATE * TEMPERATURE) ** 0.5 + 4 * total.std() / CHAINS**0.5
    assert abs(total.mean() - mean) < allowed
