"""The samples of an objective: which inputs of them live, batches of them, and the part held out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matchopt import NetworkInstance, SampleObjective

CHUNK = 500  # samples run through the network at a time when it is judged


@dataclass(frozen=True, eq=False)
class Samples:
    """Sample inputs as compact as they came, without inputs that are 0 on all of them.

    Parameters
    ----------
    live : numbers of the inputs that are kept, ascending; with hardware biases the constant input is the last one.
    values : the kept inputs, shape (samples, kept inputs without the constant one), uint8 or float32.
    scale : the network receives `values * scale`.
    constant : whether an input that is always 1 follows.
    places : whether rows are seen at many places: then the values are all inputs of the network.
    training, held_out : numbers of the samples that are trained on and of those that judge; the same where there are
        too few to hold some out.
    """

    live: np.ndarray
    values: np.ndarray
    scale: np.float32
    constant: bool
    training: np.ndarray
    held_out: np.ndarray
    places: bool = False

    @classmethod
    def of(cls, instance: NetworkInstance, held_out: float, rng: np.random.Generator) -> "Samples":
        """The samples of the instance's objective; inputs that targets must listen to stay, whatever they are."""
        objective, first = instance.objective, instance.layers[0]
        assert objective is not None
        constant = instance.biases is None
        if not instance.runs.plain:
            return cls._at_places(instance, objective, *split(objective.counted, held_out, rng))
        kept = np.zeros(first.target.n_inputs, bool)
        kept[: instance.n_inputs] = (objective.inputs != 0).any(axis=0)
        if constant:
            kept[-1] = True
        if not (first.rules.drop and first.rules.extra_inputs):
            kept[first.target.indices] = True
        live = np.flatnonzero(kept)
        values = objective.inputs[:, live[:-1] if constant else live]
        if values.dtype != np.uint8:
            values = values.astype(np.float32)
        training, held = split(objective.counted, held_out, rng)
        return cls(live, np.ascontiguousarray(values), np.float32(objective.scale), constant, training, held)

    @classmethod
    def _at_places(
        cls, instance: NetworkInstance, objective: SampleObjective, training: np.ndarray, held: np.ndarray
    ) -> "Samples":
        """All inputs of the network; the first layer listens to all columns of its matrix."""
        values = objective.inputs if objective.inputs.dtype == np.uint8 else objective.inputs.astype(np.float32)
        every, constant = np.arange(instance.layers[0].target.n_inputs), instance.biases is None
        return cls(every, values, np.float32(objective.scale), constant, training, held, places=True)

    @property
    def all(self) -> np.ndarray:
        """Numbers of all samples, of those too that do not count."""
        return np.arange(len(self.values))

    def batches(self, lanes: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """The training samples in random order, `lanes` at a time; an incomplete batch at the end is left out."""
        order = rng.permutation(self.training)
        for start in range(0, len(order) - lanes + 1, lanes):
            yield order[start : start + lanes]


class Feed:
    """What the network receives for a few samples, in memory that is made once: fresh memory is slow to touch.

    Parameters
    ----------
    samples : where they are taken from.
    lanes : how many at a time.
    """

    def __init__(self, samples: Samples, lanes: int) -> None:
        self._samples = samples
        self._raw = np.zeros((lanes, samples.values.shape[1]), samples.values.dtype)
        width = samples.values.shape[1] if samples.places else len(samples.live)
        self.inputs = np.ones((lanes, width), np.float32)  # the constant input stays 1

    def load(self, which: np.ndarray) -> np.ndarray:
        """The inputs of the samples `which`, shape (lanes, live inputs); the next call overwrites them."""
        np.take(self._samples.values, which, axis=0, out=self._raw, mode="clip")
        np.multiply(self._raw, self._samples.scale, out=self.inputs[:, : self._raw.shape[1]], dtype=np.float32)
        return self.inputs


def split(which: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the samples that are trained on, and of those that judge: all of `which` where there are too few."""
    order = which[rng.permutation(len(which))]
    n_held = int(share * len(which))
    return order[n_held:], np.sort(order[:n_held]) if n_held else which


def chunks(which: np.ndarray, most: int = CHUNK) -> Iterator[np.ndarray]:
    """Pieces of at most `most` numbers."""
    return (which[start : start + most] for start in range(0, len(which), most))
