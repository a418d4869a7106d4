"""SET, sparse evolutionary training: the weakest connections make room for random ones."""

from dataclasses import dataclass

import numpy as np

from matchopt.network.methods.replacement import Choice, Replacement, at_random
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Step


@dataclass(frozen=True)
class SparseEvolution(Replacement):
    """Every `interval` steps the weakest connections of a matrix are replaced by random ones.

    As `RigL`, but for where connections grow. The paper replaces a constant share after every epoch, and begins with a
    density in proportion to (rows + columns) / (rows * columns); here both methods follow one schedule and have the
    same budgets, so that they differ in this one point.

    References
    ----------
    Mocanu, Mohr, Stone, Nguyen, Gibescu, Liotta 2018, Nature Communications 9:2383, arXiv 1707.04780.
    """

    name = "set"

    def choices(self, net: MaskedModel, at: Step, chance: np.random.Generator) -> list[Choice]:
        del at  # where connections grow does not depend on the samples
        return [at_random(chance)] * len(net.segments)
