"""The base of training methods that are run by the one loop."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from importlib.util import find_spec
from pathlib import Path

from matchopt.errors import MissingExtra, PluginError
from matchopt.instances.architecture import Architecture
from matchopt.network.data import ImageData
from matchopt.network.sparse_network import TrainingRecord
from matchopt.network.training.engines import steady_arithmetic
from matchopt.network.training.loop import TrainingLoop
from matchopt.network.training.method import Method, Setting, check_fit
from matchopt.network.training.model import as_architecture
from matchopt.network.training.records import Conduct, Progress, TrainedResult
from matchopt.network.training.streams import Streams
from matchopt.parts import Json
from matchopt.settings import NonNegativeInt, checked
from matchopt.trainer_contract import TrainerContract


class Trainer(TrainerContract):
    """A training method; a frozen dataclass whose fields are its options.

    A subclass names itself, says what it promises about connectivity, and makes a `Method`, which holds all that
    changes in one run. Batches, records, validation, early stopping and checkpoints are the loop's.
    Options of the names below are explained here; a method explains those that mean more to it, and all others.

    Parameters
    ----------
    epochs : passes over the training samples.
    batch_size : samples per step.
    optimiser : "adam", or "sgd" with Nesterov momentum.
    learning_rate : at the start.
    momentum : of "sgd".
    decay : l2 penalty, added to the gradient as decay * weight.
    schedule : how the rate falls: "linear" or "cosine" to 0, "constant", or "restarts": as a cosine that begins again.
    restarts : epochs after which "restarts" begins again, ascending.
    threads : threads of the matrix products, where there are any; more help on idle cores only.
    """

    threads = 1  # of matrix products on a CPU; a method may make it an option

    @abstractmethod
    def new_run(self, setting: Setting) -> Method:
        """Start a run.

        Raises
        ------
        InvalidOption
            when the options do not fit the architecture or the data.
        """

    def train(
        self,
        data: ImageData,
        architecture: Architecture | Sequence[int],
        seed: int,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        device: str = "cpu",
        conduct: Conduct | None = None,
    ) -> TrainedResult:
        for module in self.needs:
            if find_spec(module.partition(".")[0]) is None:
                raise MissingExtra(f"trainer {self.name}", module, self.extra)
        from matchopt.network.training.autograd import check_device

        check_device(device)
        checked(seed, NonNegativeInt, "seed")
        wanted, chosen = as_architecture(architecture), conduct or Conduct()
        check_fit(data, wanted)
        streams = Streams.of(seed)
        with steady_arithmetic(self.threads):
            method = self.new_run(Setting(data, wanted, device, streams.start, streams.chance, streams.noise))
            if not isinstance(method, Method):
                raise PluginError(f"trainer {self.name}: new_run must return a Method, found {method!r}")
            loop = TrainingLoop(data, method, self.record(seed, chosen), streams, progress, chosen)
            if checkpoint is not None:
                loop.keep_at(checkpoint, wanted)
            return loop.run()

    def record(self, seed: int, conduct: Conduct | None = None) -> TrainingRecord:
        """The method, its options and the seed, as they go into the network's record."""
        config: dict[str, Json] = asdict(self) if is_dataclass(self) else {}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
        more = (conduct or Conduct()).facts()
        return TrainingRecord(self.name, plain | ({"conduct": more} if more else {}), seed)
