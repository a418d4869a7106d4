"""What SET and RigL share: training on K connections per matrix, the weakest of which are replaced now and then."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matchopt.network.training.budgets import matrix_budgets
from matchopt.network.training.drop_grow import Choice, drop_share, replace_weakest
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Rule
from matchopt.network.training.starts import random_masks, sparse_normal

Growth = Callable[[MaskedModel, Step], list[Choice]]  # how the new sites of every matrix are chosen


@dataclass(frozen=True)
class Plan:
    """Options that both methods have; `RigL` explains them."""

    phase: Phase
    connectivity: float
    learning_rate: float
    interval: int
    replaced: float
    replaced_until: float


class ReplacementRun(Method):
    """One run: as many connections grow as are dropped, so that each matrix keeps its number in every step.

    Parameters
    ----------
    plan : options of the method.
    setting : what the run begins with.
    rule : the optimiser.
    growth : called when it is time to replace, with the network and the step.
    """

    net: MaskedModel

    def __init__(self, plan: Plan, setting: Setting, rule: Rule, growth: Growth) -> None:
        self._plan, self._growth = plan, growth
        counts = matrix_budgets(setting.shapes, plan.connectivity)
        self.net = setting.model(rule, sparse_normal(setting.shapes, counts, setting.start))
        self.net.use(random_masks(setting.shapes, counts, setting.start))
        self.phases = (plan.phase,)

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        plan = self._plan
        self.net.step(plan.learning_rate * (1.0 - at.done))
        share = drop_share(at.number / at.total, plan.replaced, plan.replaced_until)
        if at.number % plan.interval == 0 and share > 0.0:
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
