"""What is measured of solvers that are compared: every figure of a bench, with its definition and source.

Everything is minimised. In tables of costs a row is a problem and a column a solver; inf is a failure, which loses
against every success and ties with other failures, and nan a refusal, which takes no part. Results need not be in any
order. Ties are values that differ by at most a relative `TIE`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

TIE = 1e-9  # relative; the same value computed in another order differs by less

Costs = Float[np.ndarray, "problems solvers"]


def primal_gap(value: float | None, best: float) -> float:
    """How far a value is from the best one known: |value - best| / max(|value|, |best|), 0 .. 1.

    1 for no value and for one of the other sign, 0 for equal ones. The gap between a value and a *bound*, which needs
    no best one, is `Run.gap`.

    References
    ----------
    Berthold 2013, Oper. Res. Lett. 41(6), doi:10.1016/j.orl.2013.08.007, equation 1.
    """
    if value is None or not math.isfinite(value) or value * best < 0:
        return 1.0
    return 0.0 if value == best else abs(value - best) / max(abs(value), abs(best))


def reached(value: float | None, best: float, gap: float) -> bool:
    """Whether a value is within this gap of the best one, or better than it."""
    return value is not None and (value <= best or primal_gap(value, best) <= gap)


def time_to(trace: Sequence[Sequence[float | None]], best: float, gap: float) -> float:
    """Seconds until a value within this gap of the best one was there; inf if none ever was.

    Parameters
    ----------
    trace : (seconds, value) of every improvement, in the order of time; what follows in an entry is not used.
    best : value that the gap is measured from.
    gap : a relative one, see `primal_gap`; 0 asks for the best value itself.
    """
    for entry in trace:
        seconds, value = entry[0], entry[1]
        if seconds is not None and reached(value, best, gap):
            return float(seconds)
    return math.inf


def primal_integral(trace: Sequence[Sequence[float | None]], best: float, end: float) -> float:
    """Area under the primal gap from 0 to `end`, seconds: low for what finds good values early.

    The gap is 1 until the first value. Divided by `end` it is the mean gap over the time.

    Parameters
    ----------
    trace : as in `time_to`.
    best : value that gaps are measured from; a better one counts as gap 0.
    end : seconds, > 0; what comes later is not counted.

    References
    ----------
    Berthold 2013, doi:10.1016/j.orl.2013.08.007, section 2.
    """
    area, since, gap = 0.0, 0.0, 1.0
    for entry in trace:
        at, value = entry[0], entry[1]
        if at is None or at >= end:
            break
        area += gap * (at - since)
        since, gap = at, 0.0 if value is not None and value <= best else primal_gap(value, best)
    return area + gap * (end - since)


def shifted_geometric_mean(values: Sequence[float] | Float[np.ndarray, " n"], shift: float) -> float:
    """exp(mean(log(value + shift))) - shift; the shift belongs beside every such figure.

    Parameters
    ----------
    values : >= 0, at least one; runs without an answer enter as their limit.
    shift : > 0, in the unit of the values: what is far below it hardly counts. 10 s is usual for minutes of solving.

    References
    ----------
    Achterberg 2007, Constraint Integer Programming, appendix A.3.
    """
    return float(np.exp(np.mean(np.log(np.asarray(values, float) + shift))) - shift)


def par(seconds: Sequence[float] | Float[np.ndarray, " n"], limit: float, k: float = 10.0) -> float:
    """Penalised average runtime: the mean of the seconds, what failed (inf, or beyond the limit) counting k limits.

    References
    ----------
    Hutter, Hoos, Leyton-Brown, Stützle 2009, JAIR 36, doi:10.1613/jair.2861; PAR-2 is that of the SAT competitions.
    """
    found = np.asarray(seconds, float)
    return float(np.mean(np.where(found > limit, k * limit, found)))


def virtual_best(costs: Costs) -> Float[np.ndarray, " problems"]:
    """The least cost of each problem, as if the right solver were always chosen; inf where all failed.

    References
    ----------
    Xu, Hutter, Hoos, Leyton-Brown 2012, SAT, doi:10.1007/978-3-642-31612-8_18.
    """
    least: np.ndarray = np.min(np.where(np.isnan(costs), np.inf, costs), axis=1, initial=np.inf)
    return least


class Profile(NamedTuple):
    """Step functions from the same points on.

    Parameters
    ----------
    at : where one of them steps, increasing, shape (n,).
    share : of all that could count, at and after each point, 0 .. 1, shape (n, solvers).
    """

    at: Float[np.ndarray, " n"]
    share: Float[np.ndarray, "n solvers"]


def performance_profile(costs: Costs, floor: float = 0.0) -> Profile:
    """For each solver the share of problems that it solves within a factor of the best solver of each.

    Parameters
    ----------
    costs : > 0, such as seconds; refusals count as failures here, as the share is of all problems.
    floor : lower costs count as this one, such as the resolution of the clock; needed where costs may be 0.

    Returns
    -------
    Profile
        its points are the factors, from 1 on. Whom the others are changes it: see `pairwise_profile`.

    References
    ----------
    Dolan, Moré 2002, Math. Program. 91, doi:10.1007/s101070100263.
    """
    raised = np.maximum(np.where(np.isnan(costs), np.inf, costs), floor)
    best = virtual_best(raised)
    ratios = np.full(raised.shape, np.inf)
    some = np.isfinite(best)
    ratios[some] = raised[some] / best[some, None]
    at = np.unique(np.append(ratios[np.isfinite(ratios)], 1.0))
    return Profile(at, _reached(ratios, at) / max(len(ratios), 1))


def pairwise_profile(costs: Costs, first: int, second: int, floor: float = 0.0) -> Profile:
    """The profile of two solvers alone, which no third one can turn round.

    References
    ----------
    Gould, Scott 2016, ACM Trans. Math. Softw. 43(2), doi:10.1145/2950048.
    """
    return performance_profile(costs[:, [first, second]], floor)


def runtime_distribution(times: Float[np.ndarray, "runs solvers"]) -> Profile:
    """For each solver the share of all (run, target) pairs that are reached by then.

    Parameters
    ----------
    times : seconds to the target of each pair, inf where it is not reached, nan for no such run, which does not count.

    References
    ----------
    Hansen, Auger, Brockhoff, Tušar 2022, Evol. Comput. 30(4), doi:10.1162/evco_a_00309 (COCO), section 3.
    """
    at = np.unique(times[np.isfinite(times)])
    ran = np.maximum(np.sum(~np.isnan(times), axis=0), 1)
    return Profile(at, _reached(times, at) / ran)


class Comparison(NamedTuple):
    """One solver against another: problems won, tied and lost, and `sign_test` of them."""

    wins: int
    ties: int
    losses: int
    p_value: float


def compared(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> Comparison:
    """Count wins, ties and losses of the first over the problems that both took."""
    both = ~(np.isnan(first) | np.isnan(second))
    one, other = first[both], second[both]
    tied = _tied(one, other)
    wins, losses = int(np.sum((one < other) & ~tied)), int(np.sum((one > other) & ~tied))
    return Comparison(wins, int(np.sum(tied)), losses, sign_test(wins, losses))


def sign_test(wins: int, losses: int) -> float:
    """How likely at least so unequal numbers are between equals: the two-sided exact test; ties are left out.

    References
    ----------
    Dixon, Mood 1946, J. Am. Stat. Assoc. 41, doi:10.1080/01621459.1946.10501898.
    """
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**n))


def ranks(costs: Costs) -> Float[np.ndarray, "problems solvers"]:
    """The place of each solver on each problem from 1 on, ties sharing the mean of theirs; nan for a refusal.

    References
    ----------
    Demšar 2006, J. Mach. Learn. Res. 7, section 3.2.2.
    """
    one, other = costs[:, :, None], costs[:, None, :]
    tied = _tied(one, other)
    found = np.sum((other < one) & ~tied, axis=2) + (np.sum(tied, axis=2) + 1) / 2
    return np.where(np.isnan(costs), np.nan, found)


class RankConfidence(NamedTuple):
    """Mean ranks and how sure they are.

    Parameters
    ----------
    mean : over the problems that a solver took, shape (solvers,); nan for one that took none.
    low, high : percentiles of the mean over problems drawn again with replacement.
    first : share of the draws in which the solver has the lowest mean rank, equals sharing it; 0 .. 1.
    """

    mean: Float[np.ndarray, " solvers"]
    low: Float[np.ndarray, " solvers"]
    high: Float[np.ndarray, " solvers"]
    first: Float[np.ndarray, " solvers"]


def rank_confidence(costs: Costs, rng: np.random.Generator, draws: int = 1_000, level: float = 0.95) -> RankConfidence:
    """Mean ranks with bootstrap intervals: as if the problems were another sample of their kind.

    Parameters
    ----------
    costs : at least one problem.
    rng : draws the problems.
    draws : how often, >= 1.
    level : share of the draws that the interval holds, 0 .. 1.

    References
    ----------
    Efron, Tibshirani 1993, An Introduction to the Bootstrap, section 13.3 (percentile intervals).
    """
    places = ranks(costs)
    chosen = rng.integers(len(places), size=(draws, len(places)))
    counts = np.stack([np.bincount(one, minlength=len(places)) for one in chosen])  # how often each problem is in it
    took = ~np.isnan(places)
    with np.errstate(invalid="ignore"):  # 0 / 0: none of the problems that a solver took
        means = (counts @ np.where(took, places, 0.0)) / (counts @ took)
        mean = np.sum(np.where(took, places, 0.0), axis=0) / np.sum(took, axis=0)
    low, high = np.full(mean.shape, np.nan), np.full(mean.shape, np.nan)
    for solver, column in enumerate(means.T):
        there = column[~np.isnan(column)]
        if len(there):
            low[solver], high[solver] = np.quantile(there, [(1 - level) / 2, (1 + level) / 2])
    least = np.fmin.reduce(means, axis=1)
    best = _tied(means, least[:, None])
    first = np.mean(best / np.maximum(np.sum(best, axis=1, keepdims=True), 1), axis=0)
    return RankConfidence(mean, low, high, first)


def _reached(table: np.ndarray, at: np.ndarray) -> np.ndarray:
    """How many values of each column are at most each of some points; nan is beyond all of them."""
    found = [np.searchsorted(np.sort(column), at, side="right") for column in table.T]
    return np.stack(found, axis=1) if found else np.zeros((len(at), 0))


def _tied(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where two values are equal but for rounding; failures are equal to each other."""
    with np.errstate(invalid="ignore"):
        near = np.abs(one - other) <= TIE * np.maximum(np.abs(one), np.abs(other))
    finite = np.isfinite(one) & np.isfinite(other)
    tied: np.ndarray = np.where(finite, near, one == other)
    return tied
