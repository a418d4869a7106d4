"""SET, sparse evolutionary training: the weakest connections make room for random ones."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from matchopt.network.methods.replacement import Choice, Plan, ReplacementRun, at_random
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share


@dataclass(frozen=True)
class SparseEvolution(Trainer):
    """Every `interval` steps the weakest connections of a matrix are replaced by random ones.

    As `RigL`, but for where connections grow. The paper replaces a constant share after every epoch, and begins with a
    density in proportion to (rows + columns) / (rows * columns); here both methods follow one schedule and have the
    same budgets, so that they differ in this one point.

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
    replaced : share replaced at the start, 0 .. 1; falls like a cosine.
    replaced_until : share of training after which nothing is replaced, above 0, at most 1.

    References
    ----------
    Mocanu, Mohr, Stone, Nguyen, Gibescu, Liotta 2018, Nature Communications 9:2383, arXiv 1707.04780.
    """

    name = "set"
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

    def new_run(self, setting: Setting) -> ReplacementRun:

        def growth(net: MaskedModel, at: Step) -> list[Choice]:
            del at  # where connections grow does not depend on the samples
            return [at_random(setting.chance)] * len(net.segments)

        phase = Phase("train", self.epochs, self.batch_size)
        plan = Plan(phase, self.connectivity, self.learning_rate, self.interval, self.replaced, self.replaced_until)
        return ReplacementRun(plan, setting, rule(self.optimiser, self.momentum, self.decay), growth)
