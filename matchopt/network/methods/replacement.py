"""What SET, RigL and their control share: K connections per matrix, whose weakest may be replaced."""

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval
from jaxtyping import Float32, Int64

from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.starts import Densities, matrix_budgets, random_masks, sparse_normal
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share

Sites = Int64[np.ndarray, " _"]
Choice = Callable[[Sites, int], Sites]  # (candidates, how many) -> that many of them


@dataclass(frozen=True)
class SparseTraining(Trainer):
    """Options of methods that begin with K random connections per matrix.

    Parameters
    ----------
    connectivity : connections as a share of all possible ones; `matrix_budgets` shares them out.
    densities : how dense layers are in relation to each other; see `density_ratios`.
    learning_rate : at the start; falls linearly to 0.
    """

    promise = "exact"

    connectivity: Share = 0.01
    epochs: PositiveInt = 60
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 3e-3
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4
    densities: Densities = "1:3:30"

    def new_run(self, setting: Setting) -> "SparseRun":
        return SparseRun(self, setting)


@dataclass(frozen=True)
class Replacement(SparseTraining):
    """Options of methods that replace the weakest connections now and then.

    Parameters
    ----------
    interval : steps between two replacements, >= 1.
    replaced : share replaced at the start, 0 .. 1; falls like a cosine.
    replaced_until : share of training after which nothing is replaced, above 0, at most 1.
    """

    interval: PositiveInt = 100
    replaced: Annotated[float, Interval(ge=0, le=1)] = 0.3
    replaced_until: Share = 0.75

    @abstractmethod
    def choices(self, net: MaskedModel, at: Step, chance: np.random.Generator) -> list[Choice]:
        """How the new sites of every matrix are chosen, when it is time to replace."""


class SparseRun(Method):
    """One run: as many connections grow as are dropped, if any, so that each matrix keeps its number in every step."""

    net: MaskedModel

    def __init__(self, options: SparseTraining, setting: Setting) -> None:
        self._options, self._chance = options, setting.chance
        counts = matrix_budgets(setting.architecture, options.connectivity, options.densities)
        start = sparse_normal(setting.shapes, counts, setting.start)
        self.net = setting.model(rule(options.optimiser, options.momentum, options.decay), start)
        self.net.use(random_masks(setting.shapes, counts, setting.start))
        self.phases = (Phase("train", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        options = self._options
        self.net.step(options.learning_rate * (1.0 - at.done))
        if isinstance(options, Replacement) and at.number % options.interval == 0:
            share = drop_share(at.number / at.total, options.replaced, options.replaced_until)
            if share > 0.0:
                self._replace(share, options.choices(self.net, at, self._chance))

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
