"""The digital arithmetic of long short-term memory cells, whose gates are sums formed on hardware."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

Rows = Float[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Cells:
    """Cells over a sequence; rows of signals are in the order sample, frame, gates in that of `Recurrent`.

    Parameters
    ----------
    frames : of a sequence.
    features : numbers per frame.
    hidden : number of cells.
    """

    frames: int
    features: int
    hidden: int

    def run(self, matrix: Any, bias: Float[np.ndarray, " gates"] | None, inputs: Rows) -> tuple[Rows, Rows]:
        """What the gates receive, [x_t, h_(t-1)] (and the constant 1 where `bias` is None), and their signals."""
        full = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
        full = full.astype(inputs.dtype, copy=False)
        n, t, size = len(inputs), self.frames, self.features + self.hidden
        received = np.zeros((n, t, size + (bias is None)), inputs.dtype)
        received[:, :, : self.features] = inputs.reshape(n, t, self.features)
        received[:, :, size:] = 1.0
        back = np.ascontiguousarray(full[:, self.features : size].T)
        # Of all frames at once, one large product; the cells' own outputs are still 0.
        signals = (received.reshape(n * t, -1) @ full.T).reshape(n, t, -1)
        if bias is not None:
            signals += bias.astype(inputs.dtype)
        cell = hidden = np.zeros((n, self.hidden), inputs.dtype)
        for at in range(t):
            received[:, at, self.features : size] = hidden
            signals[:, at] += hidden @ back
            cell, hidden = self._next(cell, signals[:, at])
        return received.reshape(n * t, -1), signals.reshape(n * t, -1)

    def outputs(self, signals: Rows, every: bool) -> Rows:
        """What the cells put out after every frame, or after the last, when their gates have these signals."""
        gates = signals.reshape(-1, self.frames, 4 * self.hidden)
        cell, found = np.zeros((len(gates), self.hidden), signals.dtype), []
        for at in range(self.frames):
            cell, hidden = self._next(cell, gates[:, at])
            found.append(hidden)
        return np.stack(found, axis=1).reshape(-1, self.hidden) if every else found[-1]

    def backward(self, signals: Rows, back: Any, by_outputs: Rows, own: Rows | None) -> Rows:
        """Derivatives by the gates' signals.

        Parameters
        ----------
        signals : of the gates.
        back : the gates' weights on the cells' own outputs.
        by_outputs : derivatives by what the cells put out, after every frame or after the last.
        own : derivatives by the signals themselves as far as a loss reads them; None for not at all.
        """
        gates = signals.reshape(-1, self.frames, 4 * self.hidden)
        n, cells = len(gates), [np.zeros((len(gates), self.hidden), signals.dtype)]
        for at in range(self.frames):
            cells.append(self._next(cells[-1], gates[:, at])[0])
        outer = by_outputs.reshape(n, -1, self.hidden)
        found = np.empty_like(gates)
        by_hidden = by_cell = np.zeros((n, self.hidden), signals.dtype)
        for at in reversed(range(self.frames)):
            if outer.shape[1] > 1 or at == self.frames - 1:
                by_hidden = by_hidden + outer[:, at if outer.shape[1] > 1 else 0]
            enter, forget, candidate, leave = _gates(gates[:, at])
            shown = np.tanh(cells[at + 1])
            by_cell = by_cell + by_hidden * leave * (1.0 - shown**2)
            slopes = (
                by_cell * candidate * enter * (1.0 - enter),
                by_cell * cells[at] * forget * (1.0 - forget),
                by_cell * enter * (1.0 - candidate**2),
                by_hidden * shown * leave * (1.0 - leave),
            )
            found[:, at] = np.concatenate(slopes, axis=1)
            if own is not None:
                found[:, at] += own.reshape(gates.shape)[:, at]
            by_hidden, by_cell = found[:, at] @ back, by_cell * forget
        return found.reshape(len(signals), -1)

    @staticmethod
    def _next(cell: Rows, gates: Rows) -> tuple[Rows, Rows]:
        enter, forget, candidate, leave = _gates(gates)
        cell = forget * cell + enter * candidate
        return cell, leave * np.tanh(cell)


def _gates(signals: Rows) -> tuple[Rows, Rows, Rows, Rows]:
    size = signals.shape[1] // 4
    enter, forget, candidate, leave = (signals[:, n * size : (n + 1) * size] for n in range(4))
    return _sigmoid(enter), _sigmoid(forget), np.tanh(candidate), _sigmoid(leave)


def _sigmoid(value: Rows) -> Rows:
    """1 / (1 + exp(-value)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * value))
