"""One run of slot machines."""

import numpy as np

from matchopt.instances.architecture import Architecture, Convolutional, Recurrent
from matchopt.network.methods.slot_machines import SlotMachines
from matchopt.network.training.method import Method, Phase, Setting, Step
from matchopt.network.training.model import he_normal
from matchopt.network.training.optimisers import Adam, Sgd
from matchopt.network.training.schedules import rate_factor
from matchopt.network.training.selection import FreeWeights, SelectedModel, Selection
from matchopt.network.training.slots import LatentSlots, ScoreSlots, Tables, draw_values, starts_of
from matchopt.network.training.tensors import on_device
from matchopt.parts import Parts


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
        areas = filter_areas(setting.architecture)
        bounds = options.bounds(setting.shapes, areas)
        self.tables: Tables = draw_values(
            setting.shapes, options.values, bounds, options.law, options.share, setting.start
        )
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
        """See `Method.step`."""
        options = self._options
        rate = options.finetune_rate if at.phase else options.learning_rate
        epochs = self.phases[at.phase].epochs
        self.net.step(rate * rate_factor(options.schedule, at.done, epochs, options.restarts))

    def restore(self, state: Parts) -> None:
        """See `Method.restore`."""
        own: dict[str, bool] = state.facts["own"]
        if own["tuned"]:
            self._set_free(np.zeros(self.net.n_weights, np.float32))
        super().restore(state)

    def _set_free(self, weights: np.ndarray) -> None:
        rule = Adam() if self._options.finetune_optimiser == "adam" else Sgd(self._options.momentum)
        self.net.selection, self.tuned = FreeWeights(on_device(weights, self._device), rule), True


def filter_areas(architecture: Architecture) -> tuple[int, ...]:
    """Per matrix the area of its filters, pixels; 1 for units and gates."""
    stages = architecture.convolutions if isinstance(architecture, Convolutional) else ()
    ones = len(architecture.matrices) - len(stages)
    return (*(stage.size**2 for stage in stages), *(1,) * ones)


def _selection(
    options: SlotMachines, setting: Setting, tables: Tables, bounds: list[float], areas: tuple[int, ...]
) -> Selection:
    shapes, device = setting.shapes, setting.device
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
        return LatentSlots(shapes, tables, scores, latent, options.rule, device, options.pull)
    scores = starts_of(tables, sizes, scales, latent, setting.start)
    sampling = setting.chance if options.selection == "probabilistic" else None
    return ScoreSlots(shapes, tables, scores, options.rule, device, sampling)


def _n_local(architecture: Architecture) -> int:
    """How many matrices, the first ones, are convolutions or gates."""
    if isinstance(architecture, Convolutional):
        return len(architecture.convolutions)
    return int(isinstance(architecture, Recurrent))
