"""Sweeps over the rows of a network of any architecture, each wired anew for the error of what the network puts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from matchopt import kernels
from matchopt_reroute.descent import KICKS, LEAST, searched
from matchopt_reroute.run_goal import RunGoal
from matchopt_reroute.run_state import RunState
from matchopt_reroute.state import SINGLE

CURVED = 250  # samples that the curvature of the error in a row's weights is measured on; 4 times as many at one place
BLOCKS = 16  # times in a sweep that the slopes are measured anew, as rows before have changed
ROOM = 2**26  # entries of the curvatures of the rows of one block
DAMPING = 0.03  # share of the curvature of each single weight that is added to it


@dataclass(frozen=True, eq=False)
class RunDescent:
    """Improves a complete state in place; the arguments are those of `Descent`."""

    state: RunState
    goal: RunGoal
    ridge: float
    stop: Callable[[], bool]

    def sweep(self, n: int, rng: np.random.Generator) -> int:
        """One pass over the rows of layer n; returns how many were wired anew."""
        self.goal.refresh()
        task, accepted = self.state.tasks[n], 0
        order = rng.permutation(len(task.weights))
        at_once, block = max(1, ROOM // (len(task.columns) + 1) ** 2), -(-len(order) // BLOCKS)
        for start in range(0, len(order), at_once):
            group = order[start : start + at_once]
            curvature = None if self.stop() else self._curvature(n, group, rng)
            for first in range(0, len(group), block):
                if self.stop() or curvature is None:
                    return accepted
                rows = group[first : first + block]
                slope = self._slope(n, rows)
                for at, i in enumerate(rows.tolist()):
                    accepted += not self.stop() and self._rewire(n, i, slope[at], curvature[first + at])
        return accepted

    def _slope(self, n: int, rows: np.ndarray) -> np.ndarray:
        """Half the slopes of the error in the rows' weights and, last, their biases."""
        state, found = self.state, np.zeros((len(rows), len(self.state.tasks[n].columns) + 1), SINGLE)
        for part, trace in self._traces(n, len(state.taught.inputs)):
            slopes = state.instance.runs.backward(state.matrices(), trace, self.goal.slopes(part), n)[n]
            found += slopes[:, rows].T @ self._seen(n, trace)
        return found

    def _curvature(self, n: int, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Half the curvatures of the error in the same, measured on some of the samples."""
        state, width, places = self.state, len(self.state.tasks[n].columns) + 1, self.state.instance.runs.places[n]
        samples, matrices = len(state.taught.inputs), state.matrices()
        used = min(samples, CURVED * (1 if places > 1 else 4))
        found = np.zeros((len(rows), width, width), SINGLE)
        for part, trace in self._traces(n, used):
            seen = self._seen(n, trace)
            squares = np.zeros((len(seen), len(rows) if places == 1 else 0), SINGLE)
            for seed in self.goal.seeds(part.stop - part.start, rng):
                own = [*([None] * (len(matrices) - 1)), seed]
                slopes = state.instance.runs.backward(matrices, trace, own, n)[n][:, rows]
                if places == 1:
                    squares += np.square(slopes)
                else:
                    _add_squares(found, slopes, seen, places)
            for at, square in enumerate(squares.T):
                found[at] += (seen * square[:, None]).T @ seen
        found *= SINGLE(samples / used)
        if weight := self._own(n):
            both = np.concatenate([state.activity[n], np.ones((1, state.activity[n].shape[1]), SINGLE)])
            found += SINGLE(weight * samples * places / both.shape[1]) * (both @ both.T)
        return found

    def _own(self, n: int) -> float:
        """Weight of the row's own signals in the error, where what follows is not all that counts."""
        last = n == len(self.state.tasks) - 1
        return 0.0 if self.goal.outputs_only or last else self.goal.weights[n]

    def _traces(self, n: int, samples: int) -> Iterator[tuple[slice, list[tuple[np.ndarray, np.ndarray]]]]:
        """Some samples at a time: which, and what layers receive and make of it; of layers before n nothing."""
        state, nothing = self.state, np.zeros((0, 0), SINGLE)
        matrices, biases = state.matrices(), state.biases
        for part, rows in state.begun(n, samples):
            yield part, [*([(nothing, nothing)] * n), *state.instance.runs.run(matrices, biases, rows, n)]

    def _seen(self, n: int, trace: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """What the layer receives on its columns, and the 1 of a bias."""
        received = trace[n][0][:, self.state.tasks[n].columns]
        return np.column_stack([received, np.ones(len(received), SINGLE)])

    def _rewire(self, n: int, i: int, slope: np.ndarray, curvature: np.ndarray) -> bool:
        state, mapped, last = self.state, self.state.layers[n], n == len(self.state.tasks) - 1
        errors, bias_of = self._errors(n, i, slope, curvature)
        found = searched(state.tasks[n], mapped, i, errors, KICKS if last else 0)
        if found is None:
            return False
        input_of, gain = found
        weights, noise = state.row(n, int(mapped.neuron_of[i]), input_of, gain, mapped.line_of)
        before = mapped.weights[i].copy(), mapped.bias[i], mapped.noise[i].copy()
        mapped.weights[i], mapped.bias[i] = weights, mapped.bias[i] + bias_of(weights - before[0])
        if mapped.noise.size:
            mapped.noise[i] = noise
        signals = state.trial(n)
        total = self.goal.after(n, signals)
        noisier = float((mapped.noise[i] - before[2]) @ errors.power) if mapped.noise.size and not last else 0.0
        if not total + noisier < self.goal.total * (1.0 - LEAST):
            mapped.weights[i], mapped.bias[i] = before[:2]
            if mapped.noise.size:
                mapped.noise[i] = before[2]
            return False
        mapped.input_of[i], mapped.gain[i], self.goal.total = input_of, gain, total
        state.follow(n, signals)
        return True

    def _errors(
        self, n: int, i: int, slope: np.ndarray, curvature: np.ndarray
    ) -> tuple[kernels.RowErrors, Callable[[np.ndarray], float]]:
        """The error as a function of a row's weights, its bias at its best; and that bias' change."""
        task, weights = self.state.tasks[n], self.state.layers[n].weights[i]
        matrix, linear, power = curvature[:-1, :-1].copy(), slope[:-1], curvature.diagonal()[:-1].copy()
        across, own = curvature[:-1, -1], float(curvature[-1, -1])
        moves = task.centred and own > 0.0
        if moves:
            matrix -= np.outer(across, across) / SINGLE(own)
            linear = linear - across * SINGLE(slope[-1] / own)
        diagonal = np.maximum(matrix.diagonal(), 0)
        matrix[np.diag_indices(len(matrix))] = diagonal * SINGLE(1.0 + DAMPING) + SINGLE(self.ridge) * diagonal.mean()
        wanted = matrix @ weights - linear
        constant = np.maximum(np.array([weights @ matrix @ weights], SINGLE), SINGLE(1e-12))
        required = None if task.layer.rules.drop else task.support[[i]]
        errors = kernels.RowErrors(matrix, wanted[None], constant, power, required, task.weights[[i]])

        def bias_of(change: np.ndarray) -> float:
            return -(float(slope[-1]) + float(across @ change)) / own if moves else 0.0

        return errors, bias_of


def _add_squares(curvature: np.ndarray, slopes: np.ndarray, seen: np.ndarray, places: int) -> None:
    """Add the sum over samples of the square of each row's derivative by its weights, summed over places."""
    samples = len(slopes) // places
    by_weight = slopes.reshape(samples, places, -1).transpose(0, 2, 1) @ seen.reshape(samples, places, -1)
    by_row = np.ascontiguousarray(by_weight.transpose(1, 0, 2))
    curvature += by_row.transpose(0, 2, 1) @ by_row
