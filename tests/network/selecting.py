"""What the tests of training by selection have in common."""

import numpy as np

from matchopt.instances.architecture import FullyConnected
from matchopt.instances.network import DataReference
from matchopt.network import ImageData
from matchopt.network.forward import logits
from matchopt.network.training.method import Setting

from .conftest import toy_data


def setting_of(architecture, data=None, seed=0, device="cpu"):
    """A setting; `architecture` may be widths."""
    if isinstance(architecture, tuple):
        architecture, data = FullyConnected(architecture), data or toy_data(architecture[0], architecture[-1])
    return Setting(data, architecture, device, *np.random.default_rng(seed).spawn(3))


def image_data(shape, classes=3, train=12, seed=0):
    """A toy data set of samples of some shape."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape))
    parts = [(rng.random((n, size), np.float32), rng.integers(0, classes, n)) for n in (train, 4, 4)]
    return ImageData(*parts[0], *parts[1], *parts[2], classes, DataReference("toy", "0" * 64), shape)


def flat_weights(network):
    """All weights, matrix by matrix."""
    return np.concatenate([layer.weights.ravel() for layer in network.layers])


def gradient_by_autograd(architecture, weights, data, batch):
    """Derivative of the mean cross-entropy by all weights, biases zero; torch, in double precision."""
    import torch

    flat = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
    ends = np.cumsum([0, *(m * n for m, n in architecture.matrices)])
    matrices = [flat[a:b].view(s) for a, b, s in zip(ends, ends[1:], architecture.matrices, strict=False)]
    biases = [torch.zeros(m, dtype=torch.float64) for m, _ in architecture.matrices]
    found = logits(architecture, matrices, biases, torch.tensor(data.train_images[batch], dtype=torch.float64))
    torch.nn.functional.cross_entropy(found, torch.from_numpy(data.train_labels[batch])).backward()
    return flat.grad.numpy()


class AsOnAnotherDevice:
    """Makes runs on the CPU keep everything in tensors, as they do on other devices; use as a context."""

    def __enter__(self):
        import pytest

        from matchopt.network.training import selection, slot_choice, tensors
        from matchopt.network.training.autograd import TorchModel

        class Tensors(TorchModel):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                self.values, self.gradient = self.flat, self._slope

        self._patch = pytest.MonkeyPatch()
        for module in (tensors, slot_choice):
            self._patch.setattr(module, "is_cpu", lambda device: False)
        self._patch.setattr(selection, "choose", Tensors)

    def __exit__(self, *error):
        self._patch.undo()
