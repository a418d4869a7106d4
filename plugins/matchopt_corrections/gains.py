"""One gain per neuron, where the hardware has it."""

from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkInstance, NonNegativeInt, Result, Solver
from matchopt_corrections.beginning import UNDERSTOOD, lacks_samples
from matchopt_corrections.least_squares import Fit, corrected


@dataclass(frozen=True)
class FitGains(Solver):
    """The gain of every neuron by least squares on sample inputs, among those that the rules allow; no labels.

    Layer by layer on the mapped network's own activity, against the pre-activations of the target. It begins from the
    mapping that it is given, else from that of least weight error. All layers are corrected, or those from a later one
    on, or none: whichever is best by the instance's objective on a tenth of the samples set aside.

    Parameters
    ----------
    biases : whether to fit the biases along with the gains, where they are adjustable.
    samples : most samples to use, 0 for all.
    """

    name = "gains"
    solves = NetworkInstance
    needs = ("scipy",)
    understands = UNDERSTOOD

    biases: bool = True
    samples: NonNegativeInt = 10_000

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks on hardware without gains, or without samples; see `Solver.refuses`."""
        if all(layer.rules.gains.fixed for layer in instance.layers):
            return "the only gain that its rules allow is 1"
        return lacks_samples(instance)

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        what = Fit(gains=True, biases=self.biases and instance.adjustable)
        return corrected(instance, limits, self.name, self.samples, rng, what)
