"""Small corrections of a mapping: digital biases, gains, and a few fully tunable weights, in rising order of cost."""

from collections.abc import Callable

from matchopt import Solver, hookimpl
from matchopt_corrections.gains import FitGains as FitGains
from matchopt_corrections.recalibrate import Recalibrate as Recalibrate
from matchopt_corrections.train_biases import TrainBiases as TrainBiases
from matchopt_corrections.tune import Tune as Tune


@hookimpl
def register_solvers(register: Callable[[type[Solver]], None]) -> None:
    """Register recalibrate, gains, train-biases and tune."""
    register(Recalibrate)
    register(FitGains)
    register(TrainBiases)
    register(Tune)
