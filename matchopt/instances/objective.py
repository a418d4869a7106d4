"""What is minimised; part of the instance."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int, Num

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import frozen
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.samples import compact, positive_scale, scaled_rows

SYMMETRY_TOLERANCE = 1e-9  # relative; second moments from float32 samples are symmetric to about 1e-7 before averaging
SILENT = 1e-20  # share of their mean square below which a variance of signals is the rounding of a constant


class Objective(ABC):
    """The function that a mapping minimises."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`; an objective other than the plainest demands its name."""


@dataclass(frozen=True)
class WeightError(Objective):
    """Weighted squared distance of realised from target weights, plus the read noise behind them.

    sum over rows i and all inputs x of Q[i,x] * ((W[i,x] - realised[i,x])^2 + g_i^2 * variance of the cells behind it);
    Q is 1 outside the support.
    """

    name = "weight-error"

    @property
    def demands(self) -> frozenset[str]:
        """See `Objective.demands`."""
        return demands_of(self)


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
    def demands(self) -> frozenset[str]:
        """See `Objective.demands`."""
        own = asks(self.name, True)
        return demands_of(self, second_moments=own | asks("correlated-inputs", not self.is_diagonal))

    @cached_property
    def is_diagonal(self) -> bool:
        """Whether the inputs are uncorrelated, so that the error separates over connections."""
        return bool(np.count_nonzero(self.second_moments) == np.count_nonzero(self.second_moments.diagonal()))


class SampleObjective(Objective):
    """What is measured on samples of the network's inputs; network instances only.

    Attributes
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", compact(self.inputs, "objective.inputs"))
        object.__setattr__(self, "scale", positive_scale(self.scale, "objective.scale"))

    @property
    def demands(self) -> frozenset[str]:
        """See `Objective.demands`."""
        own = asks(self.name, True)
        return demands_of(self, inputs=own, scale=own, labels=own)

    def rows(self, which: Any) -> Float[np.ndarray, "..."]:
        """What the network receives for the samples `which` (index, slice or array of numbers), as float64."""
        return scaled_rows(self.inputs, self.scale, which)


@dataclass(frozen=True, eq=False)
class TaskLoss(SampleObjective):
    """Mean cross-entropy of the realised network on labelled inputs; network instances only.

    Parameters
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    labels : class of each sample, in 0 .. number of outputs - 1.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    labels: Int[np.ndarray, " samples"]
    scale: float = 1.0
    name = "task-loss"

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.inputs),)
        object.__setattr__(self, "labels", frozen(self.labels, "objective.labels", int, 1, shape=shape))


@dataclass(frozen=True, eq=False)
class FunctionalError(SampleObjective):
    """How far the realised network strays from its target, layer by layer, on unlabelled inputs; networks only.

    With z' the pre-activations of a layer of the target network on its own activity and with the instance's biases,
    and z those of the realised network on its own activity x and with the mapping's biases: the sum over layers of

        [ sum_i E (z_i - z'_i)^2 + sum_i g_i^2 sum over wires of variance * E[x^2] ] / sum_i Var(z'_i)

    with means E and Var over the samples. A layer whose target signals do not vary (their variance is at most
    `SILENT` times their mean square, which is rounding) is divided by 1.

    Parameters
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    scale: float = 1.0
    name = "functional-error"


@dataclass(frozen=True, eq=False)
class ScoreError(SampleObjective):
    """How far the realised network's outputs stray from its target's in what decisions rest on; networks only.

    The scores of a sample are the outputs less their mean over the outputs (one output alone is its own score): no
    decision changes when all outputs of a sample move together, nor when all scores grow by one positive factor. With
    s' the scores of the target network and s those of the realised one, over all samples and outputs,

        1 - max(0, <s', s>)^2 / [ |s'|^2 * (|s|^2 + N) ]

    in 0 .. 1: the squared sine of the angle between them, or the share of |s'|^2 that the best multiple of s leaves. N
    is what the read noise of the last layer adds to |s|^2, the sum over samples and wires of g^2 * variance * x^2
    times (1 - 1/outputs), or times 1 for one output. The value is 1 where |s'|^2 * (|s|^2 + N) is 0.

    Parameters
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    scale: float = 1.0
    name = "score-error"
