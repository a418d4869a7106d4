"""One run of edge-popup, and the selection of the weights with the largest scores."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.network.methods.edge_popup import EdgePopup
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import Shapes, he_normal
from matchopt.network.training.optimisers import Rule
from matchopt.network.training.schedules import rate_factor
from matchopt.network.training.selection import Moved, SelectedModel, on_cpu, on_device, parts


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
        self.net = SelectedModel(
            setting, TopShare(setting.shapes, self.fixed, scores, kept, options.rule, setting.device)
        )
        self.phases = (Phase("choose", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        options = self._options
        factor = rate_factor(options.schedule, at.done, options.epochs, options.restarts)
        self.net.step(options.learning_rate * factor)


class TopShare(Moved):
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
        self._parts, self._kept = parts(shapes), tuple(kept)
        self._fixed, self._in_use = on_device(fixed, device), on_device(np.zeros(len(fixed), bool), device)

    def fill(self, weights: Any, training: bool) -> None:
        """See `Selection.fill`."""
        del training
        for part, kept in zip(self._parts, self._kept, strict=True):
            size = abs(self.values[part])
            self._in_use[part] = largest(size, kept) if isinstance(size, np.ndarray) else largest_by_torch(size, kept)
        weights[:] = self._fixed * self._in_use

    def step(self, gradient: Any, rate: float) -> None:
        """See `Selection.step`."""
        slope = gradient * self._fixed
        if isinstance(slope, np.ndarray):
            np.copysign(slope, slope * self.values, out=slope)
        else:
            slope *= self.values.sign()
        self.optimiser.step(self.values, slope, rate)

    def mask(self) -> Bool[np.ndarray, " weights"]:
        """See `Selection.mask`."""
        return on_cpu(self._in_use)

    @property
    def counts(self) -> tuple[int, ...]:
        """See `Selection.counts`."""
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
    for part, (_, n) in zip(parts(shapes), shapes, strict=True):
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
