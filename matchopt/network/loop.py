"""The one training loop; methods differ in model, update, learning rate, and what they do after a step."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from matchopt.network.accuracy import measure
from matchopt.network.data import ImageData
from matchopt.network.models import Model
from matchopt.network.optimisers import Update
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord
from matchopt.network.trainer import EpochRecord, Progress, TrainedResult

VALIDATIONS = 10  # times over a run that validation accuracy is measured, about


@dataclass
class TrainingState:
    """What changes during training; a hook may put another model and update in place."""

    model: Model
    update: Update


class TrainingLoop:
    """Epochs over shuffled batches, a record of each, and the final measurement.

    Parameters
    ----------
    data : the data set.
    epochs : epochs of all phases together.
    rng : shuffles the images.
    progress : called after every epoch, or None.
    """

    def __init__(self, data: ImageData, epochs: int, rng: np.random.Generator, progress: Progress | None) -> None:
        self._data, self._epochs, self._rng, self._progress = data, epochs, rng, progress
        self.history: list[EpochRecord] = []

    def steps_per_epoch(self, batch_size: int) -> int:
        """Number of whole batches; raises ValueError if there is none."""
        images = len(self._data.train_images)
        if not 1 <= batch_size <= images:
            raise ValueError(f"batch_size must be in 1 .. {images}, the number of training images, found {batch_size}")
        return images // batch_size

    def run(
        self,
        phase: str,
        state: TrainingState,
        epochs: int,
        batch_size: int,
        rate: Callable[[float], float],
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        """Train for some epochs.

        Parameters
        ----------
        phase : name of this part of training.
        state : model and update; read anew every step.
        epochs : number of epochs.
        batch_size : images per step; an incomplete batch at an epoch's end is left out, every epoch another one.
        rate : learning rate as a function of the share of the phase that is done, 0 .. 1 (1 excluded).
        after_step : called with the number of steps done in this phase, from 1.
        """
        steps = self.steps_per_epoch(batch_size)
        total, step = max(1, epochs * steps), 0
        for epoch in range(epochs):
            started, losses, connectivity = time.perf_counter(), 0.0, 0.0
            order = self._rng.permutation(len(self._data.train_images))
            for start in range(0, steps * batch_size, batch_size):
                model = state.model
                batch = order[start : start + batch_size]
                connectivity = max(connectivity, model.connectivity)
                losses += model.loss(self._data.train_images, self._data.train_labels, batch)
                state.update.step(model.values, model.gradient, rate(step / total))
                step += 1
                if after_step is not None:
                    after_step(step)
            self._record(phase, state, losses / steps, connectivity, epoch == epochs - 1, started)

    def finish(self, state: TrainingState, record: TrainingRecord) -> TrainedResult:
        """Measure validation and, this once, test accuracy, and hand over the network."""
        network, data = state.model.network(), self._data
        validation = measure(network, data.validation_images, data.validation_labels).accuracy
        test = measure(network, data.test_images, data.test_labels).accuracy
        done = TrainingRecord(record.method, record.config, record.seed, validation, test, data.reference)
        return TrainedResult(network.with_record(done), tuple(self.history))

    def _record(
        self, phase: str, state: TrainingState, loss: float, connectivity: float, last: bool, started: float
    ) -> None:
        number = len(self.history) + 1
        accuracy = None
        if last or number % max(1, self._epochs // VALIDATIONS) == 0:
            network: SparseNetwork = state.model.network()
            accuracy = measure(network, self._data.validation_images, self._data.validation_labels).accuracy
        seconds = time.perf_counter() - started
        record = EpochRecord(phase, number, self._epochs, loss, connectivity, accuracy, seconds)
        self.history.append(record)
        if self._progress is not None:
            self._progress(record)
