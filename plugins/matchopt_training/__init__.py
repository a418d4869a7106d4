"""The training methods that come with matchopt."""

from collections.abc import Callable

from matchopt import hookimpl
from matchopt.network import (
    DeepRewiring,
    DenseTraining,
    EdgePopup,
    FixedRandom,
    GradualPruning,
    L1Shrinkage,
    LaPerm,
    LotteryTicket,
    MagnitudePruning,
    RigL,
    SlotMachines,
    SoftDeepRewiring,
    SparseEvolution,
    Trainer,
)

METHODS: tuple[type[Trainer], ...] = (
    DenseTraining,
    FixedRandom,
    DeepRewiring,
    SoftDeepRewiring,
    L1Shrinkage,
    MagnitudePruning,
    LotteryTicket,
    GradualPruning,
    SparseEvolution,
    RigL,
    SlotMachines,
    EdgePopup,
    LaPerm,
)


@hookimpl
def register_trainers(register: Callable[[type[Trainer]], None]) -> None:
    """See `matchopt.hookspecs.register_trainers`."""
    for method in METHODS:
        register(method)
