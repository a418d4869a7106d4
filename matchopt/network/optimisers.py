"""First-order optimisers on one flat vector of parameters, with a state that follows a selection of them."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from matchopt.network.connection_kernels import adam_step


class Update(ABC):
    """Changes parameters in place, given their gradient."""

    @abstractmethod
    def step(self, values: Float32[np.ndarray, " p"], gradient: Float32[np.ndarray, " p"], rate: float) -> None:
        """Take one step of learning rate `rate`."""


class Optimiser(Update):
    """An update that treats all parameters alike; its state, if any, is kept per parameter."""

    @abstractmethod
    def keep(self, chosen: Int64[np.ndarray, " kept"]) -> None:
        """Go on with these parameters only, in this order."""


@dataclass
class Adam(Optimiser):
    """Adam with bias correction.

    Parameters
    ----------
    size : number of parameters.
    beta1, beta2, epsilon : decay rates of the two moments, and what keeps the division finite.
    decay : l2 penalty, added to the gradient as decay * value.

    References
    ----------
    Kingma and Ba 2015, arXiv 1412.6980, algorithm 1.
    """

    size: int
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    _first: Float32[np.ndarray, " p"] = field(init=False, repr=False)
    _second: Float32[np.ndarray, " p"] = field(init=False, repr=False)
    _steps: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._first = np.zeros(self.size, np.float32)
        self._second = np.zeros(self.size, np.float32)

    def step(self, values: Float32[np.ndarray, " p"], gradient: Float32[np.ndarray, " p"], rate: float) -> None:
        """See `Optimiser.step`."""
        self._steps += 1
        scale = rate / (1.0 - self.beta1**self._steps)
        root = 1.0 / math.sqrt(1.0 - self.beta2**self._steps)
        single = [np.float32(x) for x in (scale, root, self.beta1, self.beta2, self.epsilon, self.decay)]
        adam_step(values, gradient, self._first, self._second, *single)

    def keep(self, chosen: Int64[np.ndarray, " kept"]) -> None:
        """See `Optimiser.keep`."""
        self._first, self._second = self._first[chosen], self._second[chosen]
        self.size = len(chosen)


@dataclass
class Sgd(Optimiser):
    """Gradient descent with classical momentum and weight decay, both off by default.

    Parameters
    ----------
    size : number of parameters.
    momentum : share of the last step that is repeated, 0 .. 1.
    decay : weight decay, added to the gradient as decay * value.
    """

    size: int
    momentum: float = 0.0
    decay: float = 0.0
    _speed: Float32[np.ndarray, " p"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._speed = np.zeros(self.size, np.float32)

    def step(self, values: Float32[np.ndarray, " p"], gradient: Float32[np.ndarray, " p"], rate: float) -> None:
        """See `Optimiser.step`."""
        self._speed *= np.float32(self.momentum)
        self._speed += gradient + np.float32(self.decay) * values
        values -= np.float32(rate) * self._speed

    def keep(self, chosen: Int64[np.ndarray, " kept"]) -> None:
        """See `Optimiser.keep`."""
        self._speed = self._speed[chosen]
        self.size = len(chosen)
