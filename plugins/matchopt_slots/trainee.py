"""A whole network in training: its steps, its value on samples, and the mapping that it is."""

from collections.abc import Sequence

import numpy as np

from matchopt import LayerMapping, NetworkInstance, NetworkMapping
from matchopt_slots.binding import Binding, scale_of
from matchopt_slots.goals import Goal, activity_of
from matchopt_slots.layers import Moments, TrainedLayer
from matchopt_slots.samples import CHUNK, Feed, Samples, chunks


class Trainee:
    """Layers in training on the samples of a goal.

    Parameters
    ----------
    instance : what is mapped.
    samples, goal : what it is trained on, and for.
    bound : how training begins.
    biases : digital biases to begin with; None where biases are hardware weights.
    lanes : samples of a training step.
    rule : threshold and exact of `FreeProjection`.
    ignore : a sample whose derivative is below this share of the batch's mean is left out of the gradient.
    """

    def __init__(
        self,
        instance: NetworkInstance,
        samples: Samples,
        goal: Goal,
        bound: Sequence[Binding],
        biases: Sequence[np.ndarray] | None,
        lanes: int,
        rule: dict[str, float | bool],
        ignore: float = 0.0,
    ) -> None:
        self._instance, self._samples, self._goal, self._bound = instance, samples, goal, list(bound)
        self._ignore, self._rule = ignore, rule
        self._activity, self._feed = activity_of(instance, samples, lanes), Feed(samples, lanes)
        self._judged, self._judged_feed = self._activity, self._feed
        self.layers: list[TrainedLayer] = []
        for n, (layer, part) in enumerate(zip(instance.layers, bound, strict=True)):
            live = self._live(n)
            size = scale_of(layer)
            wishes = np.ascontiguousarray(part.wishes[:, live], np.float32)
            bias = np.zeros(layer.n_rows) if biases is None else biases[n]
            projection = part.projection(layer, live, **rule)
            self.layers.append(
                TrainedLayer(Moments(wishes, size), Moments(np.array(bias, np.float32), size), projection)
            )
        self.project()

    def _live(self, n: int) -> np.ndarray:
        """Numbers of the inputs of layer `n` that wishes are for."""
        return self._samples.live if n == 0 else np.arange(self._instance.layers[n].target.n_inputs)

    def rebind(self) -> None:
        """Give every row the hardware neuron that suits its wishes, and project."""
        for n, (layer, own) in enumerate(zip(self._instance.layers, self.layers, strict=True)):
            self._bound[n] = self._bound[n].renewed(layer, self._live(n), own.wishes.values, **self._rule)
            own.projection = self._bound[n].projection(layer, self._live(n), **self._rule)
        self.project()

    def project(self) -> None:
        """Make the wires of the wishes."""
        for layer in self.layers:
            layer.projection.project(layer.wishes.values)

    def step(self, batch: np.ndarray, rate: float, bias_rate: float, steps: int) -> float:
        """Train on the samples `batch`; returns their mean loss before the step."""
        inputs, wires = self._feed.load(batch), [layer.wires for layer in self.layers]
        self._activity.forward(wires, self.biases, inputs)
        loss, direct = self._goal.derivative(batch, self._activity, inputs)
        self._activity.backward(wires, direct)
        self._activity.gradients(self.layers, inputs, self._kept(direct))
        for layer in self.layers:
            layer.wishes.step(rate, steps)
            if self._instance.adjustable:
                layer.biases.step(bias_rate, steps)
        self.project()
        return loss

    def value(self, which: np.ndarray) -> float:
        """The objective on the samples `which`."""
        wires, noises = [layer.wires for layer in self.layers], self._noises()
        sums = []
        for part in chunks(which, min(CHUNK, self._instance.runs.step)):
            if len(part) != self._judged.lanes:
                self._judged = activity_of(self._instance, self._samples, len(part))
                self._judged_feed = Feed(self._samples, len(part))
            activity, inputs = self._judged, self._judged_feed.load(part)
            activity.forward(wires, self.biases, inputs)
            sums.append(self._goal.sums(part, activity, inputs, noises))
        return self._goal.value(np.sum(sums, axis=0), len(which))

    def _kept(self, direct: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """The lanes that count in the gradient; None for all."""
        if self._ignore <= 0.0:
            return None
        lanes = self._activity.lanes
        size = sum(np.abs(own).sum(axis=0).reshape(lanes, -1).sum(axis=1) for own in direct if own is not None)
        return np.flatnonzero(size > self._ignore * np.mean(size))

    @property
    def biases(self) -> list[np.ndarray]:
        """The digital biases of every layer."""
        return [layer.biases.values for layer in self.layers]

    @property
    def mapping(self) -> NetworkMapping:
        """The mapping that the wires are."""
        parts = []
        for n, (layer, part) in enumerate(zip(self.layers, self._bound, strict=True)):
            made, listening = layer.wires, layer.listening
            inputs = made.inputs[listening].astype(np.int64)
            starts = np.concatenate([[0], np.cumsum(listening.sum(axis=1))])
            cells = made.cells[listening].astype(np.int64)
            inputs = self._samples.live[inputs] if n == 0 else inputs
            parts.append(LayerMapping(part.neuron_of, starts, cells, inputs, part.gain))
        biases = tuple(bias.astype(np.float64) for bias in self.biases) if self._instance.adjustable else None
        return NetworkMapping(tuple(parts), biases)

    def _noises(self) -> list[np.ndarray]:
        """Read-noise variance on every input of every layer."""
        found = []
        for layer, part, own in zip(self._instance.layers, self._bound, self.layers, strict=True):
            variance = part.gain[:, None] ** 2 * layer.hardware.variance[part.neuron_of]
            rows, _ = np.nonzero(own.listening)
            by_wire = variance[rows, own.wires.cells[own.listening]]
            found.append(np.bincount(own.wires.inputs[own.listening], by_wire, own.wishes.values.shape[1]))
        return found
