"""soft-DEEP R on a list of connections: one step of all parameters in compiled loops."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

from matchopt.network.training.models import ConnectionModel
from matchopt.network.training.soft_rewiring_kernels import descend_active, diffuse_dormant, list_active


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
