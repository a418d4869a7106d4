"""edge-popup: which of the frozen random weights take part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import Shapes, segments
from matchopt.network.training.optimisers import Momentum, OptimiserName, Rule, Schedule, rate_factor, rule
from matchopt.network.training.selection import SelectedModel, Selection
from matchopt.network.training.starts import he_normal
from matchopt.network.training.tensors import on_cpu, on_device
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share


@dataclass(frozen=True)
class EdgePopup(Trainer):
    """Random weights are frozen; each has a score, and of every matrix those with the largest scores are in use.

    The size of a score counts, not its sign. Every weight w, in use or not, moves its score: the gradient of the
    score's size is g w, where g is the derivative of the loss by the weight (straight through). No biases.

    Parameters
    ----------
    kept : share of every matrix in use, above 0, at most 1; at least one weight.
    weights : "signed-constant", a random sign times the standard deviation of He's start, or "normal", that start.
    scaled : whether weights are divided by sqrt(kept), so that activity keeps its size with fewer inputs.
    optimiser : "sgd" or "adam", of the scores.
    momentum, decay : of "sgd"; the decay is an l2 penalty on the scores.

    References
    ----------
    Ramanujan, Wortsman, Kembhavi, Farhadi, Rastegari 2020, What's hidden in a randomly weighted neural network?, CVPR,
    arXiv 1911.13299; code allenai/hidden-networks (whose `prune_rate` is the share kept in one place, the share removed
    in another).
    """

    name = "edge-popup"
    promise = "exact"

    kept: Share = 0.5
    weights: Literal["signed-constant", "normal"] = "signed-constant"
    scaled: bool = True
    epochs: PositiveInt = 25
    batch_size: PositiveInt = 128
    optimiser: OptimiserName = "sgd"
    learning_rate: NonNegativeFloat = 0.1
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4
    schedule: Schedule = "cosine"
    restarts: tuple[PositiveInt, ...] = (25, 75)
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> "TopShareRun":
        return TopShareRun(self, setting)


class TopShareRun(Method):
    """One run of edge-popup.

    Parameters
    ----------
    fixed : the frozen weights, all matrices flat.
    """

    net: SelectedModel

    def __init__(self, options: EdgePopup, setting: Setting) -> None:
        self._options = options
        self.fixed = frozen_weights(options, setting.shapes, setting.start)
        scores = start_scores(setting.shapes, setting.start)
        kept = [max(1, round(options.kept * m * n)) for m, n in setting.shapes]
        moved = rule(options.optimiser, options.momentum, options.decay, nesterov=False)
        self.net = SelectedModel(setting, TopShare(setting.shapes, self.fixed, scores, kept, moved, setting.device))
        self.phases = (Phase("choose", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        options = self._options
        factor = rate_factor(options.schedule, at.done, options.epochs, options.restarts)
        self.net.step(options.learning_rate * factor)


class TopShare(Selection):
    """Of every matrix, the weights whose scores are largest in size; of equal ones the first.

    Parameters
    ----------
    shapes : rows and columns of every matrix.
    fixed : the weights, all matrices flat.
    scores : where scores start, alike.
    kept : weights in use, per matrix.
    rule : moves the scores.
    device : where.
    """

    def __init__(
        self,
        shapes: Shapes,
        fixed: Float32[np.ndarray, " weights"],
        scores: Float32[np.ndarray, " weights"],
        kept: Sequence[int],
        rule: Rule,
        device: str,
    ) -> None:
        super().__init__(on_device(scores, device), rule)
        self._parts, self._kept = segments(shapes), tuple(kept)
        self._fixed, self._in_use = on_device(fixed, device), on_device(np.zeros(len(fixed), bool), device)

    def fill(self, weights: Any, training: bool) -> None:
        del training
        for part, kept in zip(self._parts, self._kept, strict=True):
            size = abs(self.values[part])
            self._in_use[part] = largest(size, kept) if isinstance(size, np.ndarray) else largest_by_torch(size, kept)
        weights[:] = self._fixed * self._in_use

    def step(self, gradient: Any, rate: float) -> None:
        slope = gradient * self._fixed
        if isinstance(slope, np.ndarray):
            np.copysign(slope, slope * self.values, out=slope)
        else:
            slope *= self.values.sign()
        self.optimiser.step(self.values, slope, rate)

    def mask(self) -> Bool[np.ndarray, " weights"]:
        return on_cpu(self._in_use)

    @property
    def counts(self) -> tuple[int, ...]:
        return self._kept


def largest(sizes: Float32[np.ndarray, " n"], count: int) -> Bool[np.ndarray, " n"]:
    """Which `count` entries, 1 .. n, are largest; of equal ones the first."""
    least = np.partition(sizes, len(sizes) - count)[len(sizes) - count]
    chosen: Bool[np.ndarray, " n"] = sizes >= least
    surplus = int(np.count_nonzero(chosen)) - count
    if surplus:
        chosen[np.flatnonzero(sizes == least)[-surplus:]] = False
    return chosen


def largest_by_torch(sizes: Any, count: int) -> Any:
    """The same of a tensor, without waiting for its device."""
    least = sizes.kthvalue(len(sizes) - count + 1).values
    above, equal = sizes > least, sizes == least
    return above | (equal & (equal.cumsum(0) <= count - above.sum()))


def frozen_weights(options: EdgePopup, shapes: Shapes, rng: np.random.Generator) -> Float32[np.ndarray, " weights"]:
    """The weights that never change, all matrices flat."""
    weights: Float32[np.ndarray, " weights"] = he_normal(shapes, rng)[: sum(m * n for m, n in shapes)]
    for part, (_, n) in zip(segments(shapes), shapes, strict=True):
        if options.weights == "signed-constant":
            weights[part] = np.copysign(np.float32((2.0 / n) ** 0.5), weights[part])
        if options.scaled:
            weights[part] /= np.float32(options.kept**0.5)
    return weights


def start_scores(shapes: Shapes, rng: np.random.Generator) -> Float32[np.ndarray, " weights"]:
    """Scores U(-b, b) with b = 1 / sqrt(inputs), as the authors' code draws them (Kaiming's law with a = sqrt 5)."""
    drawn = [(2.0 * rng.random(m * n, np.float32) - 1.0) * np.float32(n**-0.5) for m, n in shapes]
    scores: Float32[np.ndarray, " weights"] = np.concatenate(drawn).astype(np.float32)
    return scores
