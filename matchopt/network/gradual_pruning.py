"""Gradual magnitude pruning, then a retrain of what is left: the best sparse trainer we know at 1 %."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from matchopt.network.budgets import layer_budgets
from matchopt.network.data import ImageData
from matchopt.network.loop import TrainingLoop, TrainingState
from matchopt.network.models import ConnectionModel, DenseModel, Model, steady_arithmetic
from matchopt.network.optimisers import Adam, Optimiser
from matchopt.network.trainer import Progress, TrainedResult, Trainer, check_widths

LIST_BELOW = 0.15  # connectivity from which on a list of connections is faster than full matrices, measured


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
        as `layer_budgets` does.
    prune_epochs, retrain_epochs : lengths of the two phases, >= 0.
    batch_size, retrain_batch_size : images per step.
    prune_rate, prune_rate_end : learning rate of Adam while pruning, falling linearly from the first to the second.
    prune_decay : l2 penalty while pruning, >= 0. Adam moves every weight equally fast, however rarely its input is
        active; without a penalty, weights of pixels that matter in a few images only grow large and survive. On MNIST
        with fan-in 8, 8 and 30 the default is worth 0.8 points of validation accuracy.
    retrain_rate : learning rate of a fresh Adam in the retrain, falling linearly to 0.
    begin, end : see above, 0 <= begin < end <= 1.
    refresh : steps between two removals, >= 1.
    threads : threads of the matrix products, >= 1. A second one saves a fifth on idle cores, and costs several times
        as much as it saves on busy ones.

    References
    ----------
    Zhu and Gupta 2017, arXiv 1710.01878, section 3.
    """

    name = "gradual-pruning"

    mode: Literal["global", "layer", "row"] = "row"
    fan_in: tuple[int, ...] = (8, 8, 30)
    connectivity: float = 0.01
    prune_epochs: int = 12
    retrain_epochs: int = 30
    batch_size: int = 100
    retrain_batch_size: int = 100
    prune_rate: float = 2e-3
    prune_rate_end: float = 1e-3
    prune_decay: float = 1e-4
    retrain_rate: float = 2e-3
    begin: float = 0.15
    end: float = 0.85
    refresh: int = 100
    threads: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "fan_in", tuple(self.fan_in))
        if self.mode not in ("global", "layer", "row"):
            raise ValueError(f"mode must be global, layer or row, found {self.mode!r}")
        if not 0.0 < self.connectivity <= 1.0:
            raise ValueError(f"connectivity must be above 0 and at most 1, found {self.connectivity}")
        if not 0.0 <= self.begin < self.end <= 1.0:
            raise ValueError(f"need 0 <= begin < end <= 1, found {self.begin} and {self.end}")
        for name, least in (
            ("prune_decay", 0),
            ("prune_epochs", 1),
            ("retrain_epochs", 0),
            ("batch_size", 1),
            ("retrain_batch_size", 1),
            ("refresh", 1),
            ("threads", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, found {getattr(self, name)}")

    @classmethod
    def for_demo(cls) -> "GradualPruning":
        """Fan-in 8, 8 and 30 on LeNet-300-100 in a dozen processor seconds, about 97.2 % on validation images."""
        return cls(prune_epochs=8, retrain_epochs=20)

    def train(
        self, data: ImageData, widths: tuple[int, ...], seed: int, progress: Progress | None = None
    ) -> TrainedResult:
        """See `Trainer.train`."""
        check_widths(data, widths)
        self._check_fan_in(widths)
        start, order = np.random.default_rng(seed).spawn(2)
        loop = TrainingLoop(data, self.prune_epochs + self.retrain_epochs, order, progress)
        with steady_arithmetic(self.threads):
            state = self._prune(loop, DenseModel(widths, start, self.batch_size))
            self._retrain(loop, state)
            return loop.finish(state, self.record(seed))

    def _prune(self, loop: TrainingLoop, model: DenseModel) -> TrainingState:
        """Train while the mask shrinks; ends with a list of connections."""
        optimiser = Adam(model.values.size, decay=self.prune_decay)
        state = TrainingState(model, optimiser)
        steps = self.prune_epochs * loop.steps_per_epoch(self.batch_size)
        fall = self.prune_rate - self.prune_rate_end

        def after_step(step: int) -> None:
            if step % self.refresh == 0 or step == steps:
                self._remove_weakest(state, optimiser, step / steps)
            elif isinstance(state.model, DenseModel):
                state.model.apply_mask()  # the optimiser still moves what was removed

        def rate(done: float) -> float:
            return self.prune_rate - fall * done

        loop.run("prune", state, self.prune_epochs, self.batch_size, rate, after_step)
        return state

    def _retrain(self, loop: TrainingLoop, state: TrainingState) -> None:
        """Train what is left with a fresh optimiser."""
        state.update = Adam(state.model.values.size)

        def rate(done: float) -> float:
            return self.retrain_rate * (1.0 - done)

        loop.run("retrain", state, self.retrain_epochs, self.retrain_batch_size, rate)

    def _remove_weakest(self, state: TrainingState, optimiser: Optimiser, done: float) -> None:
        """Shrink the mask to what is due when the share `done` of the phase is over."""
        model = state.model
        kept = np.concatenate([strongest(size, keep).ravel() for size, keep in self._groups(model, done)])
        if isinstance(model, DenseModel):
            model.set_mask(kept)
            if model.connectivity < LIST_BELOW or done == 1.0:
                state.model, chosen = ConnectionModel.from_dense(model)
                optimiser.keep(chosen)
        elif isinstance(model, ConnectionModel):
            optimiser.keep(model.keep(kept))

    def _groups(self, model: Model, done: float) -> Iterator[tuple[Float32[np.ndarray, "rows inputs"], int]]:
        """Magnitudes of the weights that compete with each other, a row each, and how many of every row are kept."""
        excess = (1.0 - min(1.0, max(0.0, (done - self.begin) / (self.end - self.begin)))) ** 3
        sizes = model.magnitudes()
        shapes = [(after, before) for before, after in pairwise(model.widths)]
        possible = [m * n for m, n in shapes]
        if self.mode == "global":
            final = self.connectivity * sum(possible)
            yield np.concatenate(sizes)[None, :], round(final + (sum(possible) - final) * excess)
        elif self.mode == "layer":
            for size, final, full in zip(sizes, layer_budgets(model.widths, self.connectivity), possible, strict=True):
                yield size[None, :], round(final + (full - final) * excess)
        else:
            for size, final, (m, n) in zip(sizes, self.fan_in, shapes, strict=True):
                yield size.reshape(m, -1), round(final + (n - final) * excess)

    def _check_fan_in(self, widths: tuple[int, ...]) -> None:
        if self.mode != "row":
            return
        if len(self.fan_in) != len(widths) - 1:
            raise ValueError(f"fan_in needs one number per layer, {len(widths) - 1}, found {self.fan_in}")
        for layer, (wanted, inputs) in enumerate(zip(self.fan_in, widths, strict=False)):
            if not 1 <= wanted <= inputs:
                raise ValueError(f"fan_in of layer {layer} must be in 1 .. {inputs}, found {wanted}")


def strongest(size: Float32[np.ndarray, "rows inputs"], keep: int) -> Bool[np.ndarray, "rows inputs"]:
    """Which `keep` entries of every row are largest; exactly that many, equals at will but always the same."""
    kept = np.ones(size.shape, bool)
    if keep < size.shape[1]:
        weakest = np.argpartition(size, size.shape[1] - keep - 1, axis=1)[:, : size.shape[1] - keep]
        np.put_along_axis(kept, weakest, False, axis=1)
    return kept
