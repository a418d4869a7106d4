"""l1-shrinkage: a penalty on the sum of magnitudes, taken as a proximal step, so that weights become exactly zero."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Adam, Momentum, OptimiserName, rule
from matchopt.network.training.tensors import Tensor
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt


@dataclass(frozen=True)
class L1Shrinkage(Trainer):
    """Dense training with cross-entropy + strength * sum |w|; then, if wanted, a retrain of what is not zero.

    After every gradient step w <- sign(w) max(|w| - rate * strength, 0). Zeros may come back while the penalty acts.
    Connectivity is an outcome: sweep `strength` to choose it. Biases feel no penalty.

    Parameters
    ----------
    strength : of the penalty, >= 0.
    ramp : share of the first part over which the penalty rises from 0 to its strength, 0 .. 1. A strong one from the
        start disconnects units before they have learnt anything.
    epochs : passes over the training samples with the penalty, >= 1.
    retrain_epochs : passes without it on the connections that are left, >= 0.
    optimiser : "sgd" with Nesterov momentum, or "adam". The penalty acts outside of it: with learning rate / (1 -
        momentum), which is what a constant gradient moves a weight by, or with Adam the plain learning rate. Adam moves
        all weights equally fast, so that the penalty has to be some hundred times as strong there.
    learning_rate : at the start of the first part, falling linearly to 0.
    retrain_rate : of Adam in the second part, at its start; likewise.

    References
    ----------
    Tibshirani 1996, J. R. Stat. Soc. B 58; Collins and Kohli 2014, arXiv 1412.1442; Parikh and Boyd 2014, Proximal
    Algorithms, Foundations and Trends in Optimization 1(3), section 6.5.2 (the step).
    """

    name = "l1-shrinkage"
    promise = "reported"

    strength: NonNegativeFloat = 4e-3
    ramp: Annotated[float, Interval(ge=0, le=1)] = 0.8
    epochs: PositiveInt = 10
    retrain_epochs: NonNegativeInt = 20
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "sgd"
    learning_rate: NonNegativeFloat = 0.05
    retrain_rate: NonNegativeFloat = 2e-3
    momentum: Momentum = 0.9
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> "ShrinkageRun":
        return ShrinkageRun(self, setting)


class ShrinkageRun(Method):
    """One run of l1-shrinkage."""

    net: MaskedModel

    def __init__(self, options: L1Shrinkage, setting: Setting) -> None:
        self._options = options
        self.net = setting.model(rule(options.optimiser, options.momentum), zeros_unused=True)
        self.phases = (
            Phase("shrink", options.epochs, options.batch_size),
            Phase("retrain", options.retrain_epochs, options.batch_size),
        )

    def enter(self, phase: int) -> None:
        """See `Method.enter`: the retrain keeps to the connections that are left, with a fresh optimiser."""
        if phase == 1:
            self.net.use(self.net.weights != 0)
            self.net.zeros_unused = False
            self.net.optimise(Adam())

    def step(self, at: Step) -> None:
        options = self._options
        if at.phase == 1:
            self.net.step(options.retrain_rate * (1.0 - at.done))
            return
        rate = options.learning_rate * (1.0 - at.done)
        self.net.step(rate)
        reach = rate if options.optimiser == "adam" else rate / (1.0 - options.momentum)
        shrink(self.net.held, reach * options.strength * min(1.0, at.done / options.ramp if options.ramp else 1.0))


def shrink(weights: Tensor, amount: float) -> None:
    """Move all weights towards zero by `amount`, in place, and none past it: the proximal step of the l1 norm."""
    weights.copy_(weights.sign() * (weights.abs() - amount).clamp_(min=0.0))
