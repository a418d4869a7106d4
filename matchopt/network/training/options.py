"""What the options of several methods have in common: checks of their values, and optimisers by name."""

import math
from typing import Literal

from matchopt.errors import InvalidOption
from matchopt.network.training.optimisers import Adam, Rule, Sgd

OptimiserName = Literal["adam", "sgd"]


def at_least(options: object, **least: float) -> None:
    """Raise InvalidOption for an option below its least value, or infinite; NaN is below everything."""
    for name, bound in least.items():
        value = getattr(options, name)
        if not value >= bound:
            raise InvalidOption(f"{name} must be >= {bound:g}, found {value}")
        if value == math.inf:
            raise InvalidOption(f"{name} must be finite")


def a_share(options: object, *names: str) -> None:
    """Raise InvalidOption for an option that is not above 0 and at most 1."""
    for name in names:
        value = getattr(options, name)
        if not 0.0 < value <= 1.0:
            raise InvalidOption(f"{name} must be above 0 and at most 1, found {value}")


def one_of(options: object, **allowed: tuple[str, ...]) -> None:
    """Raise InvalidOption for an option that is none of the words allowed."""
    for name, words in allowed.items():
        value = getattr(options, name)
        if value not in words:
            raise InvalidOption(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, found {value!r}")


def rule(optimiser: OptimiserName, momentum: float = 0.0, decay: float = 0.0) -> Rule:
    """Adam with its usual constants, or gradient descent with Nesterov momentum where there is any.

    Parameters
    ----------
    optimiser : which.
    momentum : of gradient descent, 0 .. 1; Adam has its own.
    decay : l2 penalty, added to the gradient as decay * value.
    """
    return Adam(decay=decay) if optimiser == "adam" else Sgd(momentum, momentum > 0.0, decay)
