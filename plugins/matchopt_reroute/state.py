"""A network while it is being mapped: what is wanted of each layer, what its cells listen to, and the signals made."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from matchopt import LayerInstance, NetworkInstance, NetworkMapping, kernels
from matchopt_reroute.buses import Buses
from matchopt_reroute.lines import LinePlacement
from matchopt_reroute.wired import NearestSums, WiredPlacement, nearest_sums
from matchopt_reroute.wiring import cell_table, from_table, gain_choices, likely_inputs, listed, with_assigned

SINGLE = np.float32
LOOKS = 6.0  # nanoseconds a cell and what it is looked at against
SWITCHED, GATHERED = 3.0, 20.0  # nanoseconds a pair of cells that may be switched, and a column, on shared lines


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of what a layer receives: (inputs, inputs) covariances or raw moments, means, powers E[x^2]."""

    matrix: np.ndarray
    mean: np.ndarray
    power: np.ndarray


@dataclass(frozen=True, eq=False)
class LayerTask:
    """One layer's part of the problem; it does not change while the network is mapped.

    Parameters
    ----------
    layer : the layer's instance.
    columns : the inputs that are considered: those that vary, or that the target uses.
    support, weights : the target's connections and weights on `columns`.
    signals : the target network's pre-activations, (rows, samples).
    given : digital biases that stay as they are; None where they adjust or are hardware.
    centred : whether biases adjust, so that only variances count.
    placers : for each gain of a finite set (1 under an interval) the search on cells of that gain, routed freely or
        hard-wired.
    scales : the gains of an interval, else the scale 1.
    threads : most threads.
    buses : of neurons that share lines; None where none do.
    homogeneous : whether what follows a hidden row takes a positive factor on its signals, less `shift`, as it comes.
    shift : what signals are compared with by what follows, such as a mean of batch normalisation.
    """

    layer: LayerInstance
    columns: np.ndarray
    support: np.ndarray
    weights: np.ndarray
    signals: np.ndarray
    given: np.ndarray | None
    centred: bool
    placers: dict[float, Any]
    scales: kernels.Scales
    threads: int
    buses: Buses | None
    homogeneous: bool
    shift: Any

    def placers_on(self, line_of: np.ndarray | None) -> dict[float, Any]:
        """The searches by gain, on these lines where lines are shared."""
        if line_of is None or self.buses is None:
            return dict(self.placers)
        return {gain: LinePlacement(self.buses, line_of, gain, self.threads) for gain in self.placers}

    @cached_property
    def sums(self) -> NearestSums:
        """See `nearest_sums`, of hard-wired cells."""
        return nearest_sums(self.layer, self.columns)

    @property
    def realisable(self) -> np.ndarray:
        """What the wires shall give: the signals without biases that stay as they are."""
        return self.signals if self.given is None else self.signals - self.given[:, None]

    def moments(self, activity: np.ndarray, ridge: float) -> Moments:
        """Moments of `activity`, (inputs, samples), with `ridge` times their mean added to the diagonal."""
        count = SINGLE(activity.shape[1])
        matrix = activity @ activity.T / count
        power, mean = matrix.diagonal().copy(), activity.mean(axis=1)
        if self.centred:
            matrix -= np.outer(mean, mean)
        matrix[np.diag_indices(len(matrix))] += SINGLE(ridge) * matrix.diagonal().mean()
        return Moments(matrix, mean, power)

    def errors(
        self, moments: Moments, activity: np.ndarray, wanted: np.ndarray, rows: Any, placed: bool = False
    ) -> kernels.RowErrors:
        """The error of `rows` as a function of their weights, when they shall give the signals `wanted`.

        `placed` says that a search begins from places of theirs, not from the target's weights.
        """
        count = SINGLE(wanted.shape[1])
        linear, constant = wanted @ activity.T / count, np.einsum("is,is->i", wanted, wanted) / count
        if self.centred:
            mean = wanted.mean(axis=1)
            linear -= np.outer(mean, moments.mean)
            constant -= mean * mean
        constant = np.maximum(constant, SINGLE(1e-6) * constant.mean())
        required = None if self.layer.rules.drop else self.support[rows]
        sought = None if placed and required is None else self.weights[rows]
        return kernels.RowErrors(moments.matrix, linear, constant, moments.power, required, sought)

    def heard(self, rows: Any = slice(None)) -> np.ndarray | None:
        """The inputs that each row may use, -1 filling up; None for all."""
        if self.layer.rules.extra_inputs:
            return None
        return listed(self.support[rows])

    def affordable(self, inputs: np.ndarray | None, work: float) -> int:
        """How many descents a row there may be, >= 1, if all take about so many nanoseconds of work.

        A descent looks at each of the neuron's cells a few times, against all its other cells and the row's inputs.
        """
        cells, rows = self.layer.hardware.n_cells, len(self.weights)
        heard = len(self.columns) if inputs is None else inputs.shape[1]
        if self.layer.hardware.hard_wired:
            heard = cells
        if self.buses is not None or self.layer.hardware.hard_wired:
            return max(1, int(work / max(1, rows * (SWITCHED * heard * heard + GATHERED * len(self.columns)))))
        return max(1, int(work / max(1, rows * LOOKS * cells * (cells + heard))))

    def near_neurons(self, few: int, line_of: np.ndarray | None = None) -> np.ndarray | None:
        """The `few` hardware neurons of each row with the least weight errors, one of a whole mapping's; None for all.

        On the lines of `line_of`, where they are shared.

        Raises
        ------
        Unplaceable
            when there is no mapping.
        """
        if few >= self.layer.hardware.n_neurons:
            return None
        rules = self.layer.rules
        if self.buses is not None and line_of is not None:
            return with_assigned(self.buses.weight_errors(line_of), few)
        if self.layer.hardware.hard_wired:
            return with_assigned(self.sums.costs, few)
        cost = kernels.pair_costs(self.layer.target, self.layer.hardware, gains=rules.gains, drop=rules.drop)
        return with_assigned(cost, few)

    def likely(self, errors: kernels.RowErrors, most: int) -> np.ndarray | None:
        """The `most` inputs of each row that alone explain most of its signal, and its support; None for all."""
        if not self.layer.rules.extra_inputs:
            return self.heard()
        return likely_inputs(errors, self.support, most)


