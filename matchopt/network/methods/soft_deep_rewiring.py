"""soft-DEEP R: no budget; dormant connections diffuse until they become active by themselves."""

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Interval

from matchopt.network.training.engines import by_hand
from matchopt.network.training.method import Method, Phase, Setting
from matchopt.network.training.starts import Densities, matrix_budgets
from matchopt.network.training.trainer import Trainer
from matchopt.settings import PositiveInt, Share


@dataclass(frozen=True)
class SoftDeepRewiring(Trainer):
    """DEEP R without a budget: dormant parameters diffuse between a floor and zero, and are active from zero on.

    Dormant step: theta <- max(theta + noise, floor). The floor of a matrix is -T (1 - p) / (alpha p): without gradient,
    the share p of its sites is active in the long run. With gradient connectivity is an outcome, and every active site
    counts, also those that are so for one step only; results belong to the largest connectivity met in training.

    Parameters
    ----------
    connectivity : connections at the start as a share of all possible ones; `matrix_budgets` shares them out.
    densities : how dense layers are in relation to each other; see `density_ratios`.
    learning_rate : eta.
    alpha : strength of the l1 prior, above 0. A weaker one leaves more connections.
    noise_std : standard deviation of the noise per step, above 0; temperature T = noise_std^2 / (2 eta). For p to be
        exact, noise_std has to be well below T / alpha, that is, well above 2 eta alpha; less noise makes dormant sites
        try more often.
    resting : p of every matrix as a share of the density that it begins with, above 0, at most 1. What rests without a
        gradient counts as connections too, so that a larger share costs connectivity and learns faster.
    dormant_every : steps between two of the dormant parameters, which are then longer by its root; 1 is the paper's.
        Walks stay the same, but for what happens in between; it saves drawing a number per dormant site and step.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, Deep Rewiring, ICLR, arXiv 1711.05136, algorithm 2.
    """

    name = "soft-deep-rewiring"
    promise = "reported"

    connectivity: Annotated[float, Interval(ge=1e-6, le=1)] = 0.007
    epochs: PositiveInt = 10
    batch_size: PositiveInt = 10
    learning_rate: Annotated[float, Ge(1e-9)] = 0.05
    alpha: Annotated[float, Ge(1e-9)] = 2e-5
    noise_std: Annotated[float, Ge(1e-9)] = 1e-6
    resting: Share = 0.3
    dormant_every: PositiveInt = 10
    densities: Densities = "1:3:30"
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> Method:
        from matchopt.network.methods.soft_rewiring import ListedSoftRewiring, MatrixSoftRewiring

        run = ListedSoftRewiring if by_hand(setting.architecture, setting.device) else MatrixSoftRewiring
        return run(self.plan(setting), setting)

    def plan(self, setting: Setting) -> Any:
        """The options as values for a run: a `SoftPlan`."""
        from matchopt.network.methods.soft_rewiring import SoftPlan

        counts, floors = matrix_budgets(setting.architecture, self.connectivity, self.densities), []
        temperature = self.noise_std**2 / (2.0 * self.learning_rate)
        for (m, n), count in zip(setting.shapes, counts, strict=True):
            p = min(self.resting * max(count, 1) / (m * n), 0.999)  # a full matrix keeps a floor to walk on
            floors.append(-temperature * (1.0 - p) / (self.alpha * p))
        phase, pace = Phase("rewire", self.epochs, self.batch_size), (self.learning_rate, self.alpha, self.noise_std)
        return SoftPlan(phase, counts, tuple(floors), *pace, self.dormant_every)
