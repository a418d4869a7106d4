"""Digital biases set so that every pre-activation is right on average."""

from dataclasses import dataclass

import numpy as np

from matchopt import Limits, NetworkInstance, NonNegativeInt, Result, Solver
from matchopt_corrections.beginning import UNDERSTOOD, lacks_samples
from matchopt_corrections.least_squares import Fit, corrected


@dataclass(frozen=True)
class Recalibrate(Solver):
    """Digital biases b_i = mean(z'_i - w_i . x), layer by layer, on the mapped network's own activity; no labels.

    It begins from the mapping that it is given, else from that of least weight error. All layers are corrected, or
    those from a later one on, or none: whichever is best by the instance's objective on a tenth of the samples set
    aside.

    Parameters
    ----------
    samples : most samples to use, 0 for all.

    References
    ----------
    M. Nagel, M. van Baalen, T. Blankevoort, M. Welling, "Data-free quantization through weight equalization and bias
    correction", ICCV 2019, arXiv:1906.04721, section 4.2 (the correction by sample means).
    """

    name = "recalibrate"
    solves = NetworkInstance
    needs = ("scipy",)
    understands = UNDERSTOOD

    samples: NonNegativeInt = 10_000

    def refuses(self, instance: NetworkInstance) -> str | None:
        """Networks whose biases cannot be set, or without samples; see `Solver.refuses`."""
        if not instance.adjustable:
            return "its biases cannot be adjusted; export it with adjustable biases"
        return lacks_samples(instance)

    def solve(self, instance: NetworkInstance, limits: Limits, rng: np.random.Generator) -> Result:
        return corrected(instance, limits, self.name, self.samples, rng, Fit(gains=False, biases=True))
