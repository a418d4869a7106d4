"""Fixed random connectivity: what every method that chooses its connections has to beat."""

from dataclasses import dataclass

from matchopt.network.methods.replacement import Plan, ReplacementRun
from matchopt.network.training.method import Phase, Setting
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share


@dataclass(frozen=True)
class FixedRandom(Trainer):
    """Draw random connections once and train their weights: the control of every sparse method.

    Parameters
    ----------
    connectivity : connections as a share of all possible ones; `matrix_budgets` shares them out.
    epochs : passes over the training samples, >= 1.
    batch_size : samples per step.
    optimiser : "adam", or "sgd" with Nesterov momentum.
    learning_rate : at the start; falls linearly to 0.
    momentum : of "sgd".
    decay : l2 penalty, added to the gradient as decay * weight.

    References
    ----------
    The control of Bellec, Kappel, Maass, Legenstein 2018, Deep Rewiring, ICLR, arXiv 1711.05136, section 4.
    """

    name = "fixed-random"
    promise = "exact"

    connectivity: Share = 0.01
    epochs: PositiveInt = 60
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 3e-3
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4

    def new_run(self, setting: Setting) -> ReplacementRun:
        plan = Plan(Phase("train", self.epochs, self.batch_size), self.connectivity, self.learning_rate)
        return ReplacementRun(plan, setting, rule(self.optimiser, self.momentum, self.decay))
