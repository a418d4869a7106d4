"""Objectives of whole networks, measured on sample inputs; and the table of all objectives."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from jaxtyping import Float, Int, Num

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import frozen
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.objective import LayerObjective, Objective, OutputError, WeightError
from matchopt.instances.passes import Pass
from matchopt.instances.samples import compact, positive_scale, scaled_columns, scaled_rows
from matchopt.instances.signals import Biases, Matrices, packed
from matchopt.parts import Json, Parts

Noises = Iterable[Float[np.ndarray, "rows inputs"]]
Labels = Int[np.ndarray, " samples *frames"]
IGNORED = -1  # label of a frame that no loss and no accuracy counts
MOST_KEPT = 2**22  # sample inputs that are kept as numbers too: 32 MiB
SILENT = 1e-20  # share of their mean square below which a variance of signals is the rounding of a constant


class Trained(Protocol):
    """The network as it was trained: a `NetworkInstance`."""

    @property
    def biases(self) -> Biases:
        """Digital biases of each layer; None where they are hardware."""

    @property
    def target_weights(self) -> Matrices:
        """The layers' target weights as full matrices."""

    @property
    def runs(self) -> Pass:
        """How samples run through it."""

    @property
    def signal_variances(self) -> Sequence[float]:
        """Sum of the variances of each layer's target signals."""

    @property
    def target_answers(self) -> Float[np.ndarray, "answers outputs"]:
        """What it puts out on the objective's samples."""


class SampleObjective(Objective):
    """What is measured on samples of the network's inputs; network instances only.

    Attributes
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    level = "network"
    inputs: Num[np.ndarray, "samples inputs"]
    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", compact(self.inputs, "objective.inputs"))
        object.__setattr__(self, "scale", positive_scale(self.scale, "objective.scale"))

    @property
    def demands(self) -> frozenset[str]:
        own = asks(self.name, True)
        return demands_of(self, inputs=own, scale=own, labels=own)

    @classmethod
    def of_samples(cls, inputs: Num[np.ndarray, "samples inputs"], labels: Labels | None, scale: float) -> Self:
        """Make it from samples and, where it reads them, their labels."""
        del labels
        return cls(inputs=inputs, scale=scale)  # type: ignore[call-arg]  # fields of every subclass

    @property
    def classes(self) -> Labels | None:
        """The class of each sample; None for objectives that read no labels."""
        return None

    @property
    def counted(self) -> Int[np.ndarray, " counted"]:
        """Numbers of the samples that the value depends on: all but those of which no frame counts."""
        labels, every = self.classes, np.arange(len(self.inputs))
        return every if labels is None or labels.ndim == 1 else every[(labels != IGNORED).any(axis=1)]

    def rows(self, which: Any) -> Float[np.ndarray, "..."]:
        """What the network receives for the samples `which` (index, slice or array of numbers), as float64."""
        return scaled_rows(self.inputs, self.scale, which)

    def fed(self, which: Any, trained: Trained, first: Any) -> Float[np.ndarray, "samples inputs"]:
        """The same numbers, laid out as is quickest for a network whose layer 0 has the matrix `first`."""
        if not trained.runs.plain or isinstance(packed(first), np.ndarray):
            return self.rows(which)
        whole = isinstance(which, slice) and which.indices(len(self.inputs)) == (0, len(self.inputs), 1)
        if whole and self.inputs.size <= MOST_KEPT:
            return self._columns
        return scaled_columns(self.inputs, self.scale, which)

    @cached_property
    def _columns(self) -> Float[np.ndarray, "samples inputs"]:
        """All samples as `fed` gives them, which takes as long as to run them through the network."""
        found = scaled_columns(self.inputs, self.scale, slice(None))
        found.flags.writeable = False
        return found

    def part(self, which: Int[np.ndarray, " some"] | slice) -> Self:
        """The same objective on some of its samples."""
        parts = self.parts()
        return self.from_parts(Parts(parts.facts, {name: array[which] for name, array in parts.arrays.items()}))

    @abstractmethod
    def value(self, trained: Trained, weights: Matrices, biases: Biases, noises: Noises) -> float:
        """The objective of a realised network.

        Parameters
        ----------
        trained : the network as it was trained.
        weights, biases : of the realised network.
        noises : read-noise variance of every realised weight, layer by layer; see `LayerInstance.noise`.
        """

    def check_fit(self, n_inputs: int, n_outputs: int, frames: int | None = None) -> None:
        """Raise InvalidInstance unless it is an objective of networks of this size.

        Parameters
        ----------
        n_inputs, n_outputs : of the network.
        frames : answers for each sample, where there is one after every frame.
        """
        del n_outputs, frames
        if self.inputs.shape[1] != n_inputs:
            raise InvalidInstance(f"objective.inputs must have {n_inputs} columns, found {self.inputs.shape[1]}")

    def variances(self, trained: Trained) -> tuple[float, ...]:
        """Sum over rows of the variance of each layer's target signals; 1 for a layer that is constant."""
        runs, weights = trained.runs, trained.target_weights
        quick = [packed(matrix) for matrix in weights]
        near: list[np.ndarray] = []  # a value near each mean: squares of distances from it keep their digits
        first = [np.zeros(len(matrix)) for matrix in weights]
        second = [0.0] * len(weights)
        for part in runs.chunks(len(self.inputs)):
            for n, (_, signal) in enumerate(runs.run(quick, trained.biases, self.rows(part))):
                if len(near) == n:
                    near.append(signal.mean(axis=0))
                away = signal - near[n]
                first[n] += away.sum(axis=0)
                second[n] += float(np.vdot(away, away))
        found = []
        for n, (start, total, squares) in enumerate(zip(near, first, second, strict=True)):
            count = len(self.inputs) * runs.places[n]
            offset = total / count
            spread = squares / count - float(offset @ offset)
            found.append(spread if spread > SILENT * float(((start + offset) ** 2).sum()) else 1.0)
        return tuple(found)


