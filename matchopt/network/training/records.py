"""What training leaves behind, epoch by epoch and at its end, and what may be done besides."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from matchopt.network.sparse_network import SparseNetwork
from matchopt.parts import Json
from matchopt.settings import PositiveInt, check_fields


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of training led to.

    Parameters
    ----------
    phase : name of the part of training, such as "prune".
    epoch, epochs : epochs done and to do, over all phases.
    loss : mean training loss over the epoch.
    connectivity : largest share of weights in use at any step of the epoch, 0 .. 1; biases not counted.
    validation_accuracy : share of validation samples classified correctly; None where it was not measured.
    seconds : wall-clock time of the epoch.
    densities : the same share per weight matrix, each the largest of the epoch.
    cpu_seconds : processor time of the epoch, of all threads of the process together.
    """

    phase: str
    epoch: int
    epochs: int
    loss: float
    connectivity: float
    validation_accuracy: float | None
    seconds: float
    densities: tuple[float, ...] = ()
    cpu_seconds: float = 0.0


Progress = Callable[[EpochRecord], None]  # called once after every epoch
Observer = Callable[[EpochRecord, SparseNetwork], None]  # the same, with the network as it then is


@dataclass(frozen=True, eq=False)
class TrainedResult:
    """A trained network, its accuracies in its own record, and how training went, epoch by epoch."""

    network: SparseNetwork
    history: tuple[EpochRecord, ...]

    @property
    def connectivity(self) -> float:
        """Largest share of connections in use at any time, the final network included, 0 .. 1."""
        return max(self.network.connectivity, *(record.connectivity for record in self.history))


@runtime_checkable
class Transform(Protocol):
    """A random change of training samples that keeps their classes, such as an augmentation of images."""

    @property
    def clean_epochs(self) -> int:
        """How many epochs at the end of training do without it."""

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Float32[np.ndarray, "batch values"]:
        """Changed copies of some rows of the data's training samples (or `originals`); all chance is from `rng`."""

    def facts(self) -> dict[str, Json]:
        """Name and settings, as JSON, for the network's record."""


@dataclass(frozen=True)
class Conduct:
    """What is done besides the steps of the method; every method trains under any of it.

    Parameters
    ----------
    transform : changes every training batch.
    labels : "fixed", or "permuted": before every epoch a new random permutation of the classes is drawn, which
        training, validation and (the last one) test labels all follow: a new task every epoch.
    validate_every : epochs between two measurements on validation data; None for about ten in all. The last epoch of
        every phase is measured anyway.
    patience : stop after this many measurements in a row, within the last phase, without a better validation accuracy,
        and hand over the best network of that phase; None for training to the end.
    observer : called after every epoch with its record and the network; for studies of how networks change.

    Raises
    ------
    InvalidOption
        when a number is below 1 or the labels are neither of the two.
    """

    transform: Transform | None = None
    labels: Literal["fixed", "permuted"] = "fixed"
    validate_every: PositiveInt | None = None
    patience: PositiveInt | None = None
    observer: Observer | None = None

    def __post_init__(self) -> None:
        check_fields(self, "conduct")

    def facts(self) -> dict[str, Json]:
        """What changes the trained network, as JSON; empty where nothing does."""
        facts: dict[str, Json] = {}
        if self.transform is not None:
            facts["transform"] = self.transform.facts()
        if self.labels != "fixed":
            facts["labels"] = self.labels
        if self.patience is not None:
            facts |= {"patience": self.patience, "validate_every": self.validate_every}
        return facts
