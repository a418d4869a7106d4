"""RigL: the weakest connections make room for those that the dense gradient asks for."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from matchopt.network.methods.replacement import Choice, Plan, ReplacementRun, by_score
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share


@dataclass(frozen=True)
class RigL(Trainer):
    """Every `interval` steps the weakest connections of a matrix are replaced by those with the largest gradients.

    With t running from 0 to 1 over training, the share replaced is replaced / 2 * (1 + cos(pi t / replaced_until)).
    New weights begin at zero; what is dropped does not grow again in the same step.

    Parameters
    ----------
    connectivity : connections as a share of all possible ones; `matrix_budgets` shares them out.
    epochs : passes over the training samples, >= 1.
    batch_size : samples per step.
    optimiser : "adam", or "sgd" with Nesterov momentum.
    learning_rate : at the start; falls linearly to 0.
    momentum : of "sgd".
    decay : l2 penalty, added to the gradient as decay * weight.
    interval : steps between two replacements, >= 1.
    replaced : share replaced at the start, 0 .. 1.
    replaced_until : share of training after which nothing is replaced, above 0, at most 1.
    gradient_samples : random training samples that the dense gradient is taken of, >= 1; only those of the batch where
        training samples are changed by a transformation.

    References
    ----------
    Evci, Gale, Menick, Castro, Elsen 2020, Rigging the Lottery, ICML, arXiv 1911.11134, algorithm 1.
    """

    name = "rigl"
    promise = "exact"

    connectivity: Share = 0.01
    epochs: PositiveInt = 60
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 3e-3
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4
    interval: PositiveInt = 100
    replaced: Annotated[float, Interval(ge=0, le=1)] = 0.3
    replaced_until: Share = 0.75
    gradient_samples: PositiveInt = 1_000

    def new_run(self, setting: Setting) -> ReplacementRun:

        def growth(net: MaskedModel, at: Step) -> list[Choice]:
            count = min(self.gradient_samples, len(at.images))
            batch = setting.chance.choice(len(at.images), count, replace=False)
            gradient = np.abs(net.gradient_everywhere(at.images, at.labels, batch))
            return [by_score(gradient[part]) for part in net.segments]

        phase = Phase("train", self.epochs, self.batch_size)
        plan = Plan(phase, self.connectivity, self.learning_rate, self.interval, self.replaced, self.replaced_until)
        return ReplacementRun(plan, setting, rule(self.optimiser, self.momentum, self.decay), growth)
