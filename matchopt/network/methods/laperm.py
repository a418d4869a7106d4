"""LaPerm: every neuron keeps its initial weights and learns where to put them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval
from jaxtyping import Bool, Float32

from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import Shapes, segments
from matchopt.network.training.optimisers import Adam, Schedule, rate_factor
from matchopt.network.training.selection import FreeWeights, SelectedModel
from matchopt.network.training.tensors import Tensor, as_tensor, on_device
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
    learning_rate : of Adam, at the start.

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

    def new_run(self, setting: Setting) -> "PermutingRun":
        return PermutingRun(self, setting)


class PermutingRun(Method):
    """One run of LaPerm.

    Parameters
    ----------
    fixed : the initial weights, all matrices flat.
    """

    net: SelectedModel

    def __init__(self, options: LaPerm, setting: Setting) -> None:
        self._options = options
        self.fixed = initial_values(options, setting.shapes, setting.start)
        self._weights = PermutedWeights(setting.shapes, self.fixed, setting.device)
        self.net = SelectedModel(setting, self._weights)
        self.phases = (Phase("permute", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        options = self._options
        factor = rate_factor(options.schedule, at.done, options.epochs, options.restarts)
        self.net.step(options.learning_rate * factor)
        if at.number % options.interval == 0:
            self._weights.synchronise()


class PermutedWeights(FreeWeights):
    """Weights that are free in training, and a permutation of what they began with, row by row, otherwise.

    Parameters
    ----------
    shapes : rows and columns of every matrix.
    fixed : what they begin with, all matrices flat; a zero is no connection.
    device : where.
    """

    def __init__(self, shapes: Shapes, fixed: Float32[np.ndarray, " weights"], device: str) -> None:
        super().__init__(on_device(fixed.copy(), device), Adam())
        self._by_matrix = list(zip(segments(shapes), shapes, strict=True))
        ranked = [as_tensor(fixed)[part].view(shape).sort(1).values for part, shape in self._by_matrix]
        self._ranked = [matrix.to(device) for matrix in ranked]

    def fill(self, weights: Any, training: bool) -> None:
        if training:
            weights[:] = self.values
        else:
            self._permute(as_tensor(weights))

    def synchronise(self) -> None:
        """Give every row its initial values, in the order of the free ones."""
        self._permute(as_tensor(self.values))

    def mask(self) -> Bool[np.ndarray, " weights"]:
        """See `Selection.mask`: zeros go with the smallest initial values, wherever these are now."""
        found = as_tensor(self.values).clone()
        self._permute(found)
        mask: Bool[np.ndarray, " weights"] = (found != 0).cpu().numpy()
        return mask

    def _permute(self, target: Tensor) -> None:
        free = as_tensor(self.values)
        for (part, shape), ranked in zip(self._by_matrix, self._ranked, strict=True):
            order = free[part].view(shape).argsort(dim=1, stable=True)  # of equal ones the first is the smaller
            target[part].view(shape).scatter_(1, order, ranked)


def initial_values(options: LaPerm, shapes: Shapes, rng: np.random.Generator) -> Float32[np.ndarray, " weights"]:
    """The values that are permuted, all matrices flat; a share of each matrix is zero."""
    drawn = []
    for m, n in shapes:
        deviation = (2.0 / n) ** 0.5
        if options.weights == "uniform":
            values = (2.0 * rng.random(m * n, np.float32) - 1.0) * (deviation * 3.0**0.5)
        else:
            values = rng.standard_normal(m * n, np.float32) * deviation
        if options.weights == "signed-constant":
            values = np.copysign(deviation, values)
        values = values.astype(np.float32)
        values[rng.choice(m * n, round(options.zeros * m * n), replace=False)] = 0.0
        drawn.append(values)
    return np.concatenate(drawn)
