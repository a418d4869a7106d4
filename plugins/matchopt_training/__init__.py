"""The training methods that come with matchopt."""

from collections.abc import Callable

from matchopt import hookimpl, network

METHODS: tuple[type[network.Trainer], ...] = (
    *(network.DenseTraining, network.FixedRandom, network.DeepRewiring, network.SoftDeepRewiring),
    *(network.L1Shrinkage, network.MagnitudePruning, network.LotteryTicket, network.GradualPruning),
    *(network.SparseEvolution, network.RigL, network.SlotMachines, network.EdgePopup, network.LaPerm),
)


@hookimpl
def register_trainers(register: Callable[[type[network.Trainer]], None]) -> None:
    """See `matchopt.hookspecs.register_trainers`."""
    for method in METHODS:
        register(method)
