"""Running statistics of batch normalisation: numbers of a network that are neither weights nor biases."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture
from matchopt.instances.arrays import frozen
from matchopt.parts import exact_keys

Buffers = Mapping[str, Float[np.ndarray, " _"]]


def frozen_buffers(architecture: Architecture | None, buffers: Mapping[str, Any]) -> Buffers:
    """Read-only copies by name.

    Raises
    ------
    InvalidInstance
        when they are not those that `architecture` lists (None lists none), or a variance is negative.
    """
    shapes = {} if architecture is None else architecture.buffers
    exact_keys(buffers, set(shapes), set(), "buffers", InvalidInstance)
    kept = {}
    for name, shape in shapes.items():
        kept[name] = frozen(buffers[name], f"buffers.{name}", float, 1, shape=shape)
        if name.startswith("variance") and (kept[name] < 0).any():
            raise InvalidInstance(f"buffers.{name} must be >= 0, found {kept[name].min()}")
    return MappingProxyType(kept)
