"""Numbers on any device: numpy arrays in single precision on a CPU, torch tensors elsewhere. Loads without torch."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor as Tensor
else:
    Tensor = Any


def is_cpu(device: str) -> bool:
    """Whether a device of torch is a CPU, where arrays are numpy's."""
    return device.partition(":")[0] == "cpu"


def on_cpu(values: Any) -> np.ndarray:
    """The same as a numpy array."""
    found: np.ndarray = values if isinstance(values, np.ndarray) else values.cpu().numpy()
    return found


def on_device(array: np.ndarray, device: str) -> Any:
    """The array as it is for a CPU, as a tensor for another device."""
    return array if is_cpu(device) else as_tensor(array).to(device)


def as_tensor(values: Any) -> Tensor:
    """A tensor in the memory of `values`, numpy or tensor."""
    import torch

    found: Tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    return found


def like(array: np.ndarray, values: Any) -> Any:
    """The array where `values` are: numpy, or a tensor on their device."""
    return array if isinstance(values, np.ndarray) else values.new_tensor(array)


def put(values: Any, found: np.ndarray) -> None:
    """Overwrite `values`, numpy or tensor."""
    values[:] = like(found, values)
