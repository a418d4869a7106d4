"""What is descended on: the error of the signals, and its slope along the activity of a hidden row."""

from dataclasses import dataclass

import numpy as np

from matchopt_reroute.state import SINGLE, State

LARGEST = 2**27  # entries of a table of derivatives; beyond, rows so far from the outputs have only their own signal


@dataclass(frozen=True, eq=False)
class Change:
    """A new signal for row i of layer n, and what its read noise adds to the error."""

    n: int
    i: int
    signal: np.ndarray
    noise: float


class Goal:
    """The error of a complete state, summed over samples.

    Parameters
    ----------
    state : the network.
    outputs_only : count the outputs only, up to one common factor and what all of them share on a sample: no decision
        changes with either. Else every layer's signals count as in the functional error.

    Attributes
    ----------
    weights : weight of each layer's squared error; the outputs' is 1.
    residual : the outputs' errors, (outputs, samples), as of the last `refresh` or accepted change.
    """

    def __init__(self, state: State, outputs_only: bool) -> None:
        self.state, self._outputs_only = state, outputs_only
        tasks = state.tasks
        spread = [float(np.var(task.signals, axis=1, dtype=np.float64).sum()) or 1.0 for task in tasks]
        self.weights = [0.0] * len(tasks) if outputs_only else [spread[-1] / value for value in spread]
        self.weights[-1] = 1.0
        self._spread = spread[-1]
        self._shared = outputs_only and len(tasks[-1].signals) > 1
        self._wished = wished = self.common(tasks[-1].signals)
        self._axis = wished - wished.mean(axis=1, keepdims=True) if tasks[-1].centred else wished
        self._square = float(np.vdot(self._axis, wished)) if outputs_only else 0.0
        self.refresh()

    def common(self, outputs: np.ndarray) -> np.ndarray:
        """Without what all outputs share, where that does not count; for one column of each output's values too."""
        return outputs - outputs.mean(axis=0) if self._shared else outputs

    def value(self) -> float:
        """The error relative to the spread of the target's outputs; inf where the outputs say nothing."""
        self.refresh()
        factor = self._factor**2 * self._spread * self.residual.shape[1]
        return self._total / factor if factor > 0 else np.inf

    def refresh(self) -> None:
        """Compute the error from the state as it is."""
        state, last = self.state, len(self.state.tasks) - 1
        outputs = self.common(state.layers[-1].signals)
        self._factor = max(float(np.vdot(self._axis, outputs)) / self._square, 0.0) if self._square > 0 else 1.0
        self.residual = outputs - SINGLE(self._factor) * self._wished
        self._total = float(np.vdot(self.residual, self.residual))
        for n, (weight, task, mapped) in enumerate(zip(self.weights, state.tasks, state.layers, strict=True)):
            if weight and n < last:
                error = mapped.signals - task.signals
                self._total += weight * float(np.vdot(error, error))
            if weight and mapped.noise.size:
                power = np.einsum("xs,xs->x", state.activity[n], state.activity[n])
                self._total += weight * float((mapped.noise @ power).sum())

    def output(self, i: int) -> tuple[np.ndarray, float]:
        """The signal wanted of output row i, and the weight of its error, when all other outputs stay."""
        signal, count = self.state.layers[-1].signals[i], len(self.residual)
        if not self._shared:
            return signal - self.residual[i], 1.0
        return signal - self.residual[i] * SINGLE(count / (count - 1)), (count - 1) / count

    def accept(self, change: Change, least: float) -> bool:
        """Make the change in the signals of the state if the error falls by more than the share `least`.

        Errors of outputs up to a factor are compared at the factor of each: outputs that shrink are not better for it.
        """
        total, residual, made = self._after(change)
        factor = self._factor
        if self._square > 0 and change.n == len(self.state.layers) - 1:
            factor = max(factor + float(np.vdot(self._axis, residual)) / self._square, 0.0)
            moved = residual - SINGLE(factor - self._factor) * self._wished
            total += float(np.vdot(moved, moved)) - float(np.vdot(residual, residual))
            residual = moved
        grown = factor / self._factor if self._factor > 0.0 else 1.0
        if not total < self._total * grown**2 * (1.0 - least):
            return False
        self._total, self.residual, self._factor = total, residual, factor
        for n, (rows, signals) in enumerate(made, start=change.n):
            self.state.layers[n].signals[rows] = signals
            if n + 1 < len(self.state.layers):
                self.state.activity[n + 1][rows] = np.maximum(signals, 0)
        return True

    def _after(self, change: Change) -> tuple[float, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
        """The error after a change, the outputs' residual, and by layer the rows it reaches with their signals."""
        layers, tasks = self.state.layers, self.state.tasks
        total, rows, signals = self._total + change.noise, np.array([change.i]), change.signal[None]
        made = [(rows, signals)]
        for n in range(change.n, len(layers) - 1):
            if weight := self.weights[n]:
                before, wished = layers[n].signals[rows], tasks[n].signals[rows]
                total += weight * float(np.vdot(signals - before, signals + before - 2 * wished))
            step = np.maximum(signals, 0) - self.state.activity[n + 1][rows]
            onward, before = layers[n + 1].weights[:, rows], layers[n + 1].signals
            rows = np.flatnonzero(onward.any(axis=1))
            signals = (before if len(rows) == len(before) else before[rows]) + onward[rows] @ step
            made.append((rows, signals))
        if len(rows) == len(self.residual):
            jump = signals - layers[-1].signals
        else:
            jump = np.zeros_like(self.residual)
            jump[rows] = signals - layers[-1].signals[rows]
        jump = self.common(jump)
        residual = self.residual + jump
        return total + float(np.vdot(jump, residual + self.residual)), residual, made


class Slopes:
    """Gauss-Newton derivatives for the rows of hidden layer n; later layers stay as they are but for their activity."""

    def __init__(self, goal: Goal, n: int) -> None:
        self._goal, self._state, self._n = goal, goal.state, n
        self._last = len(goal.state.tasks) - 1
        weights = [mapped.weights for mapped in goal.state.layers]
        self._weights = [*weights[:-1], goal.common(weights[-1])]
        self._table = self._outputs_by(n + 1) if n + 2 < self._last else None

    def of(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Half the slope and half the curvature of the squared error, for each sample or one for all."""
        goal, layers, n = self._goal, self._state.layers, self._n
        column = self._weights[n + 1][:, i]
        if n + 1 == self._last:
            return column @ goal.residual, np.full(1, column @ column, SINGLE)
        heard = np.flatnonzero(column)
        slope, curvature = np.zeros(1, SINGLE), np.zeros(1, SINGLE)
        if len(heard) == 0:
            return slope, curvature
        jump = None
        if n + 2 == self._last:
            active = (layers[n + 1].signals[heard] > 0).astype(SINGLE)
            jump = (self._weights[-1][:, heard] * column[heard]) @ active
        elif self._table is not None:
            jump = np.tensordot(column[heard], self._table[heard], axes=(0, 0))
        if jump is not None:
            slope, curvature = np.einsum("os,os->s", jump, goal.residual), np.einsum("os,os->s", jump, jump)
        if weight := goal.weights[n + 1]:
            error = layers[n + 1].signals[heard] - self._state.tasks[n + 1].signals[heard]
            slope = slope + SINGLE(weight) * (column[heard] @ error)
            curvature = curvature + SINGLE(weight * float(column[heard] @ column[heard]))
        return slope, curvature

    def _outputs_by(self, n: int) -> np.ndarray | None:
        """Derivatives of the outputs by the signals of hidden layer n, (rows, outputs, samples); None if too many.

        They are not followed while rows change: they only propose, and what is proposed is tried in full.
        """
        layers = self._state.layers
        outputs, samples = self._goal.residual.shape
        if max(len(mapped.gain) for mapped in layers[n:-1]) * outputs * samples > LARGEST:
            return None
        table = None
        for m in range(self._last, n, -1):
            weights = self._weights[m][:, : len(layers[m - 1].gain)]
            spread = weights.T[:, :, None] if table is None else np.tensordot(weights, table, axes=(0, 0))
            table = spread * (layers[m - 1].signals > 0)[:, None, :].astype(SINGLE)
        return table
