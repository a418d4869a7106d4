"""Dense training: the reference every sparse method is compared with."""

from dataclasses import dataclass

import numpy as np

from matchopt.network.data import ImageData
from matchopt.network.loop import TrainingLoop, TrainingState
from matchopt.network.models import DenseModel, steady_arithmetic
from matchopt.network.optimisers import Adam
from matchopt.network.trainer import Progress, TrainedResult, Trainer, check_widths


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

    epochs: int = 15
    batch_size: int = 100
    learning_rate: float = 1e-3
    threads: int = 1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size, self.threads) < 1 or not self.learning_rate >= 0:
            raise ValueError(f"epochs, batch_size and threads must be >= 1 and learning_rate >= 0, found {self}")

    def train(
        self, data: ImageData, widths: tuple[int, ...], seed: int, progress: Progress | None = None
    ) -> TrainedResult:
        """See `Trainer.train`."""
        check_widths(data, widths)
        start, order = np.random.default_rng(seed).spawn(2)
        loop = TrainingLoop(data, self.epochs, order, progress)
        with steady_arithmetic(self.threads):
            model = DenseModel(widths, start, self.batch_size)
            state = TrainingState(model, Adam(model.values.size))
            loop.run("dense", state, self.epochs, self.batch_size, lambda done: self.learning_rate * (1.0 - done))
            return loop.finish(state, self.record(seed))
