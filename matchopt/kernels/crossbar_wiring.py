"""The best mapping of a layer whose neurons of rows and lines of inputs are given."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from matchopt.instances import Hardware, LayerInstance, LayerMapping
from matchopt.instances.cell_states import best_states

ROUNDS = 10  # of gains, then wires
GRID = 9  # gains of an interval that are tried first
FREE = (0.0, np.inf)  # prices of a write and of a tuned connection where neither is limited


def wire_lines(
    layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"], line_of: Int[np.ndarray, "buses inputs"]
) -> LayerMapping | None:
    """The mapping with the least diagonal error: drops, lines that are driven, gains, what is written, what is tuned.

    One cell per weight. Optimal at a single gain where not both writes and tunable connections are limited, and no line
    leaks or none of them is; at more gains and wires are chosen by turns.

    Parameters
    ----------
    layer : the layer.
    neuron_of : neuron of each row, all different.
    line_of : line of each input that has connections, in order, on each bus, in the order of their numbers; -1 for
        none. On one bus no two inputs have the same.

    Returns
    -------
    LayerMapping or None
        None where a connection finds no cell and may neither be dropped nor tuned.
    """
    if layer.target.n_connections == 0:
        starts, none = np.zeros(layer.n_rows + 1, np.int64), np.zeros(0, np.int64)
        return LayerMapping(neuron_of, starts, none, none, np.full(layer.n_rows, layer.rules.gains.default))
    pairs = _pairs(layer, neuron_of, line_of)
    gain = _gains(layer, pairs)
    return None if gain is None else _chosen(layer, pairs, neuron_of, gain)


def line_prices(
    layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"], line_of: Int[np.ndarray, "buses inputs"]
) -> tuple[float, float]:
    """What one more write, and one more tunable connection, would gain on these neurons and lines.

    0 for writes without a limit, and inf where nothing may be tuned.

    Parameters
    ----------
    layer : the layer.
    neuron_of, line_of : neurons and lines as for `wire_lines`.
    """
    pairs = _pairs(layer, neuron_of, line_of)
    gain = _gains(layer, pairs)
    return _prices(layer, pairs, np.full(layer.n_rows, layer.rules.gains.default) if gain is None else gain)


def _gains(layer: LayerInstance, pairs: "_Pairs") -> Any:
    """The gain of each row; None where a connection finds no cell. Prices depend on gains, and these on prices."""
    gain = np.full(layer.n_rows, layer.rules.gains.default)
    for _ in range(1 if layer.rules.gains.fixed else 2):
        gain = _fixed_point(layer, pairs, gain)
        if gain is None:
            break
    return gain


def _fixed_point(layer: LayerInstance, pairs: "_Pairs", gain: Any) -> Any:
    """Gains that suit the wires, and these the gains; None where a connection finds no cell."""
    prices, driven, best, kept = _prices(layer, pairs, gain), pairs.line >= 0, np.inf, None
    gain = _scanned(layer, pairs, driven, prices)
    for _ in range(ROUNDS):
        on, idle, silent = pairs.options(gain, prices)
        value, driven, wired = _wired(pairs, on, idle, silent)
        if not value < best:
            break
        best, kept = value, gain
        gain = _fitted(layer, pairs, gain, driven, wired, prices)
        if gain is None:
            break
    return kept


def _prices(layer: LayerInstance, pairs: "_Pairs", gain: Any) -> tuple[float, float]:
    """What the first write, and the first tuned connection, that the limits do not allow would gain."""
    most, tunable, (write, tuned) = layer.rules.writes, layer.rules.tunable, FREE
    limited = most is not None and layer.hardware.programmable
    for _ in range(ROUNDS if limited and tunable else 1):
        if tunable:
            on, idle, _ = pairs.options(gain, (write, np.inf))
            tuned = _next_largest(np.minimum(on, idle)[pairs.inside], tunable)
        if limited:
            write = _next_largest(_saved(pairs, gain, tuned), most or 0)
    return write, tuned


def _saved(pairs: "_Pairs", gain: Any, tuned: float) -> Any:
    """What a write gains for each pair."""
    free, unwritten = (np.minimum(*pairs.options(gain, (price, tuned))[:2]) for price in (0.0, np.inf))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(unwritten), 0.0, unwritten - free)


def _next_largest(values: Any, count: int) -> float:
    """The largest value but `count`; 0 where there are no more."""
    return float(-np.partition(-values, count)[count]) if count < len(values) else 0.0


def _chosen(layer: LayerInstance, pairs: "_Pairs", neuron_of: Any, gain: Any) -> LayerMapping | None:
    """The mapping at these gains: connections tuned where that gains most, then cells written where that does."""
    rules, prices = layer.rules, _prices(layer, pairs, gain)
    on, idle, silent = pairs.options(gain, (prices[0], np.inf))
    exact, written = np.zeros(len(on), bool), np.zeros(len(on), bool)
    if rules.tunable:
        driven = _wired(pairs, *pairs.options(gain, prices))[1]
        worth = np.where(pairs.inside, np.where(driven, np.minimum(on, idle), silent), 0.0)
        best = np.argsort(-worth, kind="stable")[: rules.tunable]
        exact[best[worth[best] > 0.0]] = True
    if rules.writes is None:
        written = ~exact  # a wire that only has its line driven too, although no write gains anything there
    elif layer.hardware.programmable:
        saved = np.where(exact, 0.0, _saved(pairs, gain, np.inf))
        best = np.argsort(-saved, kind="stable")[: rules.writes]
        written[best[saved[best] > 0.0]] = True
    on = np.where(written, pairs.options(gain, FREE)[0], pairs.options(gain, (np.inf, np.inf))[0])
    on, idle, silent = np.where(exact, np.inf, on), np.where(exact, 0.0, idle), np.where(exact, 0.0, silent)
    value, _, wired = _wired(pairs, on, idle, silent)
    if np.isinf(value):
        return None
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs.row[wired], minlength=layer.n_rows))])
    return LayerMapping(
        neuron_of, starts, pairs.line[wired], pairs.input[wired], gain, np.flatnonzero(exact[pairs.inside]),
        written=np.where(written, pairs.values(gain), np.nan)[wired],
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Rows with inputs that can have an error, row by row, `key` numbering the inputs of all buses."""

    chip: Hardware
    row: Any
    input: Any
    key: Any
    neuron: Any
    line: Any
    target: Any
    counts: Any
    off: Any
    inside: Any
    may: Any
    must: Any

    def options(self, gain: Any, prices: tuple[float, float]) -> tuple[Any, Any, Any]:
        """What each pair costs wired, with its line driven for others, and on no line; inf where that must not be.

        A write costs the first price besides; the second is the most that a connection costs, as it may be tuned.
        """
        idle, silent = (self.counts * (self.target - off) ** 2 for off in (gain[self.row] * self.off, 0.0))
        tuned = np.where(self.inside, prices[1], np.inf)
        idle, silent = (np.minimum(np.where(self.must, np.inf, each), tuned) for each in (idle, silent))
        return self._best(gain, prices[0])[0], idle, silent

    def values(self, gain: Any) -> Any:
        """The value that is best written for each pair."""
        return self._best(gain, 0.0)[1]

    def read(self) -> tuple[Any, Any]:
        """What each pair's cell reads, and its variance; 0 without a usable one."""
        found = np.zeros((2, len(self.row)))
        e = np.flatnonzero(self.may)
        found[:, e] = [part[self.neuron[e], self.line[e]] for part in (self.chip.weights, self.chip.variance)]
        return found[0], found[1]

    def _best(self, gain: Any, price: float) -> tuple[Any, Any]:
        cost, written = np.full(len(self.row), np.inf), np.full(len(self.row), np.nan)
        e = np.flatnonzero(self.may)
        cost[e], written[e] = best_states(
            self.chip, self.neuron[e], self.line[e], self.target[e], factor=self.counts[e], gain=gain[self.row[e]],
            price=price,
        )  # fmt: skip
        return cost, written


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
    cell = np.where(has, line, 0)
    off, usable = ((np.where(has, part[j, cell], 0) if chip.n_cells else np.zeros(len(j)))
                   for part in (chip.off, chip.usable))  # fmt: skip
    may = has & (usable > 0) & (inside | rules.extra_inputs)
    counts = layer.objective.diagonal(target, row, inputs[x])
    key = bus[j] * len(inputs) + x
    return _Pairs(
        chip, row, inputs[x], key, j, line, weights, counts, off, inside, may, inside & (not rules.drop),
    )  # fmt: skip