def sample_rows(instance: NetworkInstance, most: int, rng: np.random.Generator) -> np.ndarray:
    """At most `most` samples as the network receives them, (samples, inputs)."""
    given = instance.objective
    if given is not None:
        count = len(given.inputs)
        which = np.sort(rng.permutation(count)[:most]) if count > most else slice(None)
        return given.fed(which, instance, instance.target_weights[0])
    assert instance.samples is not None
    count = len(instance.samples)
    return instance.samples[np.sort(rng.permutation(count)[:most])] if count > most else instance.samples


def layer_tasks(instance: NetworkInstance, inputs: np.ndarray, threads: int) -> list[LayerTask]:
    """The tasks of all layers, for these samples."""
    varies = np.ptp(inputs, axis=0) > 0 if instance.adjustable else (inputs != 0).any(axis=0)
    if instance.biases is None:
        varies = np.append(varies, True)
    wanted = [np.ascontiguousarray(signals.T, SINGLE) for signals in instance.target_signals(inputs)]
    return [layer_task(instance, n, varies, signals, threads) for n, signals in enumerate(wanted)]


def layer_task(instance: NetworkInstance, n: int, varies: np.ndarray, signals: np.ndarray, threads: int) -> LayerTask:
    """The task of layer n, for these target signals; `varies` says which inputs of the first layer do."""
    layer, target, runs, biases = instance.layers[n], instance.layers[n].target, instance.runs, instance.biases
    weights, support = target.dense(), np.zeros((target.n_rows, target.n_inputs), bool)
    support[target.row_of, target.indices] = True
    columns = np.flatnonzero(varies | support.any(axis=0)) if n == 0 else np.arange(target.n_inputs)
    placers: dict[float, Any]
    if layer.hardware.hard_wired:
        gains, scales = layer.rules.gains.values or (1.0,), kernels.Scales()
        placers = {gain: WiredPlacement(layer, columns, gain, threads) for gain in gains}
    else:
        placers, scales = gain_choices(layer, threads, single=True)
    given = None if biases is None or instance.adjustable else biases[n].astype(SINGLE)
    shared = instance.chained or not (layer.hardware.free_routing or layer.hardware.hard_wired)
    buses, shift = Buses(layer, columns) if shared else None, runs.shift(n)
    free = runs.homogeneous(n) and (instance.adjustable or not np.any(shift))
    listening = (columns, support[:, columns], weights[:, columns])
    return LayerTask(
        layer, *listening, signals, given, instance.adjustable, placers, scales, threads, buses, free, shift
    )


