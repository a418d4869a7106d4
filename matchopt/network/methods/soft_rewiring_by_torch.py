"""One run of soft-DEEP R on full matrices, for any architecture and device."""

import numpy as np
import torch

from matchopt.network.methods.soft_deep_rewiring import SoftDeepRewiring
from matchopt.network.methods.soft_rewiring import soft_start
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Sgd


class TorchRun(Method):
    """One run of soft-DEEP R; `theta` holds the parameters of all sites."""

    net: MaskedModel
    kept = ("theta",)

    def __init__(self, options: SoftDeepRewiring, setting: Setting) -> None:
        self._options, self._chance = options, setting.chance
        theta, signs = soft_start(options, setting)
        biases = np.zeros(sum(m for m, _ in setting.shapes), np.float32)
        weights = signs * np.maximum(theta, 0)
        self.net = setting.model(Sgd(), np.concatenate([weights, biases]), zeros_unused=True)
        held = self.net.held
        floors = np.repeat(options.floors(setting.shapes), [m * n for m, n in setting.shapes])
        self.theta, self._signs, self._floors = (held.new_tensor(x) for x in (theta, signs, floors.astype(np.float32)))
        self._generator = torch.Generator(held.device)
        self.phases = (Phase("rewire", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        options, held = self._options, self.net.held
        self.net.step(options.learning_rate)
        self._generator.manual_seed(int(self._chance.integers(2**62)))
        noise = torch.empty_like(self.theta).normal_(0.0, options.noise_std, generator=self._generator)
        active = self.theta >= 0
        moved = self._signs * held - options.learning_rate * options.alpha + noise
        if at.number % options.dormant_every == 0:
            resting = torch.maximum(self.theta + noise * options.dormant_every**0.5, self._floors)
        else:
            resting = self.theta
        self.theta = torch.where(active, moved, resting)
        held.copy_(self._signs * self.theta.clamp(min=0.0))
