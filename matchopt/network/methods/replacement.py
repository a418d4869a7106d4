"""What SET, RigL and their control share: training on K connections per matrix, whose weakest may be replaced."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Rule
from matchopt.network.training.starts import matrix_budgets, random_masks, sparse_normal

Sites = Int64[np.ndarray, " _"]
Choice = Callable[[Sites, int], Sites]  # (candidates, how many) -> that many of them
Growth = Callable[[MaskedModel, Step], list[Choice]]  # how the new sites of every matrix are chosen


@dataclass(frozen=True)
class Plan:
    """Options that these methods have; `RigL` explains them."""

    phase: Phase
    connectivity: float
    learning_rate: float
    interval: int = 1
    replaced: float = 0.0
    replaced_until: float = 1.0


class ReplacementRun(Method):
    """One run: as many connections grow as are dropped, so that each matrix keeps its number in every step.

    Parameters
    ----------
    plan : options of the method.
    setting : what the run begins with.
    rule : the optimiser.
    growth : called when it is time to replace, with the network and the step; None where nothing is replaced.
    """

    net: MaskedModel

    def __init__(self, plan: Plan, setting: Setting, rule: Rule, growth: Growth | None = None) -> None:
        self._plan, self._growth = plan, growth
        counts = matrix_budgets(setting.shapes, plan.connectivity)
        self.net = setting.model(rule, sparse_normal(setting.shapes, counts, setting.start))
        self.net.use(random_masks(setting.shapes, counts, setting.start))
        self.phases = (plan.phase,)

    def step(self, at: Step) -> None:
        plan = self._plan
        self.net.step(plan.learning_rate * (1.0 - at.done))
        share = drop_share(at.number / at.total, plan.replaced, plan.replaced_until)
        if self._growth is not None and at.number % plan.interval == 0 and share > 0.0:
            self._replace(share, self._growth(self.net, at))

    def _replace(self, share: float, choices: list[Choice]) -> None:
        """Drop this share of the connections of every matrix and grow as many."""
        net, mask, size = self.net, self.net.mask.copy(), np.abs(self.net.weights)
        for part, choose in zip(net.segments, choices, strict=True):
            own = mask[part]  # a view
            sites = np.flatnonzero(own)
            dropped, grown = replace_weakest(sites, size[part][sites], len(own), share, choose)
            own[sites[dropped]], own[grown] = False, True
        net.use(mask)


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