def _wired(pairs: _Pairs, on: Any, idle: Any, silent: Any) -> tuple[float, Any, Any]:
    """The least value with these costs, which pairs have a line that is driven, and which are wired."""
    least, size = np.minimum(on, idle), int(pairs.key.max()) + 1
    chosen = on < idle
    chosen |= np.isinf(idle)
    force = np.full(size, np.inf)  # what it costs that at least one row listens, where none would
    with np.errstate(invalid="ignore"):
        np.minimum.at(force, pairs.key, np.where(np.isinf(on), np.inf, on - least))
    served = np.bincount(pairs.key, least, size) + force
    silent = np.bincount(pairs.key, silent, size)
    drive = served < silent
    value = float(np.minimum(served, silent)[np.unique(pairs.key)].sum())
    first = (on - np.where(np.isinf(least), 0.0, least)) <= force[pairs.key]  # who listens where one has to
    alone = np.bincount(pairs.key, chosen & np.isfinite(on), size) == 0
    _, at = np.unique(np.where(first & alone[pairs.key], pairs.key, -1), return_index=True)
    chosen[at[(first & alone[pairs.key])[at]]] = True
    return value, drive[pairs.key], chosen & drive[pairs.key]


def _scanned(layer: LayerInstance, pairs: _Pairs, driven: Any, prices: tuple[float, float]) -> Any:
    """The best gain of every row among some, all lines driven."""
    gains = layer.rules.gains
    if gains.values is not None and len(gains.values) == 1:
        return np.full(layer.n_rows, gains.values[0])
    values = gains.values if gains.values is not None else np.linspace(gains.low or 0.0, gains.high or 0.0, GRID)
    totals = []
    for value in values:
        on, idle, silent = pairs.options(np.full(layer.n_rows, value), prices)
        each = np.where(driven, np.minimum(on, idle), silent)
        totals.append(np.bincount(pairs.row, np.where(np.isinf(each), 1e300, each), layer.n_rows))
    return np.asarray(values)[np.argmin(totals, axis=0)]


def _fitted(
    layer: LayerInstance, pairs: _Pairs, gain: Any, driven: Any, wired: Any, prices: tuple[float, float]
) -> Any:
    """Gains that suit these wires; None where there is nothing to choose."""
    gains, (read, noise) = layer.rules.gains, pairs.read()
    if gains.values is not None:
        return _scanned(layer, pairs, driven, prices) if len(gains.values) > 1 else None
    on, idle, silent = pairs.options(gain, (prices[0], np.inf))
    tuned = pairs.inside & (np.where(driven, np.where(wired, on, idle), silent) >= prices[1])
    real = np.where(driven, np.where(wired, read, pairs.off), 0.0)
    power, counts = real**2 + np.where(wired, noise, 0.0), np.where(tuned, 0.0, pairs.counts)
    products = np.bincount(pairs.row, counts * pairs.target * real, layer.n_rows)
    squares = np.bincount(pairs.row, counts * power, layer.n_rows)
    best = np.divide(products, squares, out=np.array(gain, float), where=squares > 0)
    return np.clip(best, gains.low, gains.high)
