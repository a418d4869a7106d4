"""The best mapping of a layer whose neurons of rows and lines of inputs are given."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from matchopt.instances import LayerInstance, LayerMapping

ROUNDS = 10  # of gains, then wires
GRID = 9  # gains of an interval that are tried first


def wire_lines(
    layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"], line_of: Int[np.ndarray, "buses inputs"]
) -> LayerMapping | None:
    """The mapping with the least diagonal error: which connections are dropped, which lines driven, and each gain.

    One cell per weight, nothing tunable. Optimal at a single gain; at more gains and wires are chosen by turns.

    Parameters
    ----------
    layer : the layer.
    neuron_of : neuron of each row, all different.
    line_of : line of each input that has connections, in order, on each bus, in the order of their numbers; -1 for
        none. On one bus no two inputs have the same.

    Returns
    -------
    LayerMapping or None
        None where a connection finds no cell and may not be dropped.
    """
    if layer.target.n_connections == 0:
        starts, none = np.zeros(layer.n_rows + 1, np.int64), np.zeros(0, np.int64)
        return LayerMapping(neuron_of, starts, none, none, np.full(layer.n_rows, layer.rules.gains.default))
    pairs = _pairs(layer, neuron_of, line_of)
    driven, best, kept = pairs.line >= 0, np.inf, None
    gain = _scanned(layer, pairs, driven)
    for _ in range(ROUNDS):
        value, driven, wired = _wired(pairs, gain)
        if not value < best:
            break
        best, kept = value, (gain, wired)
        gain = _fitted(layer, pairs, gain, driven, wired)
        if gain is None:
            break
    if kept is None:
        return None
    gain, wired = kept
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs.row[wired], minlength=layer.n_rows))])
    return LayerMapping(neuron_of, starts, pairs.line[wired], pairs.input[wired], gain)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows with inputs that can have an error, row by row, `key` numbering the inputs of all buses."""

    row: Any
    input: Any
    key: Any
    line: Any
    target: Any
    counts: Any
    on: Any
    noise: Any
    off: Any
    may: Any
    must: Any

    def costs(self, gain: Any) -> tuple[Any, Any]:
        """What each pair costs wired, and with its line driven for others; inf where that must not be."""
        g = gain[self.row]
        wired = self.counts * ((self.target - g * self.on) ** 2 + g * g * self.noise)
        idle = self.counts * (self.target - g * self.off) ** 2
        return np.where(self.may, wired, np.inf), np.where(self.must, np.inf, idle)


def _pairs(layer: LayerInstance, neuron_of: Any, line_of: Any) -> _Pairs:
    target, chip, rules = layer.target, layer.hardware, layer.rules
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    row, x, weights, inside = target.row_of, input_of, target.weights, np.ones(target.n_connections, bool)
    if not chip.free_routing and np.any(chip.off):  # then all rows of a bus meet all of its inputs
        row, x = np.divmod(np.arange(layer.n_rows * len(inputs)), len(inputs))
        at = target.row_of * len(inputs) + input_of
        weights, inside = np.zeros(len(row)), np.zeros(len(row), bool)
        weights[at], inside[at] = target.weights, True
    j, bus = neuron_of[row], np.unique(chip.bus, return_inverse=True)[1]
    line = line_of[bus[j], x]
    has = (line >= 0) & (chip.n_cells > 0)
    cell = np.where(has, line, 0) if chip.n_cells else None
    on, noise, off, usable = (
        (np.where(has, part[j, cell], 0) if chip.n_cells else np.zeros(len(j)))
        for part in (chip.weights, chip.variance, chip.off, chip.usable)
    )
    may = has & (usable > 0) & (inside | rules.extra_inputs)
    counts = layer.objective.diagonal(target, row, inputs[x])
    return _Pairs(
        row, inputs[x], bus[j] * len(inputs) + x, line, weights, counts, on, noise, off, may,
        inside & (not rules.drop),
    )  # fmt: skip


def _wired(pairs: _Pairs, gain: Any) -> tuple[float, Any, Any]:
    """The least value at these gains, which pairs have a line that is driven, and which are wired."""
    on, idle = pairs.costs(gain)
    least, size = np.minimum(on, idle), int(pairs.key.max()) + 1
    chosen = on < idle
    chosen |= np.isinf(idle)
    force = np.full(size, np.inf)  # what it costs that at least one row listens, where none would
    with np.errstate(invalid="ignore"):
        np.minimum.at(force, pairs.key, np.where(np.isinf(on), np.inf, on - least))
    served = np.bincount(pairs.key, least, size) + force
    silent = np.bincount(pairs.key, np.where(pairs.must, np.inf, pairs.counts * pairs.target**2), size)
    drive = served < silent
    value = float(np.minimum(served, silent)[np.unique(pairs.key)].sum())
    first = (on - np.where(np.isinf(least), 0.0, least)) <= force[pairs.key]  # who listens where one has to
    alone = np.bincount(pairs.key, chosen & np.isfinite(on), size) == 0
    _, at = np.unique(np.where(first & alone[pairs.key], pairs.key, -1), return_index=True)
    chosen[at[(first & alone[pairs.key])[at]]] = True
    return value, drive[pairs.key], chosen & drive[pairs.key]


def _scanned(layer: LayerInstance, pairs: _Pairs, driven: Any) -> Any:
    """The best gain of every row among some, all lines driven."""
    gains = layer.rules.gains
    if gains.values is not None and len(gains.values) == 1:
        return np.full(layer.n_rows, gains.values[0])
    values = gains.values if gains.values is not None else np.linspace(gains.low or 0.0, gains.high or 0.0, GRID)
    totals = []
    for value in values:
        on, idle = pairs.costs(np.full(layer.n_rows, value))
        each = np.where(driven, np.minimum(on, idle), pairs.counts * pairs.target**2)
        totals.append(np.bincount(pairs.row, np.where(np.isinf(each), 1e300, each), layer.n_rows))
    return np.asarray(values)[np.argmin(totals, axis=0)]


def _fitted(layer: LayerInstance, pairs: _Pairs, gain: Any, driven: Any, wired: Any) -> Any:
    """Gains that suit these wires; None where there is nothing to choose."""
    gains = layer.rules.gains
    if gains.values is not None:
        return _scanned(layer, pairs, driven) if len(gains.values) > 1 else None
    real = np.where(driven, np.where(wired, pairs.on, pairs.off), 0.0)
    power = real**2 + np.where(wired, pairs.noise, 0.0)
    products = np.bincount(pairs.row, pairs.counts * pairs.target * real, layer.n_rows)
    squares = np.bincount(pairs.row, pairs.counts * power, layer.n_rows)
    best = np.divide(products, squares, out=np.array(gain, float), where=squares > 0)
    return np.clip(best, gains.low, gains.high)
