"""How the error changes with the activity of one hidden row: Gauss-Newton through the layers after it."""

import numpy as np

from matchopt_reroute.goal import Goal
from matchopt_reroute.tasks import SINGLE

LARGEST = 2**27  # entries of a table of derivatives; beyond, rows so far from the outputs have only their own signal


class Slopes:
    """Derivatives for the rows of hidden layer n, whose later layers stay as they are but for their activity."""

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
