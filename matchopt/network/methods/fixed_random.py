"""Fixed random connectivity: what every method that chooses its connections has to beat."""

from dataclasses import dataclass

from matchopt.network.methods.replacement import SparseTraining


@dataclass(frozen=True)
class FixedRandom(SparseTraining):
    """Draw random connections once and train their weights: the control of every sparse method.

    References
    ----------
    The control of Bellec, Kappel, Maass, Legenstein 2018, Deep Rewiring, ICLR, arXiv 1711.05136, section 4.
    """

    name = "fixed-random"
