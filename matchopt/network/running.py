"""Running a network: fully connected ones by numpy, all others by torch where it is installed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import MissingExtra
from matchopt.instances import signals
from matchopt.instances.architecture import Architecture, FullyConnected

POSITIONS = 20_000  # rows of patches or frames per layer that are looked at; bounds memory
Matrices = Sequence[Float[np.ndarray, "_ _"]]
Vectors = Sequence[Float[np.ndarray, " _"]]


class Runnable:
    """What can be run: an architecture, and running statistics of batch normalisation by name."""

    architecture: Architecture
    buffers: Mapping[str, Float[np.ndarray, " _"]]

    if TYPE_CHECKING:  # fields of some networks, computed by others

        @property
        def weights(self) -> Matrices:
            """One matrix (units x inputs) per layer."""

        @property
        def biases(self) -> Vectors:
            """One vector per layer."""

    @property
    def matrices(self) -> Sequence[Any]:
        """The weights as they are held: full, or compressed rows (`scipy.sparse`) where these are faster."""
        return self.weights

    def logits(self, inputs: Float[np.ndarray, "samples inputs"]) -> Float[np.ndarray, "samples *frames classes"]:
        """The values before the softmax, one row per sample (and frame), computed in the precision of the weights.

        Raises
        ------
        MissingExtra
            when the layers are not fully connected and torch is not installed.
        """
        if isinstance(self.architecture, FullyConnected):
            return signals.logits(matrices := self.matrices, self.biases, inputs, matrices[0].dtype)
        found: np.ndarray = _forward().predict(self.architecture, self.weights, self.biases, inputs, self.buffers)
        return found

    def layer_inputs(
        self, inputs: Float[np.ndarray, "samples inputs"], most: int = POSITIONS
    ) -> tuple[Float[np.ndarray, "_ _"], ...]:
        """What every layer receives, in double precision: one row per sample, or per sample and position.

        Parameters
        ----------
        inputs : samples, flattened.
        most : rows of patches or frames per layer; where there are more, so many are drawn, always the same.

        Raises
        ------
        MissingExtra
            see `logits`.
        """
        if isinstance(self.architecture, FullyConnected):
            exact = [matrix.astype(np.float64) for matrix in self.matrices]
            return tuple(received for received, _ in signals.run(exact, self.biases, inputs))
        forward = _forward()
        matrices, vectors, statistics = forward.as_tensors(self.weights, self.biases, self.buffers)
        rows = forward.as_tensors([np.asarray(inputs, np.float32)], [])[0][0]
        received = forward.layer_inputs(self.architecture, matrices, vectors, rows, most, buffers=statistics)
        return tuple(part.numpy().astype(np.float64) for part in received)


def _forward() -> Any:
    try:
        from matchopt.network import forward
    except ModuleNotFoundError as cause:
        if cause.name != "torch":
            raise
        raise MissingExtra("running a convolutional or recurrent network", "torch", "torch") from None
    return forward
