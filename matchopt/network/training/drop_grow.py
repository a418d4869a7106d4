"""Replacing the weakest connections of a layer by new ones: the step that SET and RigL share, on flat arrays."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Int64

Sites = Int64[np.ndarray, " _"]
Choice = Callable[[Sites, int], Sites]  # (candidates, how many) -> that many of them


def drop_share(done: float, initial: float, end: float) -> float:
    """Share of a layer's connections to replace: initial / 2 * (1 + cos(pi * done / end)), and 0 from `end` on.

    Parameters
    ----------
    done : share of training that is over, 0 .. 1.
    initial : share at the start, 0 .. 1.
    end : share of training after which nothing is replaced, above 0.

    References
    ----------
    Evci, Gale, Menick, Castro, Elsen 2020, Rigging the Lottery, ICML, arXiv 1911.11134, section 3.
    """
    return 0.5 * initial * (1.0 + math.cos(math.pi * done / end)) if done < end else 0.0


def replace_weakest(
    sites: Sites, size: Float32[np.ndarray, " k"], n_sites: int, share: float, choose: Choice
) -> tuple[Sites, Sites]:
    """Which connections of one layer are dropped, and the sites that take their place.

    Parameters
    ----------
    sites : sites in use, distinct, in 0 .. n_sites - 1.
    size : magnitude of their weights.
    n_sites : sites of the layer.
    share : of the connections to replace, 0 .. 1; as many as there are dormant sites at most, so none in a full layer.
    choose : picks the new sites from all dormant ones, ascending. Those dropped now are not among them.

    Returns
    -------
    positions in `sites` that are dropped, ascending, and as many new sites.
    """
    count = min(round(share * len(sites)), n_sites - len(sites))
    free = np.ones(n_sites, bool)
    free[sites] = False
    return smallest(size, count), choose(np.flatnonzero(free), count)


def smallest(size: Float32[np.ndarray, " k"], count: int) -> Sites:
    """Positions of the `count` smallest entries, ascending; among equals some, but always the same."""
    if count == 0:
        return np.zeros(0, np.int64)
    return np.sort(np.argpartition(size, count - 1)[:count])


def by_score(score: Float32[np.ndarray, " sites"]) -> Choice:
    """Choose the sites of largest score, as RigL does by the magnitude of the gradient."""

    def choose(candidates: Sites, count: int) -> Sites:
        chosen: Sites = candidates[smallest(-score[candidates], count)]
        return chosen

    return choose


def at_random(rng: np.random.Generator) -> Choice:
    """Choose distinct sites, all equally likely, as SET does."""

    def choose(candidates: Sites, count: int) -> Sites:
        chosen: Sites = np.sort(rng.choice(candidates, count, replace=False))
        return chosen

    return choose
