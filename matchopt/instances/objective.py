"""What is minimised; part of the instance."""

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import frozen

SYMMETRY_TOLERANCE = 1e-9  # relative; second moments from float32 samples are symmetric to about 1e-7 before averaging


class Objective(ABC):
    """The function that a mapping minimises."""

    name: ClassVar[str]


@dataclass(frozen=True)
class WeightError(Objective):
    """Weighted squared distance of realised from target weights, plus the read noise behind them.

    sum over rows i and all inputs x of Q[i,x] * ((W[i,x] - realised[i,x])^2 + g_i^2 * variance of the cells behind it);
    Q is 1 outside the support.
    """

    name = "weight-error"


@dataclass(frozen=True, eq=False)
class OutputError(Objective):
    """Expected squared error of the pre-activations on the layer's inputs, plus the read noise.

    sum over rows i of (W_i - realised_i)^T S (W_i - realised_i) + g_i^2 * sum over x of S[x,x] * variance behind x.

    Parameters
    ----------
    second_moments : S = E[x x^T] over the layer's inputs, shape (n_inputs, n_inputs), symmetric, diagonal >= 0.
    """

    second_moments: Float[np.ndarray, "inputs inputs"]
    name = "output-error"

    def __post_init__(self) -> None:
        moments = frozen(self.second_moments, "objective.second_moments", float, 2)
        if moments.shape[0] != moments.shape[1]:
            raise InvalidInstance(f"objective.second_moments must be square, found shape {moments.shape}")
        diagonal = moments.diagonal()
        if (diagonal < 0).any():
            x = int(np.argmax(diagonal < 0))
            raise InvalidInstance(f"objective.second_moments must be >= 0 on the diagonal, found {diagonal[x]} at {x}")
        scale = float(np.abs(moments).max(initial=0.0))
        if not np.allclose(moments, moments.T, rtol=0.0, atol=SYMMETRY_TOLERANCE * scale):
            raise InvalidInstance("objective.second_moments must be symmetric")
        object.__setattr__(self, "second_moments", moments)

    @property
    def is_diagonal(self) -> bool:
        """Whether the inputs are uncorrelated, so that the error separates over connections."""
        return bool(np.count_nonzero(self.second_moments) == np.count_nonzero(self.second_moments.diagonal()))


@dataclass(frozen=True, eq=False)
class TaskLoss(Objective):
    """Mean cross-entropy of the realised network on labelled inputs; network instances only.

    Parameters
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite.
    labels : class of each sample, in 0 .. number of outputs - 1.
    """

    inputs: Float[np.ndarray, "samples inputs"]
    labels: Int[np.ndarray, " samples"]
    name = "task-loss"

    def __post_init__(self) -> None:
        inputs = frozen(self.inputs, "objective.inputs", float, 2)
        labels = frozen(self.labels, "objective.labels", int, 1, shape=(len(inputs),))
        if len(inputs) == 0:
            raise InvalidInstance("objective.inputs must hold at least one sample, found none")
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", labels)
