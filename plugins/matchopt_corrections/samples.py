"""The sample inputs an instance brings, whatever its objective; and a part of them set aside."""

from dataclasses import dataclass

import numpy as np

from matchopt import NetworkInstance

# Every rule, for the wiring stays as it is; of networks the fully connected ones.
UNDERSTOOD = frozenset({
    "importance", "read-noise", "unusable-cells", "leak", "shared-bus", "several-cells", "drop", "extra-inputs",
    "gains", "gain-interval", "tunable", "output-error", "correlated-inputs", "task-loss", "functional-error",
    "score-error", "hardware-bias", "adjustable-bias", "network-tunable",
})  # fmt: skip
HELD_OUT = 0.1  # share of the samples on which a correction is judged


@dataclass(frozen=True, eq=False)
class Samples:
    """Sample inputs as they are stored; the network receives `inputs * scale`."""

    inputs: np.ndarray
    scale: float = 1.0

    def rows(self, which: np.ndarray) -> np.ndarray:
        """What the network receives, as float64."""
        return np.asarray(self.inputs[which], np.float64) * self.scale


def samples_of(instance: NetworkInstance) -> Samples:
    """The samples of the objective, else those embedded for judging; there are some where `lacks_samples` is None."""
    if instance.objective is not None:
        return Samples(instance.objective.inputs, instance.objective.scale)
    assert instance.samples is not None
    return Samples(instance.samples)


def lacks_samples(instance: NetworkInstance) -> str | None:
    """Why nothing can be fitted to an instance, or None."""
    if instance.objective is None and (instance.samples is None or len(instance.samples) == 0):
        return "it has no sample inputs to fit a correction to; export it with samples or with an objective on samples"
    return None


def split(count: int, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the samples to fit to and of those to judge by: 10 % of them, at least one, in random order.

    Parameters
    ----------
    count : samples there are, >= 1; a single one serves both.
    most : most samples to use, 0 for all.
    rng : draws the order.
    """
    order = rng.permutation(count)[: most or count]
    held = max(1, round(HELD_OUT * len(order)))
    return (order, order) if len(order) == 1 else (order[held:], order[:held])
