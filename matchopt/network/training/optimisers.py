"""First-order optimisers on one flat vector of parameters, and how their learning rates fall.

Compiled loops on a CPU, torch elsewhere. This module loads without either; methods name a rule, models run it.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Interval

from matchopt.network.training.tensors import Tensor, put
from matchopt.parts import Json

OptimiserName = Literal["adam", "sgd"]
Schedule = Literal["linear", "cosine", "constant", "restarts"]
Momentum = Annotated[float, Interval(ge=0, lt=1)]


class Rule(ABC):
    """How an optimiser moves parameters; a frozen dataclass of its settings."""

    @property
    @abstractmethod
    def n_moments(self) -> int:
        """How many numbers it remembers per parameter."""

    @abstractmethod
    def compiled(self, values: Any, gradient: Any, moments: Any, steps: int, rate: float) -> None:
        """Step number `steps`, from 1, on numpy arrays, in place."""

    @abstractmethod
    def by_torch(self, values: Tensor, gradient: Tensor, moments: Tensor, steps: int, rate: float) -> None:
        """The same on tensors of any device."""


@dataclass(frozen=True)
class Adam(Rule):
    """Adam with bias correction.

    Parameters
    ----------
    beta1, beta2, epsilon : decay rates of the two moments, and what keeps the division finite.
    decay : l2 penalty, added to the gradient as decay * value.

    References
    ----------
    Kingma and Ba 2015, arXiv 1412.6980, algorithm 1.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    n_moments = 2

    def _factors(self, steps: int, rate: float) -> tuple[float, float]:
        return rate / (1.0 - self.beta1**steps), 1.0 / math.sqrt(1.0 - self.beta2**steps)

    def compiled(self, values: Any, gradient: Any, moments: Any, steps: int, rate: float) -> None:
        from matchopt.kernels.wired import adam_step

        constants = (*self._factors(steps, rate), self.beta1, self.beta2, self.epsilon, self.decay)
        adam_step(values, gradient, moments[0], moments[1], *(np.float32(x) for x in constants))

    def by_torch(self, values: Tensor, gradient: Tensor, moments: Tensor, steps: int, rate: float) -> None:
        scale, root = self._factors(steps, rate)
        slope = gradient.add(values, alpha=self.decay) if self.decay else gradient
        moments[0].mul_(self.beta1).add_(slope, alpha=1.0 - self.beta1)
        moments[1].mul_(self.beta2).addcmul_(slope, slope, value=1.0 - self.beta2)
        values.addcdiv_(moments[0], moments[1].sqrt().mul_(root).add_(self.epsilon), value=-scale)


@dataclass(frozen=True)
class Sgd(Rule):
    """Gradient descent, with momentum, Nesterov's look-ahead and weight decay where asked for.

    Parameters
    ----------
    momentum : share of the last step that is repeated, 0 .. 1.
    nesterov : step as if the momentum had already acted once more.
    decay : weight decay, added to the gradient as decay * value.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton 2013, ICML, section 2.
    """

    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.0

    @property
    def n_moments(self) -> int:
        return 1 if self.momentum else 0

    def compiled(self, values: Any, gradient: Any, moments: Any, steps: int, rate: float) -> None:
        from matchopt.network.training.connection_kernels import plain_step, sgd_step

        speed, decay = np.float32(rate), np.float32(self.decay)
        if self.momentum:
            sgd_step(values, gradient, moments[0], speed, np.float32(self.momentum), decay, self.nesterov)
        else:
            plain_step(values, gradient, speed, decay)

    def by_torch(self, values: Tensor, gradient: Tensor, moments: Tensor, steps: int, rate: float) -> None:
        slope = gradient.add(values, alpha=self.decay) if self.decay else gradient
        if self.momentum:
            speed = moments[0].mul_(self.momentum).add_(slope)
            slope = slope.add(speed, alpha=self.momentum) if self.nesterov else speed
        values.add_(slope, alpha=-rate)


def rule(optimiser: OptimiserName, momentum: float = 0.0, decay: float = 0.0, nesterov: bool = True) -> Adam | Sgd:
    """Adam with its usual constants, or gradient descent with momentum where there is any.

    Parameters
    ----------
    optimiser : which.
    momentum : of gradient descent, 0 .. 1; Adam has its own.
    decay : l2 penalty, added to the gradient as decay * value.
    nesterov : whether the momentum is Nesterov's.
    """
    return Adam(decay=decay) if optimiser == "adam" else Sgd(momentum, nesterov and momentum > 0.0, decay)


def rate_factor(schedule: Schedule, done: float, epochs: int, restarts: tuple[int, ...] = ()) -> float:
    """Share of the full learning rate.

    Parameters
    ----------
    schedule : "linear" or "cosine" fall to 0 at the end; "restarts" falls to 0 as a cosine and begins again at the
        full rate at some epochs; "constant" does not fall.
    done : share of training that is over, 0 .. 1.
    epochs : length of training.
    restarts : epochs, ascending, at whose ends "restarts" begins again; those at or beyond `epochs` do not matter.

    References
    ----------
    Loshchilov and Hutter 2017, SGDR, ICLR, arXiv 1608.03983 (warm restarts).

    Examples
    --------
    >>> [rate_factor("restarts", epoch / 8, 8, (2, 20)) for epoch in (0, 1, 2, 5)]
    [1.0, 0.5, 1.0, 0.5]
    """
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - done
    ends = [0, *(epoch for epoch in restarts if epoch < epochs), epochs] if schedule == "restarts" else [0, epochs]
    at = done * epochs
    begin = max(end for end in ends[:-1] if end <= at)
    end = min(end for end in ends if end > at or end == epochs)
    return 0.5 * (1.0 + math.cos(math.pi * (at - begin) / (end - begin)))


RULES: dict[str, type[Adam] | type[Sgd]] = {"Adam": Adam, "Sgd": Sgd}  # by the names in checkpoints


class Optimiser:
    """A rule at work on `size` parameters.

    Parameters
    ----------
    rule : how it moves them.
    like : the parameters; the state has their length, type and device.
    """

    def __init__(self, rule: Rule, like: Any) -> None:
        self.rule, self.steps = rule, 0
        if isinstance(like, np.ndarray):
            self.moments: Any = np.zeros((rule.n_moments, like.size), np.float32)
        else:
            self.moments = like.new_zeros((rule.n_moments, like.numel()))

    def step(self, values: Any, gradient: Any, rate: float) -> None:
        """Take one step of learning rate `rate`, in place."""
        self.steps += 1
        run = self.rule.compiled if isinstance(values, np.ndarray) else self.rule.by_torch
        run(values, gradient, self.moments, self.steps, rate)

    def facts(self) -> dict[str, Json]:
        """The rule and the number of steps, as JSON; the moments are arrays."""
        return {"rule": type(self.rule).__name__, "settings": asdict(self.rule), "steps": self.steps}  # type: ignore[call-overload]

    @classmethod
    def from_facts(cls, facts: Any, like: Any, moments: np.ndarray | None = None) -> "Optimiser":
        """What `facts` describes, with these moments; None for zeros."""
        made = cls(RULES[facts["rule"]](**facts["settings"]), like)
        made.steps = int(facts["steps"])
        if moments is not None:
            put(made.moments, moments)
        return made
