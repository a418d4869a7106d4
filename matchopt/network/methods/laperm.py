"""LaPerm: every neuron keeps its initial weights and learns where to put them."""

from dataclasses import dataclass
from typing import Literal

from matchopt.errors import InvalidOption
from matchopt.network.training.method import Method, Setting
from matchopt.network.training.options import at_least, one_of
from matchopt.network.training.schedules import SCHEDULES, Schedule
from matchopt.network.training.trainer import Trainer


@dataclass(frozen=True)
class LaPerm(Trainer):
    """Adam trains all weights freely; every `interval` steps each row gets its initial values back, in the new order.

    A row (a unit, a filter, or a gate) is synchronised by rank: its largest weight becomes the largest of its initial
    values, and so on. The trained network is the synchronised one, at whatever step: row by row a permutation of the
    start. No biases, which would start as zeros and be permuted to zeros.

    Parameters
    ----------
    interval : steps between two synchronisations, >= 1.
    zeros : share of every matrix's initial values that is set to zero, 0 .. 1 (1 excluded). Zeros are permuted as all
        others; between two synchronisations every weight is in use.
    weights : initial values: "normal", He's start; "uniform" of the same variance; or "signed-constant", its standard
        deviation with a random sign, one size for all.
    epochs : passes over the training samples, >= 1.
    batch_size : samples per step, >= 1.
    learning_rate : of Adam, at the start.
    schedule : how the rate falls: "linear" or "cosine" to 0, "constant", or "restarts": as a cosine that begins again.
    restarts : epochs after which "restarts" begins again, ascending.
    threads : threads of matrix products, >= 1.

    References
    ----------
    Qiu and Suda 2020, Train-by-Reconnect: decoupling locations of weights from their values, NeurIPS, arXiv 2003.02570,
    algorithm 1; code ihsuy/Train-by-Reconnect.
    """

    name = "laperm"
    promise = "reported"

    interval: int = 250
    zeros: float = 0.0
    weights: Literal["normal", "uniform", "signed-constant"] = "uniform"
    epochs: int = 25
    batch_size: int = 100
    learning_rate: float = 1e-3
    schedule: Schedule = "linear"
    restarts: tuple[int, ...] = (25, 75)
    threads: int = 1

    def __post_init__(self) -> None:
        at_least(self, interval=1, zeros=0, epochs=1, batch_size=1, learning_rate=0, threads=1)
        one_of(self, weights=("normal", "uniform", "signed-constant"), schedule=SCHEDULES)
        if not self.zeros < 1.0:
            raise InvalidOption(f"zeros must be below 1, found {self.zeros}")

    def new_run(self, setting: Setting) -> Method:
        """See `Trainer.new_run`."""
        from matchopt.network.methods.permuting import PermutingRun

        return PermutingRun(self, setting)
