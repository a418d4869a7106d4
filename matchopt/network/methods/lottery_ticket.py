"""The lottery ticket: iterative magnitude pruning with rewinding, and its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval
from jaxtyping import Bool, Float32

from matchopt.errors import InvalidOption
from matchopt.network.methods.replacement import smallest
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.optimisers import Momentum, OptimiserName, rule
from matchopt.network.training.starts import he_normal, random_masks
from matchopt.network.training.trainer import Trainer
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt

Control = Literal["none", "reinitialised", "random-mask"]


@dataclass(frozen=True)
class LotteryTicket(Trainer):
    """In rounds, train, remove the smallest weights, and set the rest and the biases back to where they were.

    Parameters
    ----------
    rounds : of pruning, >= 0; training goes on once more after the last, so that 0 is the dense network.
    pruned : share of the weights left that a round removes, 0 .. 1, but for the last matrix.
    pruned_output : the same of the last matrix.
    scope : "layer" removes that share of every matrix; "global" removes `pruned` of all weights, the smallest of all
        matrices together.
    rewind_step : step of the first training to which weights are set back, >= 0; 0 is the start.
    control : what the last training begins with. "none": the weights set back, on the connections found;
        "reinitialised": fresh weights on the connections found; "random-mask": the weights set back, on as many random
        connections in every matrix.
    epochs : passes over the training samples of each training, >= 1.
    optimiser : "adam", or "sgd" with Nesterov momentum; a fresh one for every training.
    learning_rate : constant.
    rate_end : learning rate that training falls to linearly; None for a constant one, as in the paper.

    References
    ----------
    Frankle and Carbin 2019, The Lottery Ticket Hypothesis, ICLR, arXiv 1803.03635, sections 1 to 3; with 54 epochs of
    each training in batches of 60.
    """

    name = "lottery-ticket"
    promise = "reported"

    rounds: NonNegativeInt = 15
    pruned: Annotated[float, Interval(ge=0, lt=1)] = 0.2
    pruned_output: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    scope: Literal["layer", "global"] = "layer"
    rewind_step: NonNegativeInt = 0
    control: Control = "none"
    epochs: PositiveInt = 4
    batch_size: PositiveInt = 60
    optimiser: OptimiserName = "adam"
    learning_rate: NonNegativeFloat = 1.2e-3
    rate_end: NonNegativeFloat | None = None
    momentum: Momentum = 0.9
    threads: PositiveInt = 1

    def new_run(self, setting: Setting) -> "TicketRun":
        steps = self.epochs * (len(setting.data.train_images) // self.batch_size)
        if self.rewind_step > steps:
            raise InvalidOption(
                f"rewind_step must be at most {steps}, the steps of a training, found {self.rewind_step}"
            )
        return TicketRun(self, setting)


class TicketRun(Method):
    """One run; the phase of number r follows the pruning of round r. `stored` is what weights are set back to."""

    net: MaskedModel
    kept = ("stored",)

    def __init__(self, options: LotteryTicket, setting: Setting) -> None:
        self._options, self._setting = options, setting
        self._rule = rule(options.optimiser, options.momentum)
        self.net = setting.model(self._rule)
        self.stored: Float32[np.ndarray, " p"] = self.net.parameters
        self.phases = tuple(Phase(f"round {n}", options.epochs, options.batch_size) for n in range(options.rounds + 1))

    def enter(self, phase: int) -> None:
        """See `Method.enter`: prune, and go back."""
        if phase == 0:
            return
        start = self.stored
        self.net.use(self._left(phase))
        if phase == self._options.rounds and self._options.control == "reinitialised":
            start = he_normal(self.net.shapes, self._setting.chance)  # another draw of the same law
        elif phase == self._options.rounds and self._options.control == "random-mask":
            self.net.use(random_masks(self.net.shapes, self.net.counts, self._setting.chance))
        self.net.load(start)
        self.net.optimise(self._rule)

    def step(self, at: Step) -> None:
        options = self._options
        end = options.learning_rate if options.rate_end is None else options.rate_end
        self.net.step(options.learning_rate + (end - options.learning_rate) * at.done)
        if at.phase == 0 and at.number == options.rewind_step:
            self.stored = self.net.parameters

    def _left(self, number: int) -> Bool[np.ndarray, " weights"]:
        """The mask after the pruning of this round."""
        net, options = self.net, self._options
        size, mask = np.where(net.mask, np.abs(net.weights), np.float32(-1)), net.mask.copy()
        counts = ladder(net.shapes, number, options.pruned, options.pruned_output)
        if options.scope == "global":
            kept = round(net.n_weights * (1.0 - options.pruned) ** number)
            mask[smallest(size, net.n_weights - kept)] = False
            return mask
        for part, kept in zip(net.segments, counts, strict=True):
            own = mask[part]  # a view
            own[smallest(size[part], len(own) - kept)] = False
        return mask


def ladder(shapes: Sequence[tuple[int, int]], number: int, pruned: float, pruned_output: float) -> list[int]:
    """Weights left in every matrix after so many rounds: size * (1 - share)^number, rounded.

    Examples
    --------
    >>> sum(ladder([(300, 784), (100, 300), (10, 100)], 15, 0.2, 0.1)) / 266_200
    0.035826446280991735
    """
    shares = [pruned] * (len(shapes) - 1) + [pruned_output]
    return [round(m * n * (1.0 - share) ** number) for (m, n), share in zip(shapes, shares, strict=True)]
