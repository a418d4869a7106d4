"""Gradual magnitude pruning, then a retrain of what is left: the best sparse trainer we know at 1 %."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval
from jaxtyping import Bool, Float32, Int64

from matchopt.errors import InvalidOption
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import Shapes
from matchopt.network.training.optimisers import Adam
from matchopt.network.training.starts import Densities, matrix_budgets
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, Share


@dataclass(frozen=True)
class GradualPruning(Trainer):
    """Remove the smallest weights step by step while training, then retrain the rest on the fixed mask.

    With p running from 0 to 1 between the fractions `begin` and `end` of the pruning phase, the share of weights left
    is d(p) = d + (1 - d) (1 - p)^3. Every `refresh` steps the weakest of those left are removed, for good.

    Parameters
    ----------
    mode : among which weights the strongest are kept. "row" compares the weights of one unit, so that every unit of a
        layer ends with the same fan-in; "layer" those of a layer; "global" those of the network.
    fan_in : mode "row": connections of every unit, per layer.
    connectivity : the other modes: share of weights left at the end, above 0, at most 1; mode "layer" shares them out
        as `matrix_budgets` does.
    densities : mode "layer": how dense layers are in relation to each other; see `density_ratios`.
    prune_epochs : passes over the training samples while pruning, >= 1.
    retrain_epochs : those of the retrain, >= 0.
    batch_size : samples per step while pruning.
    retrain_batch_size : the same in the retrain.
    prune_rate : learning rate of Adam at the start of pruning.
    prune_rate_end : at its end; linear in between.
    prune_decay : l2 penalty while pruning, >= 0. Adam moves every weight equally fast, however rarely its input is
        active; without a penalty, weights of pixels that matter in a few images only grow large and survive. On MNIST
        with fan-in 8, 8 and 30 the default is worth 0.8 points of validation accuracy.
    retrain_rate : learning rate of a fresh Adam in the retrain, falling linearly to 0.
    retrain_decay : l2 penalty in the retrain, >= 0.
    begin : share of the pruning phase after which weights begin to be removed, >= 0.
    end : share of that phase after which no more are, above `begin`, at most 1.
    refresh : steps between two removals, >= 1.

    References
    ----------
    Zhu and Gupta 2017, arXiv 1710.01878, section 3.
    """

    name = "gradual-pruning"
    promise = "reported"

    mode: Literal["global", "layer", "row"] = "row"
    fan_in: tuple[PositiveInt, ...] = (8, 8, 30)
    connectivity: Share = 0.01
    prune_epochs: PositiveInt = 12
    retrain_epochs: NonNegativeInt = 30
    batch_size: PositiveInt = 100
    retrain_batch_size: PositiveInt = 100
    prune_rate: NonNegativeFloat = 2e-3
    prune_rate_end: NonNegativeFloat = 1e-3
    prune_decay: NonNegativeFloat = 1e-4
    retrain_rate: NonNegativeFloat = 2e-3
    retrain_decay: NonNegativeFloat = 0.0
    begin: Annotated[float, Interval(ge=0, lt=1)] = 0.15
    end: Share = 0.85
    refresh: PositiveInt = 100
    densities: Densities = "1:3:30"
    threads: PositiveInt = 1

    def __post_init__(self) -> None:
        if not self.begin < self.end:
            raise InvalidOption(f"begin must be below end, found {self.begin} and {self.end}")

    def new_run(self, setting: Setting) -> "PruningRun":
        self._check_fan_in(setting.shapes)
        return PruningRun(self, setting)

    def _check_fan_in(self, shapes: Shapes) -> None:
        if self.mode != "row":
            return
        if len(self.fan_in) != len(shapes):
            raise InvalidOption(f"fan_in needs one number per layer, {len(shapes)}, found {self.fan_in}")
        for layer, (wanted, (_, inputs)) in enumerate(zip(self.fan_in, shapes, strict=True)):
            if wanted > inputs:
                raise InvalidOption(f"fan_in of layer {layer} must be at most its {inputs} inputs, found {wanted}")


class PruningRun(Method):
    """One run of gradual pruning."""

    net: MaskedModel

    def __init__(self, options: GradualPruning, setting: Setting) -> None:
        self._options = options
        self.net = setting.model(Adam(decay=options.prune_decay))
        self._budgets = matrix_budgets(setting.architecture, options.connectivity, options.densities)
        self.phases = (
            Phase("prune", options.prune_epochs, options.batch_size),
            Phase("retrain", options.retrain_epochs, options.retrain_batch_size),
        )

    def enter(self, phase: int) -> None:
        """See `Method.enter`: the retrain has a fresh optimiser."""
        if phase == 1:
            self.net.optimise(Adam(decay=self._options.retrain_decay))

    def step(self, at: Step) -> None:
        options = self._options
        if at.phase == 1:
            self.net.step(options.retrain_rate * (1.0 - at.done))
            return
        self.net.step(options.prune_rate - (options.prune_rate - options.prune_rate_end) * at.done)
        if at.number % options.refresh == 0 or at.number == at.total:
            self._remove_weakest(at.number / at.total)

    def _remove_weakest(self, done: float) -> None:
        """Shrink the mask to what is due when the share `done` of the phase is over."""
        sizes, mask = np.abs(self.net.weights), np.zeros(self.net.n_weights, bool)
        for competing, keep in self._groups(done):
            mask[competing[strongest(sizes[competing], keep)]] = True
        self.net.use(mask, compact=True if done == 1.0 else None)

    def _groups(self, done: float) -> Iterator[tuple[Int64[np.ndarray, "rows inputs"], int]]:
        """Numbers of the weights in use that compete with each other, a row each, and how many of a row are kept."""
        options, net = self._options, self.net
        excess = (1.0 - min(1.0, max(0.0, (done - options.begin) / (options.end - options.begin)))) ** 3
        in_use = [segment.start + np.flatnonzero(net.mask[segment]) for segment in net.segments]
        if options.mode == "global":
            final = options.connectivity * net.n_weights
            yield np.concatenate(in_use)[None, :], round(final + (net.n_weights - final) * excess)
        elif options.mode == "layer":
            for sites, (m, n), final in zip(in_use, net.shapes, self._budgets, strict=True):
                yield sites[None, :], round(final + (m * n - final) * excess)
        else:  # so far all rows of a matrix have equally many
            for sites, (m, n), final in zip(in_use, net.shapes, options.fan_in, strict=True):
                yield sites.reshape(m, -1), round(final + (n - final) * excess)


def strongest(size: Float32[np.ndarray, "rows inputs"], keep: int) -> Bool[np.ndarray, "rows inputs"]:
    """Which `keep` entries of every row are largest; exactly that many, equals at will but always the same."""
    kept = np.ones(size.shape, bool)
    if keep < size.shape[1]:
        weakest = np.argpartition(size, size.shape[1] - keep - 1, axis=1)[:, : size.shape[1] - keep]
        np.put_along_axis(kept, weakest, False, axis=1)
    return kept
