"""Which hardware neuron serves each row, and the weights that training begins to wish for."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from matchopt import (
    LayerInstance,
    LayerMapping,
    Limits,
    NetworkInstance,
    NetworkMapping,
    Target,
    assign,
    is_feasible,
    match_rows,
    pair_costs,
)
from matchopt.kernels import BoundProjection, Crossbar, FreeProjection, Projection, wire_lines
from matchopt_slots.line_projection import LineProjection

NOISE = 0.002  # on wishes that begin from a mapping, times the hardware's rms; decides among equal ones, most of them 0


@dataclass(frozen=True, eq=False)
class Binding:
    """One layer's rows on their hardware neurons.

    Parameters
    ----------
    neuron_of : hardware neuron of every row.
    gain : gain of every row.
    wishes : weights to begin with, shape (m, n_inputs).
    line_of : where neurons share lines, that of every input on every bus, -1 for none; else None.
    """

    neuron_of: np.ndarray
    gain: np.ndarray
    wishes: np.ndarray
    line_of: np.ndarray | None = None

    def shaken(self, layer: LayerInstance, rng: np.random.Generator) -> "Binding":
        """The same with a little noise on the wishes."""
        noise = NOISE * scale_of(layer) * rng.standard_normal(self.wishes.shape)
        return replace(self, wishes=self.wishes + noise)

    def cells(self, layer: LayerInstance) -> np.ndarray:
        """The cells of the rows' hardware neurons times their gains."""
        weights: np.ndarray = self.gain[:, None] * layer.hardware.weights[self.neuron_of]
        return weights

    def projection(self, layer: LayerInstance, live: np.ndarray, **rule: Any) -> Projection:
        """What turns wishes for the inputs `live` into wires; `rule` is threshold and exact of `FreeProjection`."""
        if self.line_of is not None:
            return LineProjection(layer, self.neuron_of, self.gain, self.line_of, live, rule["threshold"])
        cells, usable = self.cells(layer), layer.hardware.usable[self.neuron_of]
        rules, target = layer.rules, layer.target
        if rules.extra_inputs and rules.drop:
            return FreeProjection(cells, usable, len(live), **rule)
        own = np.searchsorted(live, target.indices)  # all of them live
        return BoundProjection(
            cells, usable, len(live), target.indptr, own, drop=rules.drop, extra=rules.extra_inputs,
            threshold=rule["threshold"],
        )  # fmt: skip

    def renewed(self, layer: LayerInstance, live: np.ndarray, wishes: np.ndarray, **rule: Any) -> "Binding":
        """Rows on the hardware neurons that suit their present wishes (for the inputs `live`) best, all told.

        The same binding where gains differ or lines are shared, as these were chosen for it.
        """
        rules, target, hardware = layer.rules, layer.target, layer.hardware
        if self.line_of is not None or not (rules.gains.fixed and np.isfinite(wishes).all()):
            return self
        if rules.extra_inputs and rules.drop:
            costs = -FreeProjection(hardware.weights, hardware.usable, len(live), **rule).worths(wishes)
        else:
            own = wishes[target.row_of, np.searchsorted(live, target.indices)].astype(float)
            wished = Target(target.indptr, target.indices, own, target.n_inputs)
            costs = pair_costs(wished, hardware, gains=rules.gains, drop=rules.drop)
        neuron_of = assign(costs)
        assert neuron_of is not None  # the present one is feasible
        return Binding(neuron_of, self.gain, self.wishes)


def scale_of(layer: LayerInstance) -> float:
    """Root mean square of the layer's usable hardware weights, 0 where there are none."""
    used = layer.hardware.weights[layer.hardware.usable]
    return float(np.sqrt(np.mean(used**2))) if len(used) else 0.0


