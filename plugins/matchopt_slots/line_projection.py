"""Wishes projected on cells whose lines are given: neurons that share lines choose which of their cells are on."""

from typing import no_type_check

import numpy as np

from matchopt import LayerInstance, kernels

NOBODY = -1e30  # worth of a line to somebody who may not listen


class LineProjection(kernels.Projection):
    """Every cell is on or off, whichever is nearer to the wish for the input of its line.

    Where cells leak a line is only driven while somebody listens, so the row that loses least by it does.

    Parameters
    ----------
    layer : the layer.
    neuron_of, gain : of every row.
    line_of : line of every input on every bus, -1 for none, buses in the order of their numbers.
    live : numbers of the inputs that wishes are for.
    threshold : 0.5 for the nearer one, less to prefer cells that are on.

    Attributes
    ----------
    listening : how many of each row's wires listen; those behind them leak.
    """

    def __init__(
        self,
        layer: LayerInstance,
        neuron_of: np.ndarray,
        gain: np.ndarray,
        line_of: np.ndarray,
        live: np.ndarray,
        threshold: float,
    ) -> None:
        chip, rules, target = layer.hardware, layer.rules, layer.target
        self._bus = np.unique(chip.bus, return_inverse=True)[1][neuron_of]
        line = line_of[self._bus][:, live]
        has, at = line >= 0, (neuron_of[:, None], np.maximum(line, 0))
        support = np.zeros((layer.n_rows, target.n_inputs), bool)
        support[target.row_of, target.indices] = True
        support = support[:, live]
        self._on = np.where(has, gain[:, None] * chip.weights[at], 0.0).astype(np.float32)
        self._off = np.where(has, gain[:, None] * chip.off[at], 0.0).astype(np.float32)
        self._may = has & chip.usable[at] & (support | rules.extra_inputs)
        self._must = support & (not rules.drop)
        self._line, self._threshold = line.astype(np.int32), np.float32(threshold)
        self._state, self._best = np.zeros(line.shape, bool), np.zeros((len(line_of), len(live), 2))
        self.wires = kernels.Wires.room(*line.shape)
        self.listening = np.zeros(len(line), np.int32)

    def project(self, wishes: np.ndarray) -> kernels.Wires:
        """See `Projection.project`."""
        _switch(
            wishes, self._on, self._off, self._may, self._must, self._line, self._bus, self._threshold,
            bool(self._off.any()), self._state, self._best, self.listening, self.wires,
        )  # fmt: skip
        return self.wires


@kernels.compiled
@no_type_check
def _switch(wishes, on, off, may, must, line, bus, threshold, leaky, state, best, listening, wires):
    """Choose the cells that are on, and list them, then those that leak."""
    best[:, :, 0], best[:, :, 1] = NOBODY, -1.0  # on every bus, by input: most worth of listening, and to whom
    for i in range(len(on)):
        for x in range(on.shape[1]):
            step = on[i, x] - off[i, x]
            worth = step * (wishes[i, x] - off[i, x] - threshold * step)
            state[i, x] = must[i, x] or (may[i, x] and worth > 0)
            if leaky and may[i, x]:
                worth = np.inf if state[i, x] else worth
                if worth > best[bus[i], x, 0]:
                    best[bus[i], x, 0], best[bus[i], x, 1] = worth, i
    for i in range(len(on)):
        made = 0
        for x in range(on.shape[1]):
            if state[i, x] or (leaky and best[bus[i], x, 1] == i):
                state[i, x] = True
                wires.inputs[i, made], wires.cells[i, made], wires.weights[i, made] = x, line[i, x], on[i, x]
                made += 1
        listening[i] = made
        for x in range(on.shape[1] if leaky else 0):
            if not state[i, x] and off[i, x] != 0 and best[bus[i], x, 1] >= 0:
                wires.inputs[i, made], wires.cells[i, made], wires.weights[i, made] = x, line[i, x], off[i, x]
                made += 1
        wires.count[i] = made
