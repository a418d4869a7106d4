"""Magnitude pruning: train all weights, remove the small ones, retrain the rest from where they are; again."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from matchopt.network.methods.replacement import smallest
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, Share


@dataclass(frozen=True)
class MagnitudePruning(Trainer):
    """In rounds, remove the weights below a quality factor times the standard deviation of their matrix, and retrain.

    The standard deviation is that of the weights left in the matrix. Either the quality factor is given, and
    connectivity is an outcome; or connectivity is wanted, and each round uses the quality factor, one for all
    matrices, that leaves connectivity^(round / rounds) of the weights.

    Parameters
    ----------
    connectivity : share of weights left at the end, above 0, at most 1; None to prune by `quality`.
    quality : the quality factor, >= 0, where `connectivity` is None.
    rounds : of pruning and retraining, >= 1; 1 is pruning at one stroke.
    dense_epochs : passes over the training samples before the first pruning, >= 1.
    retrain_epochs : passes after each pruning but the last, >= 0; with 0 all pruning is done at one stroke.
    final_epochs : passes after the last, >= 1.
    optimiser : "adam", or "sgd" with Nesterov momentum; a fresh one for every part of training.
    learning_rate, retrain_rate : before and after the first pruning; each falls linearly to 0 over its part.
    decay : l2 penalty before the last pruning, added to the gradient as decay * weight.

    References
    ----------
    Han, Pool, Tran, Dally 2015, Learning both Weights and Connections, NIPS, arXiv 1506.02626, section 3.
    """

    name = "magnitude-pruning"
    promise = "reported"

    connectivity: Share | None = 0.01
    quality: NonNegativeFloat = 1.0
    rounds: PositiveInt = 4
    dense_epochs: PositiveInt = 8
    retrain_epochs: NonNegativeInt = 4
    final_epochs: PositiveInt = 40
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 1e-3
    retrain_rate: NonNegativeFloat = 2e-3
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> "RoundsRun":
        return RoundsRun(self, setting)


class RoundsRun(Method):
    """One run of magnitude pruning; the phase of number r follows the pruning of round r."""

    net: MaskedModel

    def __init__(self, options: MagnitudePruning, setting: Setting) -> None:
        self._options = options
        self._rule = rule(options.optimiser, options.momentum, options.decay)
        self.net = setting.model(self._rule)
        epochs = [options.dense_epochs, *[options.retrain_epochs] * (options.rounds - 1), options.final_epochs]
        names = ["dense", *(f"retrain {n}" for n in range(1, options.rounds)), "final"]
        self.phases = tuple(Phase(name, n, options.batch_size) for name, n in zip(names, epochs, strict=True))

    def enter(self, phase: int) -> None:
        """See `Method.enter`: remove what this round removes; the rest goes on from its value."""
        if phase > 0:
            self._prune(phase)
            last = phase == self._options.rounds
            self.net.optimise(rule(self._options.optimiser, self._options.momentum) if last else self._rule)

    def step(self, at: Step) -> None:
        rate = self._options.retrain_rate if at.phase else self._options.learning_rate
        self.net.step(rate * (1.0 - at.done))

    def _prune(self, number: int) -> None:
        quality, options, mask = self._quality(), self._options, self.net.mask.copy()
        if options.connectivity is None:
            mask &= quality >= options.quality
        else:
            kept = round(options.connectivity ** (number / options.rounds) * len(mask))
            mask[smallest(quality, len(mask) - kept)] = False
        self.net.use(mask)

    def _quality(self) -> Float32[np.ndarray, " weights"]:
        """Magnitude over the standard deviation of what is left of the matrix; -1 where nothing is."""
        mask, weights = self.net.mask, self.net.weights
        found: Float32[np.ndarray, " weights"] = np.abs(weights)
        for part in self.net.segments:
            if mask[part].any():
                found[part] /= max(weights[part][mask[part]].std(), np.float32(1e-30))
        found[~mask] = -1.0
        return found
