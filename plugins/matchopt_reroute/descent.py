"""Sweeps over the rows: each is wired anew for the signal that would serve the layers after it best.

A row's activity is changed along the error's Gauss-Newton direction through the layers after it; the signal that gives
this activity is what its cells shall realise. A new wiring is kept only if the error, recomputed through all layers
that hear the row, falls. Where the row and its wanted activity are silent nothing is asked of its signal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import kernels
from matchopt_reroute.goal import Change, Goal, Slopes
from matchopt_reroute.state import SINGLE, LayerTask, Mapped, Moments, State

REACH = 2.0  # largest change that is wished for, relative to the row's present signal
LEAST = 1e-6  # least relative gain of an accepted row
KICKS = 100  # disturbances of each row of the last layer
HIDDEN_KICKS, MOST_KICKS = 20, 3e8  # of the others; fewer where they would take more nanoseconds, for a whole layer


@dataclass(frozen=True, eq=False)
class Descent:
    """Improves a complete state in place; the arguments are those of the solver."""

    state: State
    goal: Goal
    ridge: float
    stop: Callable[[], bool]

    def sweep(self, n: int, rng: np.random.Generator) -> int:
        """One pass over the rows of layer n; returns how many were wired anew."""
        state, last = self.state, n == len(self.state.tasks) - 1
        task = state.tasks[n]
        moments = state.moments(n, self.ridge)
        kicks = KICKS if last else min(HIDDEN_KICKS, task.affordable(task.heard(), MOST_KICKS) - 1)
        self.goal.refresh()
        slopes = None if last else Slopes(self.goal, n)
        accepted = 0
        for i in rng.permutation(len(state.layers[n].gain)).tolist():
            if self.stop():
                break
            wanted = self.goal.output(i) if slopes is None else self._wanted(n, i, slopes)
            if wanted is not None:
                accepted += self._rewire(n, i, wanted[0], wanted[1], moments, kicks)
        for later in range(n + 1, len(state.tasks)):
            state.run(later)
        return accepted

    def _wanted(self, n: int, i: int, slopes: Slopes) -> tuple[np.ndarray, float] | None:
        """The signal wanted of a hidden row and how much its error counts; None where nothing depends on it."""
        slope, curvature = slopes.of(i)
        mean, weight = float(curvature.mean()), self.goal.weights[n]
        if mean <= 0.0 and weight <= 0.0:
            return None
        active, signal = self.state.activity[n + 1][i], self.state.layers[n].signals[i]
        wanted = signal
        if mean > 0.0:
            damping = mean if curvature.size > 1 else 0.0
            step = slope / (curvature + SINGLE(damping))
            reach = SINGLE(REACH * (float(signal.std()) + float(np.abs(signal).mean())))
            wished = active - np.clip(step, -reach, reach)
            wanted = np.where(wished > 0, wished, np.minimum(signal, 0))
        if weight > 0.0:
            own = self.state.tasks[n].signals[i]
            wanted = (SINGLE(mean) * wanted + SINGLE(weight) * own) / SINGLE(mean + weight)
        return wanted, mean + weight

    def _rewire(self, n: int, i: int, wanted: np.ndarray, price: float, moments: Moments, kicks: int) -> bool:
        state, task = self.state, self.state.tasks[n]
        mapped, activity, rows = state.layers[n], state.activity[n], np.array([i])
        shift = 0.0 if task.given is None else task.given[i]
        errors = task.errors(moments, activity, (wanted - shift)[None], rows, placed=True)
        found = searched(task, mapped, i, errors, kicks)
        if found is None:
            return False
        input_of, gain = found
        weights, noise = state.row(n, int(mapped.neuron_of[i]), input_of, gain, mapped.line_of)
        heard = np.flatnonzero(weights)
        signal = weights[heard] @ activity[heard]
        bias = float(mapped.bias[i])
        if task.centred:
            bias = float(wanted.mean() - signal.mean())
        signal += SINGLE(bias)
        noisier = float((noise - mapped.noise[i]) @ moments.power) if mapped.noise.size else 0.0
        change = Change(n, i, signal, price * noisier * signal.size)
        if not self.goal.accept(change, LEAST):
            return False
        mapped.input_of[i], mapped.gain[i], mapped.bias[i], mapped.weights[i] = input_of, gain, bias, weights
        if mapped.noise.size:
            mapped.noise[i] = noise
        return True


def searched(
    task: LayerTask, mapped: Mapped, i: int, errors: kernels.RowErrors, kicks: int
) -> tuple[np.ndarray, float] | None:
    """Other places and another gain of row i that `errors` of it alone are smaller with; None where there are none."""
    rows, interval = np.array([i]), task.layer.rules.gains.is_interval
    placer = task.placers_on(mapped.line_of)[1.0 if interval else float(mapped.gain[i])]
    scales = task.scales if interval else kernels.Scales()
    rule: dict[str, Any] = {"inputs": task.heard(rows), "kicks": kicks, "seed": i}
    if task.buses is not None:
        rule["kept"] = task.buses.only_listens(mapped.neuron_of, mapped.input_of, i)
    found = placer.improve(errors, mapped.neuron_of[rows], scales, start=mapped.input_of[rows], **rule)
    gain = float(np.clip(found.scale[0], scales.low, scales.high)) if interval else float(mapped.gain[i])
    same = np.array_equal(found.input_of[0], mapped.input_of[i]) and gain == mapped.gain[i]
    return None if same else (found.input_of[0], gain)
