"""soft-DEEP R: one run on a list of connections, and one on full matrices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32

from matchopt.instances.architecture import FullyConnected
from matchopt.network.training.fully_connected import ConnectionModel
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Sgd
from matchopt.network.training.rewiring_kernels import descend_active, diffuse_dormant, list_active
from matchopt.network.training.starts import random_mask
from matchopt.parts import Parts


@dataclass(frozen=True)
class SoftPlan:
    """What `SoftDeepRewiring` makes of its options, which it explains.

    Parameters
    ----------
    counts : connections that every matrix begins with.
    floors : least value of the dormant parameters of every matrix, below 0.
    """

    phase: Phase
    counts: tuple[int, ...]
    floors: tuple[float, ...]
    learning_rate: float
    alpha: float
    noise_std: float
    dormant_every: int


class ListedSoftRewiring(Method):
    """One run of soft-DEEP R on a list of connections."""

    net: ConnectionModel

    def __init__(self, plan: SoftPlan, setting: Setting) -> None:
        assert isinstance(setting.architecture, FullyConnected)
        theta, signs = soft_start(plan, setting)
        self._rewiring = SoftRewiring(
            setting.architecture.widths, theta, signs, plan.floors, setting.chance, plan.alpha
        )
        self.net, self._plan, self.phases = self._rewiring.model, plan, (plan.phase,)

    def step(self, at: Step) -> None:
        plan = self._plan
        walk = plan.dormant_every if at.number % plan.dormant_every == 0 else 0
        self._rewiring.step(plan.learning_rate, plan.noise_std, walk)

    @property
    def counts(self) -> tuple[int, ...]:
        return self._rewiring.counts

    def state(self) -> Parts:
        """See `Method.state`: the list of connections follows from the parameters, the signs from the start."""
        return Parts({"net": {}, "own": {}}, {"theta": self._rewiring.theta, "biases": self._rewiring.biases})

    def restore(self, state: Parts) -> None:
        self._rewiring.theta[:] = state.arrays["theta"]
        self._rewiring.list()
        self._rewiring.biases[:] = state.arrays["biases"]


class MatrixSoftRewiring(Method):
    """One run of soft-DEEP R on full matrices, for any architecture and device; `theta` holds those of all sites."""

    net: MaskedModel
    kept = ("theta",)

    def __init__(self, plan: SoftPlan, setting: Setting) -> None:
        self._plan, self._chance, self.phases = plan, setting.chance, (plan.phase,)
        theta, signs = soft_start(plan, setting)
        biases = np.zeros(sum(m for m, _ in setting.shapes), np.float32)
        weights = signs * np.maximum(theta, 0)
        self.net = setting.model(Sgd(), np.concatenate([weights, biases]), zeros_unused=True)
        held = self.net.held
        floors = np.repeat(plan.floors, [m * n for m, n in setting.shapes])
        self.theta, self._signs, self._floors = (held.new_tensor(x) for x in (theta, signs, floors.astype(np.float32)))
        self._generator = torch.Generator(held.device)

    def step(self, at: Step) -> None:
        plan, held = self._plan, self.net.held
        self.net.step(plan.learning_rate)
        self._generator.manual_seed(int(self._chance.integers(2**62)))
        noise = torch.empty_like(self.theta).normal_(0.0, plan.noise_std, generator=self._generator)
        active = self.theta >= 0
        moved = self._signs * held - plan.learning_rate * plan.alpha + noise
        if at.number % plan.dormant_every == 0:
            resting = torch.maximum(self.theta + noise * plan.dormant_every**0.5, self._floors)
        else:
            resting = self.theta
        self.theta = torch.where(active, moved, resting)
        held.copy_(self._signs * self.theta.clamp(min=0.0))


def soft_start(plan: SoftPlan, setting: Setting) -> tuple[Float32[np.ndarray, " sites"], Float32[np.ndarray, " sites"]]:
    """Parameters and signs of all sites: active ones |N(0, 1)| / sqrt(inputs), dormant ones uniform above the floor."""
    rng, parts = setting.start, []
    for (m, n), count, floor in zip(setting.shapes, plan.counts, plan.floors, strict=True):
        theta = np.float32(floor) * (np.float32(1) - rng.random(m * n, np.float32))  # floor included, 0 not
        mask = random_mask(m * n, count, rng)
        theta[mask] = np.abs(rng.standard_normal(count, np.float32)) / np.float32(n**0.5)
        parts.append(theta)
    theta = np.concatenate(parts)
    return theta, (2 * rng.integers(0, 2, len(theta)) - 1).astype(np.float32)


class SoftRewiring:
    """Algorithm 2 on the connections of `model`, whose number changes with every step.

    Parameters
    ----------
    widths : units of each layer, inputs first.
    theta : parameters of all sites, in the order of the dense weights.
    signs : sign of every site, +1 or -1.
    floors : least value of dormant parameters, per layer, below 0.
    rng : draws the noise.
    alpha : strength of the l1 prior.
    model : the network, whose arrays begin where those of this object, which have room for all sites, begin.
    counts : active sites per layer.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        theta: Float32[np.ndarray, " sites"],
        signs: Float32[np.ndarray, " sites"],
        floors: Sequence[float],
        rng: np.random.Generator,
        alpha: float,
    ) -> None:
        self.theta, self.signs = theta, signs
        self._floors, self._rng, self._alpha = np.array(floors, np.float32), rng, alpha
        sizes = [m * n for n, m in pairwise(widths)]
        self._first_site = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._values = np.zeros(sum(sizes) + sum(widths[1:]), np.float32)
        self._gradient, self._biases = np.zeros_like(self._values), np.zeros(sum(widths[1:]), np.float32)
        self._source, self._target = np.zeros(sum(sizes), np.int32), np.zeros(sum(sizes), np.int32)
        self._noise = np.zeros(sum(sizes), np.float32)
        self.model = ConnectionModel(widths, [np.zeros(0, np.int64)] * len(sizes), self._biases)
        self._structure = (self._source, self._target, self.model.first_connection, self.model.first_unit)
        self.list()

    @property
    def counts(self) -> tuple[int, ...]:
        """See the class."""
        return tuple(np.diff(self.model.first_connection).tolist())

    @property
    def biases(self) -> Float32[np.ndarray, " b"]:
        """The biases, to be read or changed in place."""
        found: Float32[np.ndarray, " b"] = self.model.values[len(self.model.source) :]
        return found

    def step(self, rate: float, std: float, walk: int) -> None:
        """One step of all active parameters and of the biases.

        Parameters
        ----------
        rate : learning rate.
        std : standard deviation of the noise of a step.
        walk : steps that dormant parameters take at once; 0 for none.
        """
        if walk:
            diffuse_dormant(self.theta, self._normal(len(self.theta), std * walk**0.5), self._floors, self._first_site)
        noise = self._normal(len(self.model.source), std)
        speed = (np.float32(rate), np.float32(rate * self._alpha))
        arrays = (self._values, self._gradient, noise, self.theta, self.signs)
        descend_active(*arrays, *self._structure, self._first_site, *speed)
        if walk:
            self.list()
        else:
            self._trim()

    def list(self) -> None:
        """Make the list of connections anew from the parameters."""
        list_active(self._values, self.theta, self.signs, *self._structure, self._first_site, self._biases)
        self._trim()

    def _trim(self) -> None:
        """Show the model as much of the arrays as counts."""
        model = self.model
        count = int(model.first_connection[-1])
        model.source, model.target = self._source[:count], self._target[:count]
        model.values = self._values[: count + len(self._biases)]
        model.gradient = self._gradient[: count + len(self._biases)]

    def _normal(self, count: int, std: float) -> Float32[np.ndarray, " count"]:
        noise = self._noise[:count]
        self._rng.standard_normal(out=noise, dtype=np.float32)
        noise *= np.float32(std)
        return noise
