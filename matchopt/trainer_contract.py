"""What the framework asks of a training method: how it is called, what it promises, and one call that trains."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from matchopt.instances import Architecture
from matchopt.settings import WithOptions

Promise = Literal["exact", "at most", "reported"]


class TrainerContract(WithOptions):
    """A training method. Subclasses are frozen dataclasses; their fields are the method's options.

    Almost every method is better written as a `matchopt.network.Trainer`, which leaves batches, validation,
    checkpoints and progress to one loop.
    """

    noun = "trainer"
    name: ClassVar[str]  # lower-case words and dashes; how users call it
    # About the share of connections in use: "exact": known before training, in every step; "at most": never above
    # what the options say, in any step; "reported": an outcome, or larger while training runs. It is recorded always.
    promise: ClassVar[Promise]
    needs: ClassVar[tuple[str, ...]] = ("torch",)  # modules it imports while training, for `matchopt trainers`
    extra: ClassVar[str] = "torch"  # the extra of the distribution that brings them

    @abstractmethod
    def train(
        self,
        data: Any,
        architecture: Architecture | Sequence[int],
        seed: int,
        progress: Callable[[Any], None] | None = None,
        checkpoint: Path | None = None,
        device: str = "cpu",
        conduct: Any = None,
    ) -> Any:
        """Train a network with softmax cross-entropy; returns a `TrainedResult` of the network room.

        Deterministic on a CPU: the same options, data, architecture, seed and number of threads give the same network,
        bit by bit, interrupted and resumed or not. Choices are made on validation data; test data are read once.

        Parameters
        ----------
        data : the data set, an `ImageData`.
        architecture : which network; widths, inputs first and classes last, are a fully connected one with ReLU
            between its layers.
        seed : seed of all randomness, >= 0.
        progress : called with an `EpochRecord` after every epoch; None for silence.
        checkpoint : file that keeps the state of training between two epochs; read and continued where it exists.
        device : "cpu", or a device of torch such as "cuda".
        conduct : a `Conduct`: what is done besides training, such as augmentation and early stopping; None for nothing.

        Raises
        ------
        InvalidOption
            when the architecture does not fit the data, the options do not fit the architecture, the checkpoint
            belongs to another run, the device is not there, or training diverges.
        """
