"""DEEP R: training under a hard limit on the number of connections, by rewiring in every step."""

from dataclasses import dataclass
from typing import Any, Literal

from matchopt.network.training.engines import by_hand
from matchopt.network.training.method import Method, Phase, Setting
from matchopt.network.training.optimisers import rate_factor
from matchopt.network.training.starts import Densities, matrix_budgets
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share

PAPER_CONNECTIVITY = 3552 / 266_200  # densities .01, .03 and .3 of LeNet-300-100: 2352 + 900 + 300 connections


@dataclass(frozen=True)
class DeepRewiring(Trainer):
    """Gradient descent with l1 prior and noise on K connections per layer; what crosses zero moves elsewhere.

    Every site k of a weight matrix has a sign s; an active one has a parameter theta >= 0 and the weight s * theta.
    Step: theta <- theta - eta s dE/dw - eta alpha + noise; active sites with theta < 0 become dormant; as many dormant
    sites, drawn uniformly, become active with theta = 0. Biases follow the gradient alone.

    Parameters
    ----------
    connectivity : connections as a share of all possible ones; `matrix_budgets` shares them out.
    densities : how dense layers are in relation to each other; see `density_ratios`.
    learning_rate : eta at the start.
    schedule : "constant", as in the paper; with "linear" or "cosine" eta falls to 0, as in other methods.
    rate_decay : factor on eta after every epoch, besides.
    alpha : strength of the l1 prior, >= 0.
    noise_std : standard deviation of the noise per step at `learning_rate`, >= 0, that is, temperature
        T = noise_std^2 / (2 eta); proportional to eta when that decays.
    budget : "layer": every layer keeps its number of connections. "network": only the sum is kept; for each connection
        that ended a layer is drawn in proportion to the number it began with, of those that have a dormant site.
    redraw_signs : draw a new sign when a site becomes active, instead of one fixed sign per site, which a full matrix
        would keep for ever.
    optimiser : "sgd", as in the paper, or "adam": the gradient step is Adam's; prior and noise act outside of it
        with the plain learning rate, and a site becomes active without memory.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, Deep Rewiring, ICLR, arXiv 1711.05136, algorithm 1 and section 4.
    """

    name = "deep-rewiring"
    promise = "exact"

    connectivity: Share = PAPER_CONNECTIVITY
    epochs: PositiveInt = 10
    batch_size: PositiveInt = 10
    learning_rate: NonNegativeFloat = 0.05
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    rate_decay: NonNegativeFloat = 1.0
    alpha: NonNegativeFloat = 1e-4
    noise_std: NonNegativeFloat = 5e-8
    budget: Literal["layer", "network"] = "layer"
    redraw_signs: bool = False
    optimiser: Literal["sgd", "adam"] = "sgd"
    densities: Densities = "1:3:30"
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> Method:
        from matchopt.network.methods.rewiring import ListedRewiring, MatrixRewiring

        run = ListedRewiring if by_hand(setting.architecture, setting.device) else MatrixRewiring
        return run(self.plan(setting), setting)

    def plan(self, setting: Setting) -> Any:
        """The options as values for a run: a `RewiringPlan`."""
        from matchopt.network.methods.rewiring import RewiringPlan

        phase = Phase("rewire", self.epochs, self.batch_size)
        noise = self.noise_std / self.learning_rate if self.learning_rate else 0.0
        ways = {"shared": self.budget == "network", "redraw_signs": self.redraw_signs, "adam": self.optimiser == "adam"}
        budgets = matrix_budgets(setting.architecture, self.connectivity, self.densities)
        return RewiringPlan(phase, budgets, self.alpha, noise, **ways, rate=self.rate)

    def rate(self, done: float) -> float:
        """Learning rate when this share of training is over."""
        falls = rate_factor(self.schedule, done, self.epochs)
        return self.learning_rate * falls * self.rate_decay ** int(done * self.epochs)
