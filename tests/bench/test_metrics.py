"""Every metric against an independent implementation, or numbers worked out by hand, to the last digit."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats

from matchopt.bench import metrics


def table(seed: int = 0, problems: int = 23, solvers: int = 5) -> np.ndarray:
    """Costs with ties, failures and refusals; no problem is refused by all."""
    rng = np.random.default_rng(seed)
    costs = rng.integers(1, 9, (problems, solvers)) / 4.0
    costs[rng.random(costs.shape) < 0.15] = np.inf
    costs[:, 1:][rng.random((problems, solvers - 1)) < 0.15] = np.nan
    return costs


def test_primal_gap_and_what_follows_from_it() -> None:
    """By the equations of Berthold 2013, in exact fractions: 2 s nothing, then 12 and 10 of a best value of 8."""
    assert metrics.primal_gap(None, 3.0) == metrics.primal_gap(1.0, -1.0) == metrics.primal_gap(math.inf, 1.0) == 1.0
    assert metrics.primal_gap(0.0, 0.0) == 0.0 and metrics.primal_gap(0.0, 2.0) == 1.0
    assert metrics.primal_gap(-8.0, -10.0) == float(Fraction(2, 10))
    trace = [(2.0, 12.0, None), (5.0, 10.0, 7.0), (11.0, 8.0, None)]
    exact = 2 * 1 + 3 * Fraction(4, 12) + 5 * Fraction(2, 10)
    assert metrics.primal_integral(trace, 8.0, 10.0) == pytest.approx(float(exact), rel=1e-15)
    assert metrics.primal_integral([], 8.0, 10.0) == 10.0
    assert metrics.primal_integral([(0.0, 7.0)], 8.0, 10.0) == 0.0  # better than the best known
    assert [metrics.time_to(trace, 8.0, gap) for gap in (0.4, 0.2, 0.1, 0.0)] == [2.0, 5.0, 11.0, 11.0]
    assert metrics.time_to(trace, 6.0, 0.0) == math.inf and metrics.time_to(trace, 13.0, 0.0) == 2.0


def test_means_are_scipys() -> None:
    """The shifted geometric mean by scipy's, PAR-k by its definition in fractions."""
    values = np.random.default_rng(1).exponential(size=50)
    for shift in (0.01, 1.0, 10.0):
        expected = float(stats.gmean(values + shift)) - shift
        assert metrics.shifted_geometric_mean(values, shift) == pytest.approx(expected, rel=1e-14)
    seconds = [1.5, math.inf, 10.0, 10.5, 2.0]
    assert metrics.par(seconds, 10.0, 2) == float((Fraction(3, 2) + 20 + 10 + 20 + 2) / 5)
    assert metrics.par(seconds, 10.0) == float((Fraction(3, 2) + 100 + 10 + 100 + 2) / 5)


@pytest.mark.parametrize("seed", range(3))
def test_profiles_are_the_definition_counted(seed: int) -> None:
    """At every step the shares are those of plain loops in fractions; the least factor is 1, and shares only rise."""
    costs = table(seed)
    profile = metrics.performance_profile(costs)
    ratio = {}
    for p, s in product(*map(range, costs.shape)):
        row = [Fraction(cost) for cost in costs[p] if np.isfinite(cost)]
        if np.isfinite(costs[p, s]):
            ratio[p, s] = Fraction(costs[p, s]) / min(row)
    assert profile.at[0] == 1.0 and list(profile.at) == sorted({1.0, *map(float, ratio.values())})
    for s in range(costs.shape[1]):
        own = [float(value) for (_, other), value in ratio.items() if other == s]
        expected = [sum(value <= at for value in own) / len(costs) for at in profile.at]
        assert list(profile.share[:, s]) == expected
    pair = metrics.pairwise_profile(costs, 3, 1)
    assert np.array_equal(pair.share, metrics.performance_profile(costs[:, [3, 1]]).share)
    best = [min((cost for cost in row if not math.isnan(cost)), default=math.inf) for row in costs]
    assert list(metrics.virtual_best(costs)) == best


def test_a_floor_keeps_profiles_of_zeros_finite() -> None:
    """Costs below the clock's resolution count as that, so that nothing is infinitely faster."""
    profile = metrics.performance_profile(np.array([[0.0, 0.002], [0.004, 0.0]]), floor=0.001)
    assert profile.at.tolist() == [1.0, 2.0, 4.0] and profile.share.tolist() == [[0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]


def test_runtime_distributions_are_empirical() -> None:
    """scipy's empirical distribution function of the same times, among all pairs that were run."""
    times = table(7, 40, 3)
    found = metrics.runtime_distribution(times)
    for s, column in enumerate(times.T):
        own = np.where(np.isinf(column), 1e9, column)[~np.isnan(column)]
        assert found.share[:, s] == pytest.approx(stats.ecdf(own).cdf.evaluate(found.at), abs=1e-15)


def test_the_sign_test_is_the_binomial_one() -> None:
    """scipy's exact test for all small numbers; ties are counted and left out, refusals take no part."""
    for wins, losses in product(range(8), range(8)):
        expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert metrics.sign_test(wins, losses) == pytest.approx(expected, rel=1e-14)
    one = np.array([1.0, 2.0, np.inf, np.inf, np.nan, 3.0 * (1 + 1e-12), 5.0])
    other = np.array([2.0, 1.0, 7.0, np.inf, 1.0, 3.0, 6.0])
    assert metrics.compared(one, other) == (2, 2, 2, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_scipys_among_those_that_took_part(seed: int) -> None:
    """Average ranks; failures tie last, a refusal has none."""
    costs = table(seed)
    for row, found in zip(costs, metrics.ranks(costs), strict=True):
        took = ~np.isnan(row)
        assert found[took].tolist() == stats.rankdata(row[took]).tolist() and np.isnan(found[~took]).all()


def test_confidence_is_the_bootstrap_counted() -> None:
    """Drawn again in plain loops from the same seed: the same means, quantiles and shares of first places."""
    costs = table(3, 12, 4)
    costs[:, 3] = np.nan  # one that refused everything
    found = metrics.rank_confidence(costs, np.random.default_rng(5), draws=200, level=0.9)
    places, rng = metrics.ranks(costs), np.random.default_rng(5)
    means, firsts = [], np.zeros(4)
    for chosen in rng.integers(12, size=(200, 12)):
        mean = [math.nan] * 4
        for s in range(3):
            own = [places[p, s] for p in chosen if not math.isnan(places[p, s])]
            mean[s] = math.fsum(own) / len(own)
        best = [s for s in range(3) if mean[s] <= min(mean[:3]) + 1e-9]
        firsts[best] += 1 / len(best) / 200
        means.append(mean)
    assert found.mean[:3] == pytest.approx([np.nanmean(places[:, s]) for s in range(3)], rel=1e-14)
    assert found.first == pytest.approx(firsts, rel=1e-12)
    for s in range(3):
        assert [found.low[s], found.high[s]] == pytest.approx(np.quantile([m[s] for m in means], [0.05, 0.95]))
    assert np.isnan([found.mean[3], found.low[3], found.high[3]]).all() and found.first[3] == 0.0
