"""edge-popup: which of the frozen random weights take part."""

from dataclasses import dataclass
from typing import Literal

from matchopt.network.training.method import Method, Setting
from matchopt.network.training.optimisers import Adam, Momentum, OptimiserName, Rule, Sgd
from matchopt.network.training.schedules import Schedule
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, PositiveInt, Share


@dataclass(frozen=True)
class EdgePopup(Trainer):
    """Random weights are frozen; each has a score, and of every matrix those with the largest scores are in use.

    The size of a score counts, not its sign. Every weight w, in use or not, moves its score: the gradient of the
    score's size is g w, where g is the derivative of the loss by the weight (straight through). No biases.

    Parameters
    ----------
    kept : share of every matrix in use, above 0, at most 1; at least one weight.
    weights : "signed-constant", a random sign times the standard deviation of He's start, or "normal", that start.
    scaled : whether weights are divided by sqrt(kept), so that activity keeps its size with fewer inputs.
    epochs : passes over the training samples, >= 1.
    batch_size : samples per step, >= 1.
    optimiser : "sgd" or "adam", of the scores.
    learning_rate : at the start.
    momentum, decay : of "sgd"; the decay is an l2 penalty on the scores.
    schedule : how the rate falls: "linear" or "cosine" to 0, "constant", or "restarts": as a cosine that begins again.
    restarts : epochs after which "restarts" begins again, ascending.
    threads : threads of matrix products, >= 1.

    References
    ----------
    Ramanujan, Wortsman, Kembhavi, Farhadi, Rastegari 2020, What's hidden in a randomly weighted neural network?, CVPR,
    arXiv 1911.13299; code allenai/hidden-networks (whose `prune_rate` is the share kept in one place, the share removed
    in another).
    """

    name = "edge-popup"
    promise = "exact"

    kept: Share = 0.5
    weights: Literal["signed-constant", "normal"] = "signed-constant"
    scaled: bool = True
    epochs: PositiveInt = 25
    batch_size: PositiveInt = 128
    optimiser: OptimiserName = "sgd"
    learning_rate: NonNegativeFloat = 0.1
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 1e-4
    schedule: Schedule = "cosine"
    restarts: tuple[PositiveInt, ...] = (25, 75)
    threads: PositiveInt = 1

    @property
    def rule(self) -> Rule:
        """The optimiser of the scores."""
        return Adam(decay=self.decay) if self.optimiser == "adam" else Sgd(self.momentum, False, self.decay)

    def new_run(self, setting: Setting) -> Method:
        """See `Trainer.new_run`."""
        from matchopt.network.methods.top_share import TopShareRun

        return TopShareRun(self, setting)
