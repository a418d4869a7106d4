"""The first pass: layer by layer, on what the mapped layers before really give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from matchopt.kernels import RowErrors, Scales
from matchopt_reroute.state import State
from matchopt_reroute.tasks import LayerTask

FREE = (1e-6, 1e6)  # scales that a hidden row may be realised at, where nothing after it minds
OUTPUT_SCALES = (1.0, 1.4, 2.0, 2.8)  # common to the last layer; above 1 the realised outputs are smaller
KICKS = 5_000  # disturbances of a layer, shared by its rows


class Unplaceable(Exception):
    """No choice of hardware neurons gives every row cells enough for its connections; its text says so."""


@dataclass(frozen=True)
class Pass:
    """How layers are placed: see the options of the solver; `free` says whether scales may be chosen at all."""

    free: bool
    candidates: int
    pull: float
    ridge: float
    seed: int
    stop: Callable[[], bool]

    def place(self, state: State) -> bool:
        """Map the next layer; False when the time was up before every pair was tried.

        Raises
        ------
        Unplaceable
            when the rows do not fit the hardware.
        """
        n = len(state.layers)
        task, activity = state.tasks[n], state.activity[n]
        moments = task.moments(activity, self.ridge)
        errors = task.errors(moments, activity, task.realisable, slice(None))
        inputs = task.likely(errors, self.candidates)
        best: tuple[float, Scales, np.ndarray, np.ndarray] | None = None
        for scales in self._scales(task, last=n == len(state.tasks) - 1):
            costs = np.stack([p.costs(errors, scales, inputs=inputs, stop=self.stop) for p in task.placers.values()])
            if self.stop():
                return False
            cost = costs.min(axis=0)
            neuron_of = assign(cost)
            rows = np.arange(len(neuron_of))
            total = float(cost[rows, neuron_of].sum())
            if best is None or total < best[0]:
                best = total, scales, neuron_of, costs.argmin(axis=0)[rows, neuron_of]
        assert best is not None
        state.append(*self._improved(task, errors, best[1], best[2], best[3]))
        return True

    def _improved(
        self, task: LayerTask, errors: RowErrors, scales: Scales, neuron_of: np.ndarray, which: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, places, gains and scales of all rows after a longer search on the neurons they got."""
        m = len(neuron_of)
        input_of, scale = np.full((m, task.layer.hardware.n_cells), -1), np.ones(m)
        gain = np.array(list(task.placers))[which]
        kicks = KICKS // max(1, m)
        for number, placer in enumerate(task.placers.values()):
            rows = np.flatnonzero(which == number)
            found = placer.improve(
                errors.rows(rows), neuron_of[rows], scales, inputs=task.heard(rows), kicks=kicks, seed=self.seed
            )
            input_of[rows], scale[rows] = found.input_of, found.scale
        gains = task.layer.rules.gains
        if gains.low is not None and gains.high is not None:
            return neuron_of, input_of, np.clip(scale, gains.low, gains.high), np.ones(m)
        return neuron_of, input_of, gain, scale

    def _scales(self, task: LayerTask, last: bool) -> Iterator[Scales]:
        if not self.free or task.layer.rules.gains.is_interval:
            yield task.scales
        elif last:
            yield from (Scales(u, u) for u in OUTPUT_SCALES)
        else:
            yield Scales(*FREE, self.pull, 1.0)


def assign(cost: np.ndarray) -> np.ndarray:
    """The neurons of the cheapest assignment.

    Raises
    ------
    Unplaceable
        when there is none of finite cost.
    """
    from scipy.optimize import linear_sum_assignment

    try:
        return np.asarray(linear_sum_assignment(cost)[1])
    except ValueError:
        raise Unplaceable("no choice of hardware neurons gives every row cells enough for its connections") from None
