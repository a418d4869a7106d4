"""The training methods that come with matchopt."""

from collections.abc import Callable

from matchopt import hookimpl
from matchopt.network import DeepRewiring, DenseTraining, GradualPruning, Trainer


@hookimpl
def register_trainers(register: Callable[[type[Trainer]], None]) -> None:
    """See `matchopt.hookspecs.register_trainers`."""
    for method in (DeepRewiring, DenseTraining, GradualPruning):
        register(method)
