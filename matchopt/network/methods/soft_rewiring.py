"""One run of soft-DEEP R on lists of connections."""

import numpy as np
from jaxtyping import Float32

from matchopt.instances.architecture import FullyConnected
from matchopt.network.methods.soft_deep_rewiring import SoftDeepRewiring
from matchopt.network.training.budgets import matrix_budgets
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.models import ConnectionModel
from matchopt.network.training.soft_rewiring import SoftRewiring
from matchopt.network.training.starts import random_mask
from matchopt.parts import Parts


class ConnectionRun(Method):
    """One run of soft-DEEP R."""

    net: ConnectionModel

    def __init__(self, options: SoftDeepRewiring, setting: Setting) -> None:
        assert isinstance(setting.architecture, FullyConnected)
        theta, signs = soft_start(options, setting)
        floors = options.floors(setting.shapes)
        widths = setting.architecture.widths
        self._rewiring = SoftRewiring(widths, theta, signs, floors, setting.chance, options.alpha)
        self.net, self._options = self._rewiring.model, options
        self.phases = (Phase("rewire", options.epochs, options.batch_size),)

    def step(self, at: Step) -> None:
        """See `Method.step`."""
        options = self._options
        walk = options.dormant_every if at.number % options.dormant_every == 0 else 0
        self._rewiring.step(options.learning_rate, options.noise_std, walk)

    @property
    def counts(self) -> tuple[int, ...]:
        """See `Method.counts`."""
        return self._rewiring.counts

    def state(self) -> Parts:
        """See `Method.state`: the list of connections follows from the parameters, the signs from the start."""
        return Parts({"net": {}, "own": {}}, {"theta": self._rewiring.theta, "biases": self._rewiring.biases})

    def restore(self, state: Parts) -> None:
        """See `Method.restore`."""
        self._rewiring.theta[:] = state.arrays["theta"]
        self._rewiring.list()
        self._rewiring.biases[:] = state.arrays["biases"]


def soft_start(
    options: SoftDeepRewiring, setting: Setting
) -> tuple[Float32[np.ndarray, " sites"], Float32[np.ndarray, " sites"]]:
    """Parameters and signs of all sites: active ones |N(0, 1)| / sqrt(inputs), dormant ones uniform above the floor."""
    rng, parts = setting.start, []
    counts, floors = matrix_budgets(setting.shapes, options.connectivity), options.floors(setting.shapes)
    for (m, n), count, floor in zip(setting.shapes, counts, floors, strict=True):
        theta = np.float32(floor) * (np.float32(1) - rng.random(m * n, np.float32))  # floor included, 0 not
        mask = random_mask(m * n, count, rng)
        theta[mask] = np.abs(rng.standard_normal(count, np.float32)) / np.float32(n**0.5)
        parts.append(theta)
    theta = np.concatenate(parts)
    return theta, (2 * rng.integers(0, 2, len(theta)) - 1).astype(np.float32)
