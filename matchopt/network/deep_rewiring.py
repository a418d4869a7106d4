"""DEEP R: training under a hard limit on the number of connections, by rewiring in every step."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int8, Int64

from matchopt.network.budgets import layer_budgets
from matchopt.network.data import ImageData
from matchopt.network.loop import TrainingLoop, TrainingState
from matchopt.network.models import ConnectionModel, steady_arithmetic
from matchopt.network.optimisers import Update
from matchopt.network.rewiring_kernels import descend, reactivate
from matchopt.network.trainer import Progress, TrainedResult, Trainer, check_widths

PAPER_CONNECTIVITY = 3552 / 266_200  # densities .01, .03 and .3 of LeNet-300-100: 2352 + 900 + 300 connections


@dataclass(frozen=True)
class DeepRewiring(Trainer):
    """Gradient descent with l1 prior and noise on K connections per layer; what crosses zero moves elsewhere.

    Every site k of a weight matrix has a sign s; an active one has a parameter theta >= 0 and the weight s * theta.
    Step: theta <- theta - eta s dE/dw - eta alpha + noise; active sites with theta < 0 become dormant; as many dormant
    sites, drawn uniformly, become active with theta = 0. Biases follow the gradient alone.

    Parameters
    ----------
    connectivity : connections as a share of all possible ones; `layer_budgets` shares them out.
    epochs : passes over the training images, >= 1.
    batch_size : images per step.
    learning_rate : eta, constant within an epoch.
    rate_decay : factor on eta after every epoch.
    alpha : strength of the l1 prior, >= 0.
    noise_std : standard deviation of the noise per step at `learning_rate`, >= 0, that is, temperature
        T = noise_std^2 / (2 eta); proportional to eta when that decays.
    redraw_signs : draw a new sign when a site becomes active, instead of one fixed sign per site.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, Deep Rewiring, ICLR, arXiv 1711.05136, algorithm 1 and section 4.
    """

    name = "deep-rewiring"

    connectivity: float = PAPER_CONNECTIVITY
    epochs: int = 10
    batch_size: int = 10
    learning_rate: float = 0.05
    rate_decay: float = 1.0
    alpha: float = 1e-4
    noise_std: float = 5e-8
    redraw_signs: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.connectivity <= 1.0:
            raise ValueError(f"connectivity must be above 0 and at most 1, found {self.connectivity}")
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(f"epochs and batch_size must be >= 1, found {self.epochs} and {self.batch_size}")
        for name in ("learning_rate", "rate_decay", "alpha", "noise_std"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must be >= 0, found {getattr(self, name)}")

    def train(
        self, data: ImageData, widths: tuple[int, ...], seed: int, progress: Progress | None = None
    ) -> TrainedResult:
        """See `Trainer.train`."""
        check_widths(data, widths)
        start, order, chance = np.random.default_rng(seed).spawn(3)
        loop = TrainingLoop(data, self.epochs, order, progress)
        model, signs = random_start(widths, layer_budgets(widths, self.connectivity), start)
        noise = self.noise_std / self.learning_rate if self.learning_rate else 0.0
        rewiring = Rewiring(model, signs, chance, self.alpha, noise, self.redraw_signs)
        with steady_arithmetic(1):
            state = TrainingState(model, rewiring)
            loop.run("rewire", state, self.epochs, self.batch_size, self._rate)
            return loop.finish(state, self.record(seed))

    def _rate(self, done: float) -> float:
        return self.learning_rate * self.rate_decay ** int(done * self.epochs)


class Rewiring(Update):
    """One step of algorithm 1 on the connections of `model`, whose number per layer never changes.

    Parameters
    ----------
    model : the network; its connections move in place.
    signs : sign of every site of every layer, +1 or -1, in the order of the dense weights.
    rng : draws noise, sites and, if asked to, signs.
    alpha : strength of the l1 prior.
    relative_noise : standard deviation of the noise per step, divided by the learning rate.
    redraw_signs : whether a site gets a new sign when it becomes active.
    """

    def __init__(
        self,
        model: ConnectionModel,
        signs: Int8[np.ndarray, " sites"],
        rng: np.random.Generator,
        alpha: float,
        relative_noise: float,
        redraw_signs: bool,
    ) -> None:
        self._model, self._rng = model, rng
        self._alpha, self._relative_noise, self._redraw_signs = alpha, relative_noise, redraw_signs
        self.signs: Float32[np.ndarray, " sites"] = signs.astype(np.float32)
        sizes = [m * n for n, m in pairwise(model.widths)]
        self._first_site = np.concatenate([[0], np.cumsum(sizes)])
        self._free, self._n_free = np.zeros(sum(sizes), np.int64), np.zeros(len(sizes), np.int64)
        active = []
        for layer, size in enumerate(sizes):
            sites = model.sites(layer)
            dormant = np.setdiff1d(np.arange(size), sites)
            start = self._first_site[layer]
            self._free[start : start + len(dormant)], self._n_free[layer] = dormant, len(dormant)
            active.append(self.signs[start + sites])
        self.sign: Float32[np.ndarray, " k"] = np.concatenate(active)
        self._noise = np.zeros(len(self.sign), np.float32)
        self._ended = np.zeros(len(self.sign), np.int64)

    def step(self, values: Float32[np.ndarray, " p"], gradient: Float32[np.ndarray, " p"], rate: float) -> None:
        """See `Update.step`; steps 1 to 3 of the algorithm."""
        if self._relative_noise:
            self._rng.standard_normal(out=self._noise, dtype=np.float32)
            self._noise *= np.float32(self._relative_noise * rate)
        model = self._model
        structure = (model.source, model.target, model.first_connection, model.first_unit, self._first_site)
        dormant = (self._free, self._n_free)
        speed = (np.float32(rate), np.float32(rate * self._alpha))
        count = descend(values, gradient, self._noise, self.sign, *structure, *dormant, *speed, self._ended)
        if count:
            draws = self._rng.random(count)
            ended = self._ended[:count]
            reactivate(values, self.sign, *structure, *dormant, self.signs, ended, draws)
            if self._redraw_signs:
                self.sign[ended] = 2 * self._rng.integers(0, 2, count) - 1


def random_start(
    widths: tuple[int, ...], budgets: Sequence[int], rng: np.random.Generator
) -> tuple[ConnectionModel, Int8[np.ndarray, " sites"]]:
    """Distinct random sites, theta = |N(0, 1)| / sqrt(inputs), fair signs, zero biases; the model and all signs."""
    chosen: list[Int64[np.ndarray, " _"]] = []
    parts, signs = [], []
    for (n, m), budget in zip(pairwise(widths), budgets, strict=True):
        sites = np.sort(rng.choice(m * n, budget, replace=False))
        sign = (2 * rng.integers(0, 2, m * n) - 1).astype(np.int8)
        theta = np.abs(rng.standard_normal(budget, np.float32)) / np.float32(n**0.5)
        chosen.append(sites)
        parts.append(sign[sites] * theta)
        signs.append(sign)
    values = np.concatenate([*parts, np.zeros(sum(widths[1:]))]).astype(np.float32)
    return ConnectionModel(widths, chosen, values), np.concatenate(signs)
