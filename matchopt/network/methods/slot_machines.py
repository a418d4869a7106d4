"""Slot machines: every connection chooses one of a few fixed random values."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Architecture, Convolutional, Recurrent
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import Shapes
from matchopt.network.training.optimisers import Momentum, OptimiserName, Schedule, rate_factor, rule
from matchopt.network.training.selection import FreeWeights, SelectedModel, Selection
from matchopt.network.training.starts import he_normal
from matchopt.network.training.tensors import on_device
from matchopt.network.training.trainer import Trainer
from matchopt.parts import Parts
from matchopt.settings import NonNegativeFloat, NonNegativeInt, PositiveInt

PENALTY = 2e-4  # on MNIST's validation images 1e-4 and 3e-4 were level, two seeds each


@dataclass(frozen=True)
class SlotMachines(Trainer):
    """Every connection takes one of `values` fixed random values; training chooses which. All connections, no biases.

    Each value has a score; the gradient of the score of value W is g W, where g is the derivative of the loss by the
    connection's weight, whichever value it takes (straight through). Values never change. With `finetune_epochs` the
    weights chosen are then trained on as in any network; with `epochs` 0 that is ordinary training.

    Parameters
    ----------
    values : fixed values per connection, >= 1.
    selection : "greedy" takes the value of the highest score; "probabilistic" draws one with the probabilities
        softmax(scores) for every batch, and takes that of the highest score in every evaluation and at the end.
    form : "latent" (greedy only) keeps one number per connection in place of a score per value: the same choices under
        "sgd", at a fraction of the cost; Adam then acts on that number. "scores" keeps the scores. "fitting" is
        "latent" for greedy selection and "scores" otherwise.
    start : of the scores: "nearest" makes the value nearest to the latent win, which starts at N(0, 2 / inputs) times
        `spread`; "random" draws scores from U(0, scale * bound), and some values can never win.
    spread : of the latents at the start, see there; 0 starts with each connection's smallest value.
    score_scale : scale of random scores, fully connected matrices.
    convolution_score_scale : the same of convolutions and gates.
    law : of the fixed values: "uniform" within the bound, or "normal" of the same variance.
    bound : "glorot-deviation", sqrt(2 / (inputs + outputs)), as published; "glorot", sqrt(6 / (inputs + outputs)), as
        in the authors' code; "he", sqrt(6 / inputs). Inputs and outputs of a convolution count its filter's area.
    bound_scale : multiplies every bound.
    share : "connection" draws values for each connection; with "layer" all connections of a matrix have the same
        values, with "network" all of the network (the bound is then the mean).
    optimiser : "sgd" or "adam", of latents or scores.
    decay : of "sgd", an l2 penalty on the scores, added to their gradient as decay * score.
    penalty : l2 penalty on the latents (form "latent"), added to their gradient as penalty * latent; keeps weights
        small. None is 2e-4 in form "latent" with start "nearest", otherwise 0, as published.
    finetune_epochs : passes for training all weights after the choice.
    finetune_optimiser, finetune_rate : of that; the rate falls by the same schedule.

    References
    ----------
    Aladago and Torresani 2021, Slot Machines, ICML, PMLR 139, arXiv 2101.06475; code maxwell-aladago/slot-machines.
    """

    name = "slot-machines"
    promise = "exact"

    values: PositiveInt = 8
    selection: Literal["greedy", "probabilistic"] = "greedy"
    form: Literal["fitting", "latent", "scores"] = "fitting"
    start: Literal["nearest", "random"] = "nearest"
    spread: NonNegativeFloat = 1.0
    score_scale: NonNegativeFloat = 0.1
    convolution_score_scale: NonNegativeFloat = 1.0
    law: Literal["uniform", "normal"] = "uniform"
    bound: Literal["glorot-deviation", "glorot", "he"] = "he"
    bound_scale: NonNegativeFloat = 1.0
    share: Literal["connection", "layer", "network"] = "connection"
    epochs: NonNegativeInt = 25
    batch_size: PositiveInt = 100
    optimiser: OptimiserName = "sgd"
    learning_rate: NonNegativeFloat = 0.1
    momentum: Momentum = 0.9
    decay: NonNegativeFloat = 0.0
    penalty: NonNegativeFloat | None = None
    schedule: Schedule = "cosine"
    restarts: tuple[PositiveInt, ...] = (25, 75)
    finetune_epochs: NonNegativeInt = 0
    finetune_optimiser: OptimiserName = "sgd"
    finetune_rate: NonNegativeFloat = 0.01
    threads: PositiveInt = 1

    def __post_init__(self) -> None:
        if self.epochs + self.finetune_epochs < 1:
            raise InvalidOption("epochs and finetune_epochs must make at least one epoch, found 0 and 0")
        if self.form == "latent" and self.selection != "greedy":
            raise InvalidOption("form latent goes with greedy selection; use form scores")
        if self.decay and self.optimiser == "adam":
            raise InvalidOption(f"decay goes with optimiser sgd, found decay {self.decay} and adam")
        if self.penalty and not self.in_latents:
            raise InvalidOption(f"penalty goes with form latent, found penalty {self.penalty} and scores")
        # Beyond this the scores' starts would not fade but swing, and there would be nothing to compare latents with.
        if self.in_latents and self.learning_rate * self.decay > (1.0 - self.momentum**0.5) ** 2:
            raise InvalidOption(
                f"learning_rate * decay must be at most (1 - sqrt(momentum))^2 in form latent, found "
                f"{self.learning_rate * self.decay:g}; use form scores"
            )

    @property
    def in_latents(self) -> bool:
        """Whether there is one number per connection."""
        return self.form == "latent" or (self.form == "fitting" and self.selection == "greedy")

    @property
    def pull(self) -> float:
        """The penalty on latents."""
        usual = PENALTY if self.in_latents and self.start == "nearest" else 0.0
        return usual if self.penalty is None else self.penalty

    def bounds(self, shapes: Shapes, areas: tuple[int, ...]) -> list[float]:
        """Largest magnitude of uniform values, per matrix; `areas` are those of the filters, 1 elsewhere."""
        found = []
        for (rows, cols), area in zip(shapes, areas, strict=True):
            inputs, both = cols, cols + rows * area
            square = {"glorot-deviation": 2.0 / both, "glorot": 6.0 / both, "he": 6.0 / inputs}[self.bound]
            found.append(self.bound_scale * square**0.5)
        return found

    def new_run(self, setting: Setting) -> "SlotRun":
        return SlotRun(self, setting)


class SlotRun(Method):
    """One run of slot machines.

    Parameters
    ----------
    tables : the fixed values, per matrix one row per connection, or one for all.
    tuned : whether the weights are free by now.
    """

    net: SelectedModel
    kept = ("tuned",)

    def __init__(self, options: SlotMachines, setting: Setting) -> None:
        self._options, self._device, self.tuned = options, setting.device, False
        from matchopt.network.training.slot_choice import draw_values

        areas = filter_areas(setting.architecture)
        bounds = options.bounds(setting.shapes, areas)
        law = (options.law, options.share)
        self.tables = draw_values(setting.shapes, options.values, bounds, *law, setting.start)
        self.net = SelectedModel(setting, _selection(options, setting, self.tables, bounds, areas))
        self.phases = (
            Phase("choose", options.epochs, options.batch_size),
            Phase("tune", options.finetune_epochs, options.batch_size),
        )

    def enter(self, phase: int) -> None:
        """See `Method.enter`: in the second phase the chosen weights become free."""
        if phase == 1:
            self._set_free(self.net.weights())

    def step(self, at: Step) -> None:
        options = self._options
        rate = options.finetune_rate if at.phase else options.learning_rate
        epochs = self.phases[at.phase].epochs
        self.net.step(rate * rate_factor(options.schedule, at.done, epochs, options.restarts))

    def restore(self, state: Parts) -> None:
        own: dict[str, bool] = state.facts["own"]
        if own["tuned"]:
            self._set_free(np.zeros(self.net.n_weights, np.float32))
        super().restore(state)

    def _set_free(self, weights: np.ndarray) -> None:
        moved = rule(self._options.finetune_optimiser, self._options.momentum, nesterov=False)
        self.net.selection, self.tuned = FreeWeights(on_device(weights, self._device), moved), True


def filter_areas(architecture: Architecture) -> tuple[int, ...]:
    """Per matrix the area of its filters, pixels; 1 for units and gates."""
    stages = architecture.convolutions if isinstance(architecture, Convolutional) else ()
    ones = len(architecture.matrices) - len(stages)
    return (*(stage.size**2 for stage in stages), *(1,) * ones)


def _selection(
    options: SlotMachines, setting: Setting, tables: list[np.ndarray], bounds: list[float], areas: tuple[int, ...]
) -> Selection:
    from matchopt.network.training.slot_choice import LatentSlots, ScoreSlots, starts_of

    shapes, device = setting.shapes, setting.device
    moved = rule(options.optimiser, options.momentum, options.decay, nesterov=False)
    sizes = [m * n for m, n in shapes]
    scales = None
    if options.start == "random":
        local = [n < _n_local(setting.architecture) for n in range(len(areas))]
        scales = [
            bound * (options.convolution_score_scale if near else options.score_scale)
            for bound, near in zip(bounds, local, strict=True)
        ]
        latent = np.zeros(sum(sizes), np.float32)
    else:
        latent = he_normal(shapes, setting.start)[: sum(sizes)] * np.float32(options.spread)
    if options.in_latents:
        scores = None if scales is None else starts_of(tables, sizes, scales, latent, setting.start)
        return LatentSlots(shapes, tables, scores, latent, moved, device, options.pull)
    scores = starts_of(tables, sizes, scales, latent, setting.start)
    sampling = setting.chance if options.selection == "probabilistic" else None
    return ScoreSlots(shapes, tables, scores, moved, device, sampling)


def _n_local(architecture: Architecture) -> int:
    """How many matrices, the first ones, are convolutions or gates."""
    if isinstance(architecture, Convolutional):
        return len(architecture.convolutions)
    return int(isinstance(architecture, Recurrent))
