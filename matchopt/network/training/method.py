"""What a training method is made of: phases, an update per step, and a state that the loop can keep."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float32

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Architecture, Recurrent
from matchopt.network.data import ImageData
from matchopt.network.sparse_network import SparseNetwork
from matchopt.network.training.masked import MaskedModel
from matchopt.network.training.model import Model, Shapes
from matchopt.network.training.optimisers import Rule
from matchopt.network.training.starts import he_normal
from matchopt.parts import Json, Parts


@dataclass(frozen=True, eq=False)
class Setting:
    """What a run begins with.

    Parameters
    ----------
    data : the data set.
    architecture : which network is trained.
    device : where.
    start : draws the initial weights, and whatever else is drawn before training.
    chance : draws everything during training; the loop keeps its state in checkpoints.
    noise : seeds what the architecture leaves to chance, such as dropout; likewise.
    """

    data: ImageData
    architecture: Architecture
    device: str
    start: np.random.Generator
    chance: np.random.Generator
    noise: np.random.Generator

    @property
    def shapes(self) -> Shapes:
        """Rows and columns of every weight matrix."""
        return self.architecture.matrices

    def initial(self) -> Float32[np.ndarray, " p"]:
        """Draw the usual start: weights N(0, 2 / inputs), zero biases; one flat vector."""
        return he_normal(self.shapes, self.start)

    def model(
        self, rule: Rule, parameters: Float32[np.ndarray, " p"] | None = None, zeros_unused: bool = False
    ) -> MaskedModel:
        """A network with all weights in use and an optimiser.

        Parameters
        ----------
        rule : `Adam` or `Sgd` with its settings.
        parameters : weights matrix by matrix, then all biases; None draws `initial`.
        zeros_unused : see `MaskedModel`.
        """
        values = self.initial() if parameters is None else parameters
        return MaskedModel(self.architecture, values, rule, self.device, self.noise, zeros_unused)


@dataclass(frozen=True)
class Phase:
    """A part of training: its name, number of epochs (0: left out), and samples per step."""

    name: str
    epochs: int
    batch_size: int


class Step(NamedTuple):
    """Where training is when a method updates.

    Parameters
    ----------
    number : steps done in this phase, this one included: 1 .. total.
    total : steps of this phase.
    phase : number of the phase, from 0.
    images, labels, batch : the samples that the gradient was taken of are those numbered in `batch`.
    """

    number: int
    total: int
    phase: int
    images: np.ndarray
    labels: np.ndarray
    batch: np.ndarray

    @property
    def done(self) -> float:
        """Share of the phase that was over before this step, 0 .. 1 (1 excluded); for learning rates."""
        return (self.number - 1) / self.total


class Method(ABC):
    """One run of a training method; a new object per run.

    Parameters
    ----------
    net : the network in training.
    phases : the parts of training, in order; fixed from the start.
    kept : names of the attributes, besides `net`, that change during training: arrays, or values that JSON can hold.
        Checkpoints keep them; they must exist from the start.
    """

    kept: ClassVar[tuple[str, ...]] = ()
    net: Model
    phases: tuple[Phase, ...]

    def enter(self, phase: int) -> None:
        """Get ready for the phase of this number; called before its first step."""
        del phase

    @abstractmethod
    def step(self, at: Step) -> None:
        """Update `net`, whose `gradient` is that of a new batch."""

    def network(self) -> SparseNetwork:
        """What has been trained so far, without a record."""
        return self.net.network()

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of connections in use, per matrix."""
        return self.net.counts

    def state(self) -> Parts:
        """Everything that changes during training."""
        facts: dict[str, Json] = {}
        arrays: dict[str, np.ndarray] = {}
        for name in self.kept:
            value: Any = getattr(self, name)
            if isinstance(value, np.ndarray):
                arrays[name] = value
            elif hasattr(value, "cpu"):  # a tensor
                arrays[name] = value.cpu().numpy()
            else:
                facts[name] = value
        return Parts.merging(net=self.net.state(), own=Parts(facts, arrays))

    def restore(self, state: Parts) -> None:
        """Go back to `state`, which a run of the same options gave."""
        self.net.restore(state.part("net"))
        own = state.part("own")
        for name in self.kept:
            value: Any = own.facts.get(name)
            if name in own.arrays:
                value, before = np.array(own.arrays[name]), getattr(self, name)
                value = before.new_tensor(value) if hasattr(before, "new_tensor") else value
            setattr(self, name, value)


def check_fit(data: ImageData, architecture: Architecture) -> None:
    """Raise InvalidOption unless a network of this architecture takes the data's samples and gives its classes."""
    wanted, found = (data.n_pixels, data.n_classes), (architecture.n_inputs, architecture.n_classes)
    if wanted != found:
        shown = getattr(architecture, "widths", f"{found[0]} inputs and {found[1]} classes")
        raise InvalidOption(
            f"widths must begin with {wanted[0]} and end with {wanted[1]} for {data.reference.name}, found {shown}"
        )
    if min(min(shape) for shape in architecture.matrices) < 1:
        raise InvalidOption(f"widths must all be at least 1, found {getattr(architecture, 'widths', ())}")
    per_frame = data.train_labels.ndim > 1
    if per_frame != (isinstance(architecture, Recurrent) and architecture.readout == "every"):
        labels, advice = ("a label per frame", "one that ends in -every, such as lstm:128-every")
        if not per_frame:
            labels, advice = ("one label per sample", "one that does not end in -every")
        raise InvalidOption(f"{data.reference.name} has {labels}; it needs an architecture to match, {advice}")
