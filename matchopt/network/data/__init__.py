"""Data sets for training and accuracy, all loaded as `ImageData`; one module each."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from matchopt.network.data.images import ImageData as ImageData
from matchopt.network.data.mnist import load_fashion_mnist as load_fashion_mnist
from matchopt.network.data.mnist import load_mnist as load_mnist

if TYPE_CHECKING:
    from matchopt.network.data.augmentation import Augmentation as Augmentation
    from matchopt.network.data.augmentation import CropAugmentation as CropAugmentation
    from matchopt.network.data.augmentation import augmentation_for as augmentation_for
    from matchopt.network.data.cifar10 import load_cifar10 as load_cifar10
    from matchopt.network.data.cifar10 import load_cifar10_jpeg as load_cifar10_jpeg
    from matchopt.network.data.fsdd import load_fsdd as load_fsdd
    from matchopt.network.data.registry import find_data as find_data
    from matchopt.network.data.registry import load_data as load_data
    from matchopt.network.data.timit import load_timit as load_timit

_MODULES = {
    "Augmentation": "augmentation",
    "CropAugmentation": "augmentation",
    "augmentation_for": "augmentation",
    "find_data": "registry",
    "load_cifar10": "cifar10",
    "load_cifar10_jpeg": "cifar10",
    "load_data": "registry",
    "load_fsdd": "fsdd",
    "load_timit": "timit",
}


def __getattr__(name: str) -> Any:
    """Load a module when one of its names is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
