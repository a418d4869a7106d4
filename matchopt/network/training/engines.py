"""What runs below a network in training: which engine, and in what arithmetic. Loads without torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import numpy as np
from jaxtyping import Float32

from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.network.training.model import Model


def by_hand(architecture: Architecture, device: str) -> TypeGuard[FullyConnected]:
    """Whether there are engines faster than automatic differentiation: for fully connected networks on a CPU."""
    return isinstance(architecture, FullyConnected) and device == "cpu"


def choose(
    architecture: Architecture, values: Float32[np.ndarray, " p"], device: str, rng: np.random.Generator
) -> Model:
    """The engine that holds all weights: full matrices by hand, or `TorchModel`, which explains the parameters."""
    if by_hand(architecture, device):
        from matchopt.network.training.fully_connected import DenseModel

        return DenseModel(architecture.widths, values)
    from matchopt.network.training.autograd import TorchModel

    return TorchModel(architecture, values, device, rng)


@contextmanager
def steady_arithmetic(threads: int) -> Iterator[None]:
    """Train inside this: a fixed number of threads of torch, and numbers too small for full precision become zero.

    Moments of units that stopped learning become such numbers and slow every operation three to five times.
    Threads are put back on leaving.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)
