"""What is descended on in a network of any architecture, and the quadratic form of one row's weights that follows it.

The error is a sum of squares of residuals r, which depend on a row's weights w at every place the row is seen. To first
order r(w + d) = r + J d with J summed over those places, so that |r|^2 + 2 (J^T r) d + d^T (J^T J) d is known from
slopes that run backwards: of r for J^T r, of the single answers (or of random signs) for J^T J.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from matchopt_reroute.run_state import RunState
from matchopt_reroute.state import SINGLE

SEEDS = 16  # answers of a sample whose slopes are run one by one; of more so many random combinations


class RunGoal:
    """The error of a complete state, summed over samples.

    Parameters
    ----------
    state : the network.
    outputs_only : count the answers only, up to one common factor and what all outputs share; else the signals of every
        layer as in the functional error.

    Attributes
    ----------
    total : the error.
    """

    def __init__(self, state: RunState, outputs_only: bool) -> None:
        self.state, self.outputs_only = state, outputs_only
        answers = state.taught.answers
        self._shared = outputs_only and answers.shape[1] > 1
        self._wished = self.common(answers)
        runs, spread = state.instance.runs, float(np.var(answers, axis=0, dtype=np.float64).sum()) or 1.0
        variances = [float(np.var(task.signals, axis=1, dtype=np.float64).sum()) or 1.0 for task in state.tasks]
        self.weights = [spread / value / places for value, places in zip(variances, runs.places, strict=True)]
        self._size = spread * len(answers)
        self.refresh()

    def common(self, answers: np.ndarray) -> np.ndarray:
        """Without what all outputs share, where that does not count."""
        return answers - answers.mean(axis=1, keepdims=True) if self._shared else answers

    def value(self) -> float:
        """The error relative to the spread of the target's answers; inf where the answers say nothing."""
        self.refresh()
        factor = self._factor**2 * self._size
        return self.total / factor if factor > 0 else np.inf

    def refresh(self) -> None:
        """Compute the common factor, and the error, from the state as it is."""
        if not self.outputs_only or any(mapped.noise.size for mapped in self.state.layers):
            self.state.renew()
        answers = self.common(self.state.instance.runs.answered(self.state.layers[-1].signals))
        self._factor = 1.0
        if self.outputs_only:
            centred = self.state.tasks[-1].centred
            axis = self._wished - self._wished.mean(axis=0) if centred else self._wished
            square = float(np.vdot(axis, self._wished))
            self._factor = max(float(np.vdot(axis, answers)) / square, 0.0) if square > 0 else 1.0
        self.total = self.after(0, [mapped.signals for mapped in self.state.layers])

    def after(self, n: int, signals: list[np.ndarray]) -> float:
        """The error when the layers from n on have these signals."""
        state, total = self.state, 0.0
        if self.outputs_only:
            residual = self._residual(signals[-1])
            total += float(np.vdot(residual, residual))
        else:
            every = [*(mapped.signals for mapped in state.layers[:n]), *signals]
            for weight, found, wanted in zip(self.weights, every, state.taught.signals, strict=True):
                total += weight * float(np.square(found - wanted).sum())
        for at, mapped in enumerate(state.layers):
            if mapped.noise.size and (not self.outputs_only or at == len(state.layers) - 1):
                power = np.square(state.activity[at]).mean(axis=1) * len(state.taught.inputs)
                places, reads = state.instance.runs.places[at], state.instance.runs.answers
                times = places / reads**2 if self.outputs_only else places * self.weights[at]
                total += times * float((mapped.noise @ power).sum())
        return total

    def _residual(self, signals: np.ndarray) -> np.ndarray:
        answers: np.ndarray = self.common(self.state.instance.runs.answered(signals))
        return answers - SINGLE(self._factor) * self._wished

    def slopes(self, part: slice) -> list[Any]:
        """Half the derivatives of the error of some samples by the signals of each layer that the error reads."""
        state, runs = self.state, self.state.instance.runs
        if self.outputs_only:
            per = len(state.taught.answers) // len(state.taught.inputs)
            answers = slice(part.start * per, part.stop * per)
            found = self.common(runs.answered(_rows(state.layers[-1].signals, part, runs.places[-1])))
            away = found - SINGLE(self._factor) * self._wished[answers]
            return [*([None] * (len(state.layers) - 1)), runs.of_answers(away)]
        made: list[Any] = []
        for n, (weight, places) in enumerate(zip(self.weights, runs.places, strict=True)):
            found, wanted = state.layers[n].signals, state.taught.signals[n]
            made.append(SINGLE(weight) * (_rows(found, part, places) - _rows(wanted, part, places)))
        return made

    def seeds(self, samples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Derivatives of the last layer's residuals by its signals whose outer products add up to their metric."""
        runs, outputs = self.state.instance.runs, self.state.taught.answers.shape[1]
        per = len(self.state.taught.answers) // len(self.state.taught.inputs)
        single = per == 1 and outputs <= SEEDS
        for o in range(outputs if single else SEEDS):
            if single:
                seed: np.ndarray = np.zeros((samples, outputs), SINGLE)
                seed[:, o] = 1.0
            else:
                seed = rng.choice(np.array([-1.0, 1.0], SINGLE), (samples * per, outputs)) / SINGLE(np.sqrt(SEEDS))
            yield runs.of_answers(self.common(seed))


def _rows(signals: np.ndarray, part: slice, places: int) -> np.ndarray:
    return signals[part.start * places : part.stop * places]
