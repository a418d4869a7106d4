"""All randomness of a run, from one seed; streams whose state is kept between two epochs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from matchopt.parts import Json

LABELS = 1_000  # first of the spawn keys that belong to permutations of the labels, one per epoch


@dataclass(frozen=True, eq=False)
class Streams:
    """One generator per purpose, so that what one draws does not change what another does.

    Parameters
    ----------
    seed : the seed of the run.
    start : draws the initial weights.
    order : shuffles the samples.
    chance : is the method's.
    noise : is the architecture's, such as for dropout.
    change : is the transformation's of training batches.
    """

    seed: int
    start: np.random.Generator
    order: np.random.Generator
    chance: np.random.Generator
    noise: np.random.Generator
    change: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> "Streams":
        """The streams of a seed."""
        return cls(seed, *np.random.default_rng(seed).spawn(5))

    def classes(self, epoch: int, count: int) -> Int64[np.ndarray, " classes"]:
        """The permutation of classes in an epoch; needs no state."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(LABELS + epoch,))
        return np.random.default_rng(sequence).permutation(count)

    def state(self) -> dict[str, Json]:
        """Where the streams that training draws from are, as JSON."""
        return {name: getattr(self, name).bit_generator.state for name in ("order", "chance", "noise", "change")}

    def restore(self, state: Any) -> None:
        """Go back to where `state` was taken."""
        for name, found in state.items():
            getattr(self, name).bit_generator.state = found
