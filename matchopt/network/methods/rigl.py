"""RigL: the weakest connections make room for those that the dense gradient asks for."""

from dataclasses import dataclass

import numpy as np

from matchopt.network.methods.replacement import Choice, Replacement, by_score
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Step
from matchopt.settings import PositiveInt


@dataclass(frozen=True)
class RigL(Replacement):
    """Every `interval` steps the weakest connections of a matrix are replaced by those with the largest gradients.

    With t running from 0 to 1 over training, the share replaced is replaced / 2 * (1 + cos(pi t / replaced_until)).
    New weights begin at zero; what is dropped does not grow again in the same step.

    Parameters
    ----------
    gradient_samples : random training samples that the dense gradient is taken of, >= 1; only those of the batch where
        training samples are changed by a transformation.

    References
    ----------
    Evci, Gale, Menick, Castro, Elsen 2020, Rigging the Lottery, ICML, arXiv 1911.11134, algorithm 1.
    """

    name = "rigl"

    gradient_samples: PositiveInt = 1_000

    def choices(self, net: MaskedModel, at: Step, chance: np.random.Generator) -> list[Choice]:
        batch = chance.choice(len(at.images), min(self.gradient_samples, len(at.images)), replace=False)
        gradient = np.abs(net.gradient_everywhere(at.images, at.labels, batch))
        return [by_score(gradient[part]) for part in net.segments]
