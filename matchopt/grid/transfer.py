"""How much a network changes from one epoch to the next: correlations of its weights and of its activity."""

import numpy as np
from jaxtyping import Float

from matchopt.network import EpochRecord, ImageData, SparseNetwork

SAMPLES = 1_000  # validation images on which activity is compared


class Correlations:
    """Watches a training, as an observer of its epochs.

    Weights: Pearson's correlation between the whole weight matrices of successive epochs, zeros included. Activity:
    the correlation between the outputs of a layer on the same images, all units together.

    Parameters
    ----------
    data : its validation images are used; labels are not.

    References
    ----------
    Bellec, Kappel, Maass, Legenstein 2018, arXiv 1711.05136, section 4 (transfer).
    """

    def __init__(self, data: ImageData) -> None:
        self._images = data.validation_images[:SAMPLES]
        self._weights: list[np.ndarray] = []
        self._activity: list[np.ndarray] = []
        self._found: dict[str, list[float | None]] = {}

    def __call__(self, record: EpochRecord, network: SparseNetwork) -> None:
        """Compare the network with that of the epoch before."""
        del record
        weights = [layer.weights.astype(np.float64).ravel() for layer in network.layers]
        hidden = [received.ravel() for received in network.layer_inputs(self._images)[1:]]
        activity = [*hidden, network.logits(self._images).astype(np.float64).ravel()]
        for name, now, before in (("weight", weights, self._weights), ("activity", activity, self._activity)):
            for number, values in enumerate(now, start=1):
                last = before[number - 1] if before else None
                self._found.setdefault(f"{name}_correlation_{number}", []).append(
                    None if last is None else correlation(values, last)
                )
        self._weights, self._activity = weights, activity

    def series(self) -> dict[str, list[float | None]]:
        """The correlations after every epoch, by name; None for the first, which has none before it."""
        return self._found


def correlation(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Pearson's coefficient, -1 .. 1; 0 where one side is constant."""
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else 0.0
