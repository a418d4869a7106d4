"""The one training loop: batches, records, validation, early stopping, checkpoints; methods only update."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Architecture
from matchopt.network.accuracy import measure
from matchopt.network.data import ImageData
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord
from matchopt.network.training.checkpoint import Checkpoint, Position
from matchopt.network.training.method import Method, Step
from matchopt.network.training.model import Shapes
from matchopt.network.training.records import Conduct, EpochRecord, Progress, TrainedResult
from matchopt.network.training.streams import Streams

VALIDATIONS = 10  # times over a run that validation accuracy is measured, about
LOOK = 100  # steps between two looks at a loss that is on another device: each look waits for that device


class TrainingLoop:
    """One run of a method.

    Parameters
    ----------
    data : the data set.
    method : updates the network.
    record : names method, options and seed.
    streams : all randomness.
    progress : called after every epoch, or None.
    conduct : what is done besides.
    """

    def __init__(
        self,
        data: ImageData,
        method: Method,
        record: TrainingRecord,
        streams: Streams,
        progress: Progress | None,
        conduct: Conduct,
    ) -> None:
        self._data, self._method, self._streams = data, method, streams
        self._record, self._progress, self._conduct = record, progress, conduct
        self._phases = [(n, phase) for n, phase in enumerate(method.phases) if phase.epochs > 0]
        self._epochs = sum(phase.epochs for _, phase in self._phases)
        self._at = Position()
        self._checkpoint: Checkpoint | None = None
        images = len(data.train_images)
        for _, phase in self._phases:
            if not 1 <= phase.batch_size <= images:
                raise InvalidOption(
                    f"batch_size must be in 1 .. {images}, the number of training images, found {phase.batch_size}"
                )

    def keep_at(self, path: Path, architecture: Architecture) -> None:
        """Keep the state between epochs in this file; go on from it where it exists.

        Raises FormatError or InvalidOption when the file cannot be read, or belongs to another run.
        """
        about = {"method": self._record.method, "options": dict(self._record.config), "seed": self._record.seed}
        data = {"name": self._data.reference.name, "sha256": self._data.reference.sha256}
        self._checkpoint = Checkpoint(path, {**about, "data": data, "architecture": architecture.facts()})
        found = self._checkpoint.read()
        if found is not None:
            self._at, state, streams = found
            self._method.restore(state)
            self._streams.restore(streams)

    def run(self) -> TrainedResult:
        """Train from where it stands to the end, measure, and hand over the network."""
        try:
            for number, epoch in self._left():
                if epoch == 0:
                    self._method.enter(number)
                self._epoch(number, epoch)
                if self._checkpoint is not None:
                    self._checkpoint.take(self._at, self._method.state(), self._streams.state())
                if self._at.over(self._conduct.patience):
                    break
        finally:
            if self._checkpoint is not None:
                self._checkpoint.write()
        return self._finish()

    def _left(self) -> Iterator[tuple[int, int]]:
        """Number of the phase, and epoch within it, of all epochs to do."""
        done = len(self._at.history)
        if not self._at.over(self._conduct.patience):
            before = 0
            for number, phase in self._phases:
                for epoch in range(max(0, done - before), phase.epochs):
                    yield number, epoch
                before += phase.epochs

    def _epoch(self, number: int, epoch: int) -> None:
        method, data, phase = self._method, self._data, self._method.phases[number]
        began, size = _clocks(), phase.batch_size
        steps = len(data.train_images) // size  # an incomplete batch is left out, every epoch another one
        labels = self._labels(data.train_labels, len(self._at.history))
        order = self._streams.order.permutation(len(data.train_images))
        losses: Any = 0.0
        use = _Use(method.net.shapes)
        for n in range(steps):
            use.see(method.counts)
            batch = order[n * size : (n + 1) * size]
            at = Step(epoch * steps + n + 1, phase.epochs * steps, number, *self._samples(labels, batch))
            loss = method.net.loss(at.images, at.labels, at.batch)
            if (isinstance(loss, float) or at.number % LOOK == 0) and not math.isfinite(loss):
                raise InvalidOption(f"the loss is {float(loss)} after step {at.number} of phase {phase.name!r}; "
                                    "lower the learning rate")  # fmt: skip
            losses += loss
            method.step(at)
        self._close(number, float(losses) / steps, use, epoch == phase.epochs - 1, began)

    def _samples(
        self, labels: np.ndarray, batch: Int64[np.ndarray, " lanes"]
    ) -> tuple[np.ndarray, np.ndarray, Int64[np.ndarray, " lanes"]]:
        """Images, labels, and which of them make the batch."""
        data, change = self._data, self._conduct.transform
        if change is None or len(self._at.history) >= self._epochs - change.clean_epochs:
            return data.train_images, labels, batch
        raw = data.train_images if data.originals is None else data.originals
        return change(raw[batch], self._streams.change), labels[batch], np.arange(len(batch))

    def _labels(self, labels: np.ndarray, epoch: int) -> np.ndarray:
        """The labels of an epoch, from 0."""
        if self._conduct.labels == "fixed":
            return labels
        classes = self._streams.classes(epoch, self._data.n_classes)
        found = np.where(labels < 0, labels, classes[labels])
        found.flags.writeable = False
        return found

    def _close(self, phase: int, loss: float, use: "_Use", last: bool, began: tuple[float, float]) -> None:
        """Record an epoch and tell those who want to know."""
        number, conduct = len(self._at.history) + 1, self._conduct
        if not math.isfinite(loss) or not _finite(self._method.net.values):
            raise InvalidOption(f"training diverged in epoch {number} (loss {loss}); lower the learning rate")
        accuracy = None
        every = conduct.validate_every or max(1, self._epochs // VALIDATIONS)
        if last or number % every == 0:
            accuracy = self._accuracy(self._method.net.classifier(), "validation", len(self._at.history))
            if conduct.patience is not None and phase == self._phases[-1][0]:
                self._at.judge(accuracy, self._method.network())
        seconds, cpu = (now - then for now, then in zip(_clocks(), began, strict=True))
        record = EpochRecord(
            self._method.phases[phase].name, number, self._epochs, loss, use.connectivity, accuracy, seconds,
            use.densities, cpu,
        )  # fmt: skip
        self._at.history.append(record)
        if conduct.observer is not None:
            conduct.observer(record, self._method.network())
        if self._progress is not None:
            self._progress(record)

    def _accuracy(self, network: Any, part: str, epoch: int) -> float:
        """On the samples of a part of the data, with the labels of an epoch."""
        samples, labels = (getattr(self._data, f"{part}_{what}") for what in ("images", "labels"))
        return measure(network, samples, self._labels(labels, epoch)).accuracy

    def _finish(self) -> TrainedResult:
        """Measure validation and, this once, test accuracy, and hand over the network."""
        network: SparseNetwork = self._at.best or self._method.network()
        record, last = self._record, len(self._at.history) - 1
        validation, test = (self._accuracy(network, part, last) for part in ("validation", "test"))
        done = TrainingRecord(record.method, record.config, record.seed, validation, test, self._data.reference)
        return TrainedResult(network.with_record(done), tuple(self._at.history))


def _clocks() -> tuple[float, float]:
    """Wall-clock and processor time, seconds."""
    return time.perf_counter(), time.process_time()


class _Use:
    """The most connections in use at any step of an epoch, in all and per matrix."""

    def __init__(self, shapes: Shapes) -> None:
        self._sizes = tuple(rows * cols for rows, cols in shapes)
        self._last: tuple[int, ...] = ()
        self._total, self._most = 0, (0,) * len(shapes)

    def see(self, counts: tuple[int, ...]) -> None:
        """Take note of the connections that a step uses."""
        if counts != self._last:
            self._last, self._total = counts, max(self._total, sum(counts))
            self._most = tuple(max(pair) for pair in zip(counts, self._most, strict=True))

    @property
    def connectivity(self) -> float:
        """Of the whole network, 0 .. 1."""
        return self._total / sum(self._sizes)

    @property
    def densities(self) -> tuple[float, ...]:
        """Of every matrix, 0 .. 1."""
        return tuple(count / size for count, size in zip(self._most, self._sizes, strict=True))


def _finite(values: Any) -> bool:
    return bool(np.isfinite(values).all()) if isinstance(values, np.ndarray) else bool(values.isfinite().all())
