"""Networks whose weights are chosen among values that never change: what is trained is the choice."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float32

from matchopt.network.accuracy import Classifier
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.engines import choose
from matchopt.network.training.method import Setting
from matchopt.network.training.model import Batch, Images, Labels, Model, sparse_network
from matchopt.network.training.optimisers import Optimiser, Rule
from matchopt.network.training.tensors import on_cpu, put
from matchopt.parts import Parts


class Selection(ABC):
    """Says what every weight of a network is, and learns from the weights' gradient.

    All arrays are flat, matrix by matrix: numpy in single precision on a CPU, torch tensors on other devices.

    Parameters
    ----------
    values : what is trained, such as scores.
    rule : how an optimiser moves them.
    """

    def __init__(self, values: Any, rule: Rule) -> None:
        self.values, self.optimiser = values, Optimiser(rule, values)

    @abstractmethod
    def fill(self, weights: Any, training: bool) -> None:
        """Write all weights into `weights`, which is the same array in every call.

        Parameters
        ----------
        weights : what was written last, by this object or another.
        training : False asks for the weights of the trained network, which no chance decides.
        """

    @abstractmethod
    def step(self, gradient: Any, rate: float) -> None:
        """Take one step, given the derivative of the loss by the weights last filled in."""

    def mask(self) -> np.ndarray | None:
        """Which weights the trained network has, on the CPU; None for all."""
        return None

    @property
    def counts(self) -> tuple[int, ...] | None:
        """Number of weights that training uses, per matrix; None for all."""
        return None

    def state(self) -> Parts:
        """All that `restore` needs; may share memory with this object."""
        arrays = {"values": on_cpu(self.values), "moments": on_cpu(self.optimiser.moments)}
        return Parts(self.optimiser.facts(), arrays)

    def restore(self, state: Parts) -> None:
        """Go back to `state`, which an object made in the same way gave."""
        put(self.values, state.arrays["values"])
        self.optimiser = Optimiser.from_facts(state.facts, self.values, state.arrays["moments"])


class FreeWeights(Selection):
    """No choice: the weights themselves are trained."""

    def fill(self, weights: Any, training: bool) -> None:
        del training
        weights[:] = self.values

    def step(self, gradient: Any, rate: float) -> None:
        self.optimiser.step(self.values, gradient, rate)


class SelectedModel(Model):
    """A network whose weights a selection fills in; it has no biases.

    Parameters
    ----------
    setting : gives architecture, device, and the randomness of the architecture.
    selection : what fills the weights in; may be exchanged between two steps.
    """

    def __init__(self, setting: Setting, selection: Selection) -> None:
        self.architecture = setting.architecture
        self.shapes = setting.shapes
        self.selection = selection
        self.n_weights = sum(m * n for m, n in self.shapes)
        start = np.zeros(self.n_weights + sum(m for m, _ in self.shapes), np.float32)
        self._engine = choose(self.architecture, start, setting.device, setting.noise)

    @property
    def values(self) -> Any:
        """What is trained."""
        return self.selection.values

    @property
    def gradient(self) -> Any:
        """Derivative of the last batch's loss by the weights, whichever were filled in."""
        return self._engine.gradient[: self.n_weights]

    def step(self, rate: float) -> None:
        """Let the selection take a step on the last gradient."""
        self.selection.step(self.gradient, rate)

    def weights(self) -> Float32[np.ndarray, " weights"]:
        """A copy of the weights of the trained network, on the CPU."""
        return np.array(on_cpu(self._filled(training=False)))

    def loss(self, images: Images, labels: Labels, batch: Batch) -> Any:
        self._filled(training=True)
        return self._engine.loss(images, labels, batch)

    def network(self) -> SparseNetwork:
        self._filled(training=False)
        mask = self.selection.mask()
        used = np.ones(self.n_weights, bool) if mask is None else mask
        return sparse_network(self.architecture, on_cpu(self._engine.values), used, self._engine.buffers)

    def classifier(self) -> Classifier:
        self._filled(training=False)
        return self._engine.classifier()

    @property
    def counts(self) -> tuple[int, ...]:
        return self.selection.counts or super().counts

    def state(self) -> Parts:
        inner = self.selection.state()
        outer = {name: array for name, array in self._engine.state().arrays.items() if name != "values"}
        return Parts(inner.facts, {**inner.prefixed("selection"), **outer})

    def restore(self, state: Parts) -> None:
        self._engine.restore(Parts({}, {**state.arrays, "values": on_cpu(self._engine.values)}))
        self.selection.restore(Parts(state.facts, state.under("selection")))

    def _filled(self, training: bool) -> Any:
        weights = self._engine.values[: self.n_weights]
        self.selection.fill(weights, training)
        return weights
