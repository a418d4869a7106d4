"""What is minimised, as part of the instance; and the objectives of single layers."""

from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import ClassVar, Literal, Self

import numpy as np
from jaxtyping import Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import ReadOnly, frozen
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.target import Target
from matchopt.parts import Parts, exact_keys, field_values

Pairs = Int[np.ndarray, " pairs"]
Full = Float[np.ndarray, "rows inputs"]
SYMMETRY_TOLERANCE = 1e-9  # relative; second moments from float32 samples are symmetric to about 1e-7 before averaging


class Objective(ReadOnly, ABC):
    """The function that a mapping minimises. Subclasses are frozen dataclasses of arrays, and of facts with defaults.

    Attributes
    ----------
    name : how files and users call it.
    level : what it is an objective of.
    samples, labelled : whether it is made from sample inputs, and from their labels.
    """

    name: ClassVar[str]
    level: ClassVar[Literal["layer", "network"]]
    samples: ClassVar[bool] = True
    labelled: ClassVar[bool] = False

    @property
    @abstractmethod
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`; an objective other than the plainest demands its name."""

    def parts(self) -> Parts:
        """Its arrays, and the facts that are not at their defaults."""
        values = field_values(self)
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        defaults = {each.name: each.default for each in fields(self)}  # type: ignore[arg-type]  # of every subclass
        changed = {name: value for name, value in values.items() if name not in arrays and value != defaults[name]}
        return Parts(changed, arrays)

    @classmethod
    def fact_names(cls) -> list[str]:
        """The fields that are facts: those with a default."""
        return [each.name for each in fields(cls) if each.default is not MISSING]  # type: ignore[arg-type]  # as above

    @classmethod
    def from_parts(cls, parts: Parts, where: str = "objective") -> Self:
        """Rebuild from `parts()`; raises InvalidInstance naming the field that is wrong, or `where` one is missing."""
        given, facts = {**parts.facts, **parts.arrays}, set(cls.fact_names())
        required = {each.name for each in fields(cls)} - facts  # type: ignore[arg-type]  # as above
        exact_keys(given, required, facts, where, InvalidInstance)
        return cls(**given)


class LayerObjective(Objective):
    """A sum over rows of e^T Q_i e, e the error of the row's weights, and of the read noise times the diagonal of Q_i.

    That is the expectation of e^T Q_i e, as the noise of cells is independent.
    """

    level = "layer"

    @property
    @abstractmethod
    def is_diagonal(self) -> bool:
        """Whether every Q_i is diagonal, so that the error separates over connections."""

    @abstractmethod
    def diagonal(self, target: Target, rows: Pairs, inputs: Pairs) -> Float[np.ndarray, " pairs"]:
        """What the squared error of each of these (row, input) pairs counts for: Q_i[x, x], >= 0."""

    def value(self, target: Target, error: Full, noise: Full) -> float:
        """The objective, from the errors of all weights and the variances of their reads; here of diagonal forms."""
        rows, inputs = np.indices(error.shape).reshape(2, -1)
        return float(self.diagonal(target, rows, inputs) @ (error**2 + noise).ravel())

    def importance(self, target: Target) -> Float[np.ndarray, " connections"]:
        """What the squared error of each connection counts for."""
        return self.diagonal(target, target.row_of, target.indices)

    def row_quadratic(self, target: Target, i: int) -> Float[np.ndarray, "*form"]:
        """Q_i: its diagonal, shape (n_inputs,), where `is_diagonal`, else the matrix."""
        every = np.arange(target.n_inputs)
        return self.diagonal(target, np.full(target.n_inputs, i), every)

    @property
    def shared_quadratic(self) -> Float[np.ndarray, "inputs inputs"] | None:
        """The matrix that is Q_i of every row, None where rows have their own."""
        return None

    @classmethod
    def of_moments(cls, moments: Float[np.ndarray, "inputs inputs"]) -> Self:
        """Make it from second moments E[x x^T] of what the layer receives; of those that are made from samples."""
        return cls(moments)  # type: ignore[call-arg]  # their one field

    def check_fit(self, target: Target) -> None:
        """Raise InvalidInstance unless it is an objective of layers with this target."""
        del target


@dataclass(frozen=True)
class WeightError(LayerObjective):
    """Weighted squared distance of realised from target weights, plus the read noise behind them.

    sum over rows i and all inputs x of Q[i,x] * ((W[i,x] - realised[i,x])^2 + g_i^2 * variance of the cells behind it);
    Q is 1 outside the support.
    """

    name = "weight-error"
    samples = False
    is_diagonal = True

    @property
    def demands(self) -> frozenset[str]:
        return demands_of(self)

    def diagonal(self, target: Target, rows: Pairs, inputs: Pairs) -> Float[np.ndarray, " pairs"]:
        keys, wanted = target.keys(target.row_of, target.indices), target.keys(rows, inputs)
        at = np.searchsorted(keys, wanted)
        inside = np.append(keys, -1)[at] == wanted
        return np.where(inside, np.append(target.importance, 1.0)[at], 1.0)

    def importance(self, target: Target) -> Float[np.ndarray, " connections"]:
        return target.importance


@dataclass(frozen=True, eq=False)
class OutputError(LayerObjective):
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
        own = asks(self.name, True)
        return demands_of(self, second_moments=own | asks("correlated-inputs", not self.is_diagonal))

    @cached_property
    def is_diagonal(self) -> bool:
        """See `LayerObjective.is_diagonal`: whether the inputs are uncorrelated."""
        return bool(np.count_nonzero(self.second_moments) == np.count_nonzero(self.second_moments.diagonal()))

    def diagonal(self, target: Target, rows: Pairs, inputs: Pairs) -> Float[np.ndarray, " pairs"]:
        return np.asarray(self.second_moments.diagonal()[inputs])

    def row_quadratic(self, target: Target, i: int) -> Float[np.ndarray, "*form"]:
        return self.second_moments.diagonal() if self.is_diagonal else self.second_moments

    @property
    def shared_quadratic(self) -> Float[np.ndarray, "inputs inputs"]:
        return self.second_moments

    def value(self, target: Target, error: Full, noise: Full) -> float:
        moments = self.second_moments
        return float(np.einsum("ix,ix->", error @ moments, error) + (noise @ moments.diagonal()).sum())

    def check_fit(self, target: Target) -> None:
        side = len(self.second_moments)
        if side != target.n_inputs:
            raise InvalidInstance(
                f"objective.second_moments must have one row per input, {target.n_inputs}, found {side}"
            )
