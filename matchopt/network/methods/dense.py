"""Dense training: the reference every sparse method is compared with."""

from dataclasses import dataclass

from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Adam
from matchopt.network.training.trainer import Trainer


@dataclass(frozen=True)
class DenseTraining(Trainer):
    """All weights, Adam, learning rate falling linearly to zero, He-normal start.

    Parameters
    ----------
    epochs : passes over the training images, >= 1.
    batch_size : images per step, >= 1.
    learning_rate : of Adam, at the start.
    threads : threads of the matrix products, >= 1; more help on idle cores only.

    References
    ----------
    He, Zhang, Ren, Sun 2015, arXiv 1502.01852, section 2.2 (start); Kingma and Ba 2015, arXiv 1412.6980 (Adam).
    """

    name = "dense"
    promise = "exact"

    epochs: int = 15
    batch_size: int = 100
    learning_rate: float = 1e-3
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.threads) < 1 or not self.learning_rate >= 0:
            raise ValueError(f"epochs, batch_size and threads must be >= 1 and learning_rate >= 0, found {self}")

    def new_run(self, setting: Setting) -> "DenseRun":
        """See `Trainer.new_run`."""
        return DenseRun(self, setting)


class DenseRun(Method):
    """One run of dense training."""

    net: MaskedModel

    def __init__(self, options: DenseTraining, setting: Setting) -> None:
        self.net = setting.model(Adam())
        self.phases = (Phase("dense", options.epochs, options.batch_size),)
        self._rate = options.learning_rate

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        self.net.step(self._rate * (1.0 - at.done))