@dataclass(eq=False)
class Mapped:
    """The mapping of one layer and what follows from it; rows are replaced in place.

    Parameters
    ----------
    neuron_of, gain, bias : of every row; the bias is 0 where biases are hardware.
    input_of : column that every cell of the row's neuron listens to, -1 for none.
    weights : realised weights on the columns, gains included.
    noise : read-noise variance on the columns, gains included; without columns where there is none at all.
    signals : pre-activations, (rows, samples).
    line_of : where lines are shared, that of every column on every bus, -1 for none; else None.
    """

    neuron_of: np.ndarray
    input_of: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    weights: np.ndarray
    noise: np.ndarray
    signals: np.ndarray
    line_of: np.ndarray | None = None


class State:
    """All layers' mappings and activities; `activity[n]` is what layer n receives, (columns, samples)."""

    def __init__(self, instance: NetworkInstance, tasks: list[LayerTask], inputs: np.ndarray) -> None:
        self.instance, self.tasks, self.layers = instance, tasks, list[Mapped]()
        self.hardware_biases = instance.biases is None
        first = np.column_stack([inputs, np.ones(len(inputs))]) if self.hardware_biases else inputs
        self.activity = [np.ascontiguousarray(first.T[tasks[0].columns], SINGLE)]
        self._kept: dict[float, tuple[Moments, kernels.RowErrors]] = {}

    def empty(self) -> State:
        """A state on the same samples in which no layer is mapped."""
        found = copy.copy(self)
        found.layers, found.activity = [], self.activity[:1]
        return found

    def moments(self, n: int, ridge: float) -> Moments:
        """Moments of what layer n receives; those of the network's inputs are computed once."""
        return self.tasks[n].moments(self.activity[n], ridge) if n else self.fitted(n, ridge)[0]

    def fitted(self, n: int, ridge: float) -> tuple[Moments, kernels.RowErrors]:
        """Moments of what layer n receives, and the errors of all its rows; of the first layer computed once."""
        if n == 0 and ridge in self._kept:
            return self._kept[ridge]
        task, activity = self.tasks[n], self.activity[n]
        moments = task.moments(activity, ridge)
        found = moments, task.errors(moments, activity, task.realisable, slice(None))
        if n == 0:
            self._kept[ridge] = found
        return found

    def append(
        self,
        neuron_of: np.ndarray,
        input_of: np.ndarray,
        gain: np.ndarray,
        scale: np.ndarray,
        line_of: np.ndarray | None = None,
    ) -> None:
        """Add the next layer's mapping; `scale` is that of the target signals over the realised ones."""
        n = len(self.layers)
        task = self.tasks[n]
        if task.buses is not None and line_of is not None:
            line_of = task.buses.driven(neuron_of, input_of, line_of)
        rows = zip(neuron_of, input_of, gain, strict=True)
        wires = [self.row(n, j, at, g, line_of) for j, at, g in rows]
        weights = np.array([weights for weights, _ in wires], SINGLE).reshape(len(neuron_of), len(task.columns))
        noise = np.zeros((len(wires), 0), SINGLE)
        if task.layer.hardware.variance.any():
            noise = np.array([noise for _, noise in wires], SINGLE).reshape(weights.shape)
        bias, signals = np.zeros(len(gain)), weights[:, :0]
        self.layers.append(Mapped(neuron_of, input_of, gain, bias, weights, noise, signals, line_of))
        self.run(n, scale)

    def row(
        self, n: int, neuron: int, input_of: np.ndarray, gain: float, line_of: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights and read noise of one row on the columns."""
        task = self.tasks[n]
        hardware, heard = task.layer.hardware, input_of >= 0
        weights, noise = np.zeros((2, len(task.columns)), SINGLE)
        np.add.at(weights, input_of[heard], gain * hardware.weights[neuron, heard])
        np.add.at(noise, input_of[heard], gain**2 * hardware.variance[neuron, heard])
        if hardware.hard_wired:
            weights += WiredPlacement(task.layer, task.columns, gain).leaks(neuron, input_of)
        if task.buses is not None and line_of is not None:
            weights += SINGLE(gain) * task.buses.leaks(neuron, input_of, line_of)
        return weights, noise

    def run(self, n: int, scale: np.ndarray | None = None) -> None:
        """Signals of layer n from its activity, biases that adjust set anew if a `scale` is given; activity after."""
        task, mapped = self.tasks[n], self.layers[n]
        wired = mapped.weights @ self.activity[n]
        if task.given is not None:
            mapped.bias[:] = task.given
        elif task.centred and scale is not None:
            mapped.bias[:] = task.signals.mean(axis=1) / scale - wired.mean(axis=1)
        mapped.signals = wired + mapped.bias.astype(SINGLE)[:, None]
        after = np.maximum(mapped.signals, 0)
        if self.hardware_biases:
            after = np.concatenate([after, np.ones((1, after.shape[1]), SINGLE)])
        self.activity[n + 1 :] = [after]

    def said_lines(self, n: int) -> np.ndarray | None:
        """The lines of layer n that the array before says, (1, columns); None where they are to be chosen."""
        buses = self.tasks[n].buses
        if buses is None or n == 0 or not self.instance.chained:
            return None
        return buses.said_lines(self.layers[n - 1].neuron_of, self.instance.layers[n - 1].hardware.n_neurons)

    def mapping(self) -> NetworkMapping:
        """The mapping as a solution."""
        layers = []
        for task, mapped in zip(self.tasks, self.layers, strict=True):
            inputs = np.append(task.columns, -1)[mapped.input_of]
            layers.append(from_table(mapped.neuron_of, inputs, mapped.gain))
        biases = tuple(mapped.bias for mapped in self.layers) if self.instance.adjustable else None
        return NetworkMapping(tuple(layers), biases)

    def begin_with(self, mapping: NetworkMapping) -> bool:
        """Take over a given mapping; False where it uses what is not considered here."""
        for n, (task, part) in enumerate(zip(self.tasks, mapping.layers, strict=True)):
            column = np.full(task.layer.target.n_inputs, -1)
            column[task.columns] = np.arange(len(task.columns))
            if len(part.tunable) or (column[part.input] < 0).any():
                return False
            input_of = np.append(column, -1)[cell_table(part, task.layer.hardware.n_cells)]
            lines = self.said_lines(n)
            if task.buses is not None and lines is None:
                lines = task.buses.lines_of(part.neuron_of, input_of)
            self.append(part.neuron_of.copy(), input_of, part.gain.copy(), np.ones(part.n_rows), lines)
            if task.centred and (biases := mapping.biases or self.instance.biases) is not None:
                self.layers[n].bias[:] = biases[n]
                self.run(n)
        return True
