"""Networks of any architecture in training on any device, by torch's automatic differentiation."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from matchopt.errors import InvalidOption
from matchopt.instances.architecture import Architecture
from matchopt.network import forward
from matchopt.network.data.images import IGNORED
from matchopt.network.training.model import Batch, Images, Labels, Model, split
from matchopt.network.training.tensors import on_cpu, put
from matchopt.parts import Parts


class TorchModel(Model):
    """All weights of every matrix take part; parameters are views of one flat tensor.

    Parameters
    ----------
    architecture : which network.
    values : the parameters, weights matrix by matrix, then all biases.
    device : where it trains.
    rng : seeds what the architecture leaves to chance in training, such as dropout.
    flat : the parameters as a tensor on every device; `values` shares its memory.
    """

    def __init__(
        self, architecture: Architecture, values: Float32[np.ndarray, " p"], device: str, rng: np.random.Generator
    ) -> None:
        self.architecture, self.shapes, self.device = architecture, architecture.matrices, device
        self.flat = torch.tensor(values, device=device)
        self._slope = torch.zeros_like(self.flat)
        on_cpu = self.flat.device.type == "cpu"
        self.values = self.flat.numpy() if on_cpu else self.flat
        self.gradient = self._slope.numpy() if on_cpu else self._slope
        free = ([part.detach().requires_grad_() for part in parts] for parts in split(self.flat, self.shapes))
        self._weights, self._biases = free
        slopes, bias_slopes = split(self._slope, self.shapes)
        for parameter, slope in zip((*self._weights, *self._biases), (*slopes, *bias_slopes), strict=True):
            parameter.grad = slope
        self._running = forward.fresh_buffers(architecture, device)
        self._rng, self._generator = rng, torch.Generator(device)
        self._held: dict[int, tuple[Any, Tensor]] = {}

    def loss(self, images: Images, labels: Labels, batch: Batch) -> Any:
        inputs, wanted = self._rows(images, batch), self._rows(labels, batch)
        # A seed per batch: the state of torch's generators cannot be kept across devices and versions.
        self._generator.manual_seed(int(self._rng.integers(2**62)))
        self._slope.zero_()
        parameters = (self._weights, self._biases)
        found = forward.logits(self.architecture, *parameters, inputs, True, self._generator, self._running)
        loss = functional.cross_entropy(found.flatten(0, -2), wanted.flatten(), ignore_index=IGNORED)
        loss.backward()
        found = loss.detach()
        return found.item() if found.device.type == "cpu" else found

    def probe(self, images: Images, labels: Labels, batch: Batch) -> Float32[np.ndarray, " p"]:
        """See `Model.probe`: neither running statistics nor what chance decides next are moved."""
        running, chance = {name: tensor.clone() for name, tensor in self._running.items()}, self._rng.bit_generator
        state = chance.state
        found = super().probe(images, labels, batch)
        self._running, chance.state = running, state
        return found

    def logits(self, inputs: Float[np.ndarray, "samples values"]) -> Float32[np.ndarray, "samples *frames classes"]:
        """The values before the softmax, as validation sees them: nothing is left to chance."""
        return forward.in_chunks(self.architecture, self._weights, self._biases, inputs, self._running)

    def classifier(self) -> "TorchModel":
        """See `Model.classifier`: this model, on its device."""
        return self

    @property
    def buffers(self) -> dict[str, np.ndarray]:
        return {name: on_cpu(tensor) for name, tensor in self._running.items()}

    def restore(self, state: Parts) -> None:
        super().restore(state)
        for name, tensor in self._running.items():
            put(tensor, state.arrays[f"buffers.{name}"])

    def _rows(self, array: np.ndarray, batch: Batch) -> Tensor:
        """Some rows on the device; read-only arrays, which data sets consist of, are carried over whole, and once."""
        if self.flat.device.type == "cpu" or array.flags.writeable:
            return torch.from_numpy(array[batch]).to(self.device)
        if id(array) not in self._held:
            if len(self._held) > 3:  # labels that change every epoch
                self._held.clear()
            self._held[id(array)] = (array, torch.tensor(array, device=self.device))
        return self._held[id(array)][1][torch.from_numpy(batch).to(self.device)]


def check_device(device: str) -> None:
    """Raise InvalidOption unless torch can compute on `device`."""
    try:
        torch.zeros(1, device=device).item()  # some devices hold no numbers
        torch.Generator(device)
    except (RuntimeError, AssertionError, NotImplementedError) as cause:
        reason = str(cause).strip().splitlines()[0]
        raise InvalidOption(f"device {device!r} is not there ({reason}); use device cpu") from None
