"""Dense training: the reference every sparse method is compared with."""

from dataclasses import dataclass

from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class DenseTraining(Trainer):
    """All weights from a He-normal start: the reference every sparse method is compared with.

    Parameters
    ----------
    rate_end : at the end; linear in between.

    References
    ----------
    He, Zhang, Ren, Sun 2015, arXiv 1502.01852, section 2.2 (start); Kingma and Ba 2015, arXiv 1412.6980 (Adam).
    """

    name = "dense"
    promise = "exact"

    epochs: PositiveInt = 15
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 1e-3
    rate_end: NonNegativeFloat = 0.0
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 0.0
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> "DenseRun":
        return DenseRun(self, setting)


class DenseRun(Method):
    """One run of dense training."""

    net: MaskedModel

    def __init__(self, options: DenseTraining, setting: Setting) -> None:
        self.net = setting.model(rule(options.optimiser, options.momentum, options.decay))
        self.phases = (Phase("dense", options.epochs, options.batch_size),)
        self._options = options

    def step(self, at: Step) -> None:
        options = self._options
        self.net.step(options.rate_end + (options.learning_rate - options.rate_end) * (1.0 - at.done))
