"""The contract of every training method: configuration in, sparse network out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from typing import ClassVar

from matchopt.instances.base import Json
from matchopt.network.data import ImageData
from matchopt.network.sparse_network import SparseNetwork, TrainingRecord


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of training led to.

    Parameters
    ----------
    phase : name of the part of training, such as "prune".
    epoch, epochs : epochs done and to do, over all phases.
    loss : mean training loss over the epoch.
    connectivity : largest share of weights in use at any step of the epoch, 0 .. 1; biases not counted.
    validation_accuracy : share of validation images classified correctly; None where it was not measured.
    seconds : wall-clock time of the epoch.
    """

    phase: str
    epoch: int
    epochs: int
    loss: float
    connectivity: float
    validation_accuracy: float | None
    seconds: float


Progress = Callable[[EpochRecord], None]  # called once after every epoch


@dataclass(frozen=True, eq=False)
class TrainedResult:
    """A trained network, its accuracies in its own record, and how training went, epoch by epoch."""

    network: SparseNetwork
    history: tuple[EpochRecord, ...]


class Trainer(ABC):
    """One training method; a frozen dataclass whose fields are the method's configuration.

    Training is deterministic: the same configuration, data, widths, seed and number of threads give the same
    network, bit by bit. Choices are made on validation data; test data are read once, at the end.
    """

    name: ClassVar[str]

    @abstractmethod
    def train(
        self, data: ImageData, widths: tuple[int, ...], seed: int, progress: Progress | None = None
    ) -> TrainedResult:
        """Train a fully connected ReLU network with softmax cross-entropy.

        Parameters
        ----------
        data : the data set.
        widths : units of each layer, inputs first and classes last, such as (784, 300, 100, 10).
        seed : seed of all randomness, >= 0.
        progress : called after every epoch; None for silence.

        Raises
        ------
        ValueError
            when the widths do not fit the data, or the configuration does not fit the widths.
        """

    def record(self, seed: int) -> TrainingRecord:
        """The method, its configuration and the seed, as they go into the network's record."""
        config: dict[str, Json] = asdict(self) if is_dataclass(self) else {}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
        return TrainingRecord(self.name, plain, seed)


def check_widths(data: ImageData, widths: tuple[int, ...]) -> None:
    """Raise ValueError unless a network of these widths takes the data's images and gives its classes."""
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two whole numbers >= 1, found {widths}")
    if (widths[0], widths[-1]) != (data.n_pixels, data.n_classes):
        raise ValueError(
            f"widths must begin with {data.n_pixels} and end with {data.n_classes} for {data.reference.name}, "
            f"found {widths}"
        )
