"""LaPerm: every neuron keeps its initial weights and learns where to put them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from matchopt.network.training.method import Method, Setting
from matchopt.network.training.schedules import Schedule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt


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

    interval: PositiveInt = 250
    zeros: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    weights: Literal["normal", "uniform", "signed-constant"] = "uniform"
    epochs: PositiveInt = 25
    batch_size: PositiveInt = 100
    learning_rate: NonNegativeFloat = 1e-3
    schedule: Schedule = "linear"
    restarts: tuple[PositiveInt, ...] = (25, 75)
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> Method:
        """See `Trainer.new_run`."""
        from matchopt.network.methods.permuting import PermutingRun

        return PermutingRun(self, setting)