@dataclass(frozen=True, eq=False)
class TaskLoss(SampleObjective):
    """Mean cross-entropy of the realised network on labelled inputs; network instances only.

    Parameters
    ----------
    inputs : sample inputs, shape (samples, n_inputs), finite; uint8, float32 and float64 keep their type.
    labels : class of each sample, in 0 .. number of outputs - 1; for a network that answers after every frame of each
        sample and frame, shape (samples, frames), -1 for frames that do not count.
    scale : the network receives `inputs * scale`; 1/255 for images in bytes. > 0.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    labels: Int[np.ndarray, " samples *frames"]
    scale: float = 1.0
    name = "task-loss"
    labelled = True

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.inputs), None)[: 2 if np.ndim(self.labels) == 2 else 1]
        object.__setattr__(self, "labels", frozen(self.labels, "objective.labels", int, len(shape), shape=shape))

    @classmethod
    def of_samples(cls, inputs: Num[np.ndarray, "samples inputs"], labels: Labels | None, scale: float) -> Self:
        if labels is None:
            raise InvalidInstance(f"sample_labels: {cls.name} needs the class of every sample, found none")
        return cls(inputs, labels, scale)

    @property
    def classes(self) -> Labels:
        return self.labels

    def check_fit(self, n_inputs: int, n_outputs: int, frames: int | None = None) -> None:
        super().check_fit(n_inputs, n_outputs)
        if frames is None and self.labels.ndim > 1:
            raise InvalidInstance("objective.labels: labels per frame need a network that answers after every frame")
        if frames is not None and self.labels.shape != (len(self.inputs), frames):
            raise InvalidInstance(f"objective.labels: a network that answers after every frame needs labels of shape "
                                  f"{(len(self.inputs), frames)}, found {self.labels.shape}")  # fmt: skip
        least = 0 if frames is None else IGNORED
        wrong = self.labels[(self.labels < least) | (self.labels >= n_outputs)]
        if len(wrong):
            raise InvalidInstance(f"objective.labels must be in {least} .. {n_outputs - 1}, found {wrong[0]}")
        if (self.labels == IGNORED).all():
            raise InvalidInstance("objective.labels: at least one frame must count, found -1 for all")

    def value(self, trained: Trained, weights: Matrices, biases: Biases, noises: Noises) -> float:
        runs, total, quick = trained.runs, 0.0, [packed(matrix) for matrix in weights]
        for part in runs.chunks(len(self.inputs)):
            *_, (_, signals) = runs.run(quick, biases, self.rows(part))
            logits, labels = runs.answered(signals), self.labels[part].ravel()
            logits -= logits.max(axis=1, keepdims=True)
            losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(logits)), labels]
            total += float((losses if self.labels.ndim == 1 else losses[labels != IGNORED]).sum())
        return total / int(np.count_nonzero(self.labels != IGNORED))


@dataclass(frozen=True, eq=False)
class FunctionalError(SampleObjective):
    """How far the realised network strays from its target, layer by layer, on unlabelled inputs; networks only.

    With z' the pre-activations of a layer of the target network on its own activity and with the instance's biases,
    and z those of the realised network on its own activity x and with the mapping's biases: the sum over layers of

        [ sum_i E (z_i - z'_i)^2 + sum_i g_i^2 sum over wires of variance * E[x^2] ] / sum_i Var(z'_i)

    with means E and Var over the samples; of a filter over samples and places of the image, of a recurrent network over
    samples and frames. A layer whose target signals do not vary (their variance is at most
    `SILENT` times their mean square, which is rounding) is divided by 1. Its fields are those of `SampleObjective`.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    scale: float = 1.0
    name = "functional-error"

    def value(self, trained: Trained, weights: Matrices, biases: Biases, noises: Noises) -> float:
        runs, total, variances = trained.runs, 0.0, trained.signal_variances
        counts = [len(self.inputs) * places for places in runs.places]
        by_input = [noise.sum(axis=0) for noise in noises]
        wanted, found = ([packed(matrix) for matrix in each] for each in (trained.target_weights, weights))
        for part in runs.chunks(len(self.inputs)):
            inputs = self.rows(part)
            pairs = zip(runs.run(wanted, trained.biases, inputs), runs.run(found, biases, inputs), strict=True)
            for n, ((_, ideal), (received, signal)) in enumerate(pairs):
                error = signal - ideal
                squared = float(np.vdot(error, error))
                if by_input[n].any():
                    squared += float(by_input[n] @ np.einsum("sx,sx->x", received, received))
                total += squared / counts[n] / variances[n]
        return total


@dataclass(frozen=True, eq=False)
class ScoreError(SampleObjective):
    """How far the realised network's outputs stray from its target's in what decisions rest on; networks only.

    The scores of a sample are the outputs less their mean over the outputs (one output alone is its own score): no
    decision changes when all outputs of a sample move together, nor when all scores grow by one positive factor. With
    s' the scores of the target network and s those of the realised one, over all samples and outputs,

        1 - max(0, <s', s>)^2 / [ |s'|^2 * (|s|^2 + N) ]

    in 0 .. 1: the squared sine of the angle between them, or the share of |s'|^2 that the best multiple of s leaves. N
    is what the read noise of the last layer adds to |s|^2, the sum over samples and wires of g^2 * variance * x^2
    times (1 - 1/outputs), or times 1 for one output (of an answer that is the mean over F frames, the sum over frames
    too, divided by F^2). The value is 1 where |s'|^2 * (|s|^2 + N) is 0. Its fields are
    those of `SampleObjective`.
    """

    inputs: Num[np.ndarray, "samples inputs"]
    scale: float = 1.0
    name = "score-error"

    def value(self, trained: Trained, weights: Matrices, biases: Biases, noises: Noises) -> float:
        *_, noise = noises
        by_input, outputs = noise.sum(axis=0), len(noise)
        # What scores differ by, instead of the realised scores: small errors keep their digits.
        wished = away = across = added = 0.0
        found, runs, answers = [packed(matrix) for matrix in weights], trained.runs, trained.target_answers
        each = len(answers) // len(self.inputs)
        for part in runs.chunks(len(self.inputs)):
            *_, (received, outcome) = runs.run(found, biases, self.fed(part, trained, found[0]))
            ideal, outcome = answers[part.start * each : part.stop * each], runs.answered(outcome)
            if outputs > 1:
                ideal, outcome = (signal - signal.mean(axis=1, keepdims=True) for signal in (ideal, outcome))
            apart = outcome - ideal
            wished += float(np.vdot(ideal, ideal))
            across += float(np.vdot(ideal, apart))
            away += float(np.vdot(apart, apart))
            if by_input.any():
                added += float(by_input @ np.einsum("sx,sx->x", received, received))
        added *= 1.0 - 1.0 / outputs if outputs > 1 else 1.0
        added /= runs.answers**2  # a mean of so many reads, each of noise of its own
        size = wished * (wished + 2.0 * across + away + added)
        if wished + across <= 0.0 or size <= 0.0:
            return 1.0
        return min(1.0, max(0.0, wished * (away + added) - across**2) / size)


# All objectives by name; a new one is a class and a line here.
LAYER_OBJECTIVES: dict[str, type[LayerObjective]] = {c.name: c for c in (WeightError, OutputError)}
NETWORK_OBJECTIVES: dict[str, type[SampleObjective]] = {
    cls.name: cls for cls in (TaskLoss, FunctionalError, ScoreError)
}
OBJECTIVES: dict[str, type[Objective]] = {**LAYER_OBJECTIVES, **NETWORK_OBJECTIVES}
_DEFINED = frozenset(OBJECTIVES.values())  # by the checker too


def asked_by(objective: Objective) -> frozenset[str]:
    """What an objective demands. One of a class from elsewhere asks for itself, whatever it has inherited."""
    own = type(objective)
    return objective.demands if own in _DEFINED else objective.demands | {f"the objective {own.__qualname__}"}


def layer_objective(named: Json, arrays: dict[str, np.ndarray]) -> LayerObjective:
    """The layer objective of a file: `named` is its name, or an object with the name and its facts."""
    facts = dict(named) if isinstance(named, dict) else {"name": named}
    name = facts.pop("name", None)
    if not isinstance(name, str) or name not in LAYER_OBJECTIVES:
        raise InvalidInstance(f"objective must be {' or '.join(LAYER_OBJECTIVES)}, found {name!r}")
    return LAYER_OBJECTIVES[name].from_parts(Parts(facts, arrays))