def bindings(
    instance: NetworkInstance, limits: Limits, scratch: bool, rng: np.random.Generator
) -> tuple[list[Binding] | None, tuple[np.ndarray, ...] | None]:
    """How training begins, layer by layer, and the digital biases; no bindings where no mapping is feasible."""
    start, biases = limits.start, instance.biases
    if isinstance(start, NetworkMapping) and is_feasible(instance, start):
        if any(len(part.tunable) for part in start.layers):
            limits.offer(start, instance.value(start))
        elif not scratch:
            pairs = zip(instance.layers, start.layers, strict=True)
            return [_given(layer, part) for layer, part in pairs], biases if start.biases is None else start.biases
    if scratch and instance.adjustable and biases is not None:
        biases = tuple(np.zeros(len(bias)) for bias in biases)
    found = [_drawn(layer, rng) if scratch else _assigned(layer, rng) for layer in instance.layers]
    kept = [bound for bound in found if bound is not None]
    return (kept if len(kept) == len(found) else None), biases


def _given(layer: LayerInstance, part: LayerMapping) -> Binding:
    """The binding of a feasible mapping."""
    neuron, hardware = part.neuron_of, layer.hardware
    if not hardware.free_routing:
        return Binding(neuron, part.gain, layer.realised(part), _lines(layer, part))
    wishes = np.zeros((layer.n_rows, layer.target.n_inputs))
    np.add.at(wishes, (part.row_of, part.input), hardware.weights[neuron[part.row_of], part.cell])
    return Binding(neuron, part.gain, wishes * part.gain[:, None])


def _lines(layer: LayerInstance, part: LayerMapping) -> np.ndarray:
    """The lines that a mapping drives; other inputs, where rows may listen to them, are put on lines that leak nothing.

    They are driven by whoever comes to listen.
    """
    chip, n_inputs = layer.hardware, layer.target.n_inputs
    buses, bus_of = np.unique(chip.bus, return_inverse=True)
    line_of = np.full((len(buses), n_inputs), -1)
    line_of[bus_of[part.neuron_of[part.row_of]], part.input] = part.cell
    for b, lines in enumerate(line_of if layer.rules.extra_inputs else ()):
        if not chip.off[bus_of == b].any():
            left, others = np.setdiff1d(np.arange(chip.n_cells), lines), np.flatnonzero(lines < 0)
            lines[others[: len(left)]] = left[: len(others)]
    return line_of


def _on_lines(layer: LayerInstance, rng: np.random.Generator) -> Binding | None:
    """Neurons and lines of small weight error, by turns; None where that does not keep the rules."""
    rules, target = layer.rules, layer.target
    if target.n_connections == 0:
        none = np.zeros(0, np.int64)
        return _given(layer, LayerMapping(np.arange(layer.n_rows), np.zeros(layer.n_rows + 1, np.int64), none, none))
    search = Crossbar(target, layer.hardware, rng, drop=rules.drop, gains=rules.gains, extra_inputs=rules.extra_inputs)
    search.descend()
    part = wire_lines(layer, *search.best_lines())
    return None if part is None else _given(layer, part)


def _assigned(layer: LayerInstance, rng: np.random.Generator) -> Binding | None:
    """The assignment of least weight error (of gains, the best of each pair)."""
    if not layer.hardware.free_routing:
        return _on_lines(layer, rng)
    rule: Any = {"gains": layer.rules.gains, "drop": layer.rules.drop}
    neuron_of = assign(pair_costs(layer.target, layer.hardware, **rule))
    if neuron_of is None:
        return None
    found = match_rows(layer.target, layer.hardware, neuron_of, **rule)
    return _given(layer, LayerMapping.from_cells(layer.target, neuron_of, found.cell_of, found.gain))


def _drawn(layer: LayerInstance, rng: np.random.Generator) -> Binding | None:
    """Random wishes; row i on neuron i, or on one with cells enough where connections must not be dropped."""
    short = (layer.target.fan_in[:, None] > layer.hardware.n_usable) & (not layer.rules.drop)
    neuron_of = assign(np.where(short, np.inf, 0.0))
    if neuron_of is None:
        return None
    gain = np.full(layer.n_rows, layer.rules.gains.default)
    wishes = rng.standard_normal((layer.n_rows, layer.target.n_inputs)) * (2.0 / max(1, layer.target.n_inputs)) ** 0.5
    return Binding(neuron_of, gain, wishes)
