"""Digital biases by gradient on the task loss."""

from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkInstance, NonNegativeInt, PositiveFloat, PositiveInt, Result, Solver
from matchopt_corrections.beginning import UNDERSTOOD, lacks_samples, started
from matchopt_corrections.training import Plan, trained


@dataclass(frozen=True)
class TrainBiases(Solver):
    """The digital biases trained on the labelled samples of a task loss, all weights as they are.

    Adam, its step size falling linearly to 0; after every epoch the loss on a tenth of the samples, which is never
    trained on, decides whether the biases are kept. It begins from the mapping that it is given, else from that of
    least weight error.

    Parameters
    ----------
    epochs : passes over the samples, >= 0.
    rate : first step size, > 0.
    batch : samples per step, >= 1.
    """

    name = "train-biases"
    solves = NetworkInstance
    needs = ("scipy",)
    understands = UNDERSTOOD - {"functional-error", "score-error"}  # without labels

    epochs: NonNegativeInt = 5
    rate: PositiveFloat = 2e-3
    batch: PositiveInt = 100

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks without labels, or whose biases cannot be set; see `Solver.refuses`."""
        if not instance.adjustable:
            return "its biases cannot be adjusted; export it with adjustable biases"
        if instance.objective is None or not instance.objective.labelled:
            return "training needs labels: the instance must minimise a task loss"
        return lacks_samples(instance)

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        start = started(instance, limits, self.name)
        if isinstance(start, Result):
            return start
        _, training = rng.spawn(2)  # the stream that tune trains with, so that without a budget both do the same
        plan = Plan(self.epochs, self.rate, self.rate, self.batch)
        return trained(instance, start, start, plan, limits, training)
