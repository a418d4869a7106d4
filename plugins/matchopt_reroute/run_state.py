"""A network of any architecture while it is being mapped: rows are seen at many places, layers fitted on some of them.

For each layer a provider gives what it receives in the mapped network, and the trained network's pre-activations, both
on samples x places. Of these so many are drawn that a second moment of normal signals has a relative standard error of
sqrt(2 / `PLACES`), 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from matchopt import NetworkInstance
from matchopt_reroute.state import SINGLE, LayerTask, State, layer_task

PLACES = 20_000  # of samples x places that a layer is fitted on
STORED = 2**26  # signals kept of all layers: a quarter of a gigabyte


@dataclass(frozen=True, eq=False)
class Taught:
    """What the trained network does on the samples.

    Parameters
    ----------
    inputs : of the network, (samples, inputs).
    picks : of each layer, the rows of samples x places that it is fitted on, rising.
    first : what layer 0 receives there, (inputs, picks).
    answers : of the network, (answers, outputs).
    signals : of every layer at all places, (rows, units); empty unless asked for.
    """

    inputs: np.ndarray
    picks: list[np.ndarray]
    first: np.ndarray
    answers: np.ndarray
    signals: list[np.ndarray]


def most_samples(instance: NetworkInstance) -> int:
    """How many samples there may be, for all layers' signals to be kept."""
    pairs = zip(instance.runs.places, instance.layers, strict=True)
    return max(2, STORED // sum(places * layer.n_rows for places, layer in pairs))


def run_tasks(
    instance: NetworkInstance, inputs: np.ndarray, threads: int, rng: np.random.Generator, every: bool
) -> tuple[list[LayerTask], Taught]:
    """The tasks of all layers and what they come from; `every` keeps the trained signals of all layers and places."""
    runs, inputs = instance.runs, np.ascontiguousarray(inputs, SINGLE)
    totals = [len(inputs) * places for places in runs.places]
    picks = [np.sort(rng.choice(total, min(total, PLACES), replace=False)) for total in totals]
    weights = [matrix.astype(SINGLE) for matrix in instance.target_weights]
    biases = None if instance.biases is None else [bias.astype(SINGLE) for bias in instance.biases]
    first: list[np.ndarray] = []
    picked: list[list[np.ndarray]] = [[] for _ in totals]
    answers, kept = [], list[list[np.ndarray]]([[] for _ in totals])
    for part in runs.chunks(len(inputs)):
        for n, (received, signals) in enumerate(runs.run(weights, biases, inputs[part])):
            at = within(picks[n], part, runs.places[n])
            picked[n].append(signals[at])
            if n == 0:
                first.append(received[at])
            if every:
                kept[n].append(signals)
        answers.append(runs.answered(signals))
    start = np.ascontiguousarray(np.concatenate(first).T)
    taught = Taught(inputs, picks, start, np.concatenate(answers), [np.concatenate(all_) for all_ in kept if all_])
    wanted = [np.ascontiguousarray(np.concatenate(parts).T) for parts in picked]
    varies = (start != 0).any(axis=1)
    return [layer_task(instance, n, varies, signals, threads) for n, signals in enumerate(wanted)], taught


def within(picks: np.ndarray, part: slice, places: int) -> np.ndarray:
    """The picks among the rows of some samples, counted from the first of those."""
    ends = np.searchsorted(picks, [part.start * places, part.stop * places])
    return np.asarray(picks[ends[0] : ends[1]] - part.start * places)


class RunState(State):
    """A state whose signals are of all samples x places, while `activity` is what layers receive where they are fitted.

    Before the first layer is mapped, what it receives is that of the trained network, which recurrent cells hear.
    """

    def __init__(self, instance: NetworkInstance, tasks: list[LayerTask], taught: Taught) -> None:
        self.instance, self.tasks, self.taught, self.layers = instance, tasks, taught, []
        self.hardware_biases = instance.biases is None
        self.activity, self._kept = [taught.first[tasks[0].columns]], {}

    def empty(self) -> RunState:
        return RunState(self.instance, self.tasks, self.taught)

    def run(self, n: int, scale: np.ndarray | None = None) -> None:
        task, mapped = self.tasks[n], self.layers[n]
        if task.given is not None:
            mapped.bias[:] = task.given
        elif task.centred and scale is not None:
            wired = (mapped.weights @ self.activity[n]).mean(axis=1)
            mapped.bias[:] = task.shift + (task.signals.mean(axis=1) - task.shift) / scale - wired
        self.follow(n, self.trial(n))
        self.renew(n)

    def matrices(self) -> list[Any]:
        """Full weights of every mapped layer."""
        found = []
        for task, mapped in zip(self.tasks, self.layers, strict=False):
            full = np.zeros((len(mapped.gain), task.layer.target.n_inputs), SINGLE)
            full[:, task.columns] = mapped.weights
            found.append(full)
        return found

    @property
    def biases(self) -> list[np.ndarray] | None:
        """Digital biases of every mapped layer; None where they are hardware."""
        return None if self.hardware_biases else [mapped.bias.astype(SINGLE) for mapped in self.layers]

    def begun(self, n: int, samples: int) -> Iterator[tuple[slice, np.ndarray]]:
        """So many samples, some at a time: which they are, and what a run that begins with layer n is given."""
        start = self.taught.inputs if n == 0 else self.layers[n - 1].signals
        each = len(start) // len(self.taught.inputs)
        for part in self.instance.runs.chunks(samples):
            yield part, start[part.start * each : part.stop * each]

    def trial(self, n: int) -> list[Any]:
        """Signals of the layers from n on, with the state's weights and biases."""
        matrices, biases = self.matrices(), self.biases
        found: list[list[np.ndarray]] = [[] for _ in matrices[n:]]
        for _, rows in self.begun(n, len(self.taught.inputs)):
            for kept, (_, signals) in zip(found, self.instance.runs.run(matrices, biases, rows, n), strict=False):
                kept.append(signals)
        return [np.concatenate(parts) for parts in found]

    def follow(self, n: int, signals: list[Any]) -> None:
        """Take over the signals of the layers from n on; `renew` then says what layers receive."""
        for mapped, made in zip(self.layers[n:], signals, strict=True):
            mapped.signals = made

    def renew(self, n: int = 0) -> None:
        """What layers receive where they are fitted, from n on, by the signals as they are."""
        for at in range(n, min(len(self.layers) + 1, len(self.tasks))):
            self.activity[at:] = [self._received(at)]

    def _received(self, n: int) -> np.ndarray:
        """What layer n receives where it is fitted, (columns, picks)."""
        runs, picks, columns, found = self.instance.runs, self.taught.picks[n], self.tasks[n].columns, []
        matrices, biases = self.matrices(), self.biases  # of gates what they receive depends on their own
        for part, rows in self.begun(n, len(self.taught.inputs)):
            received = runs.received(n, rows, matrices, biases)
            found.append(received[within(picks, part, runs.places[n])][:, columns])
        return np.ascontiguousarray(np.concatenate(found).T)
