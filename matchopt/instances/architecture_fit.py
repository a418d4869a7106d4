"""Whether weight matrices and running statistics are those of an architecture."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from matchopt.errors import InvalidInstance
from matchopt.instances.architecture import Architecture, FullyConnected
from matchopt.instances.arrays import frozen
from matchopt.parts import exact_keys

Buffers = Mapping[str, Float[np.ndarray, " _"]]


def completed(architecture: Architecture | None, shapes: Sequence[tuple[int, int]], besides: str = "") -> Architecture:
    """The architecture of weight matrices: `architecture`, or where it is None the fully connected one they make.

    Raises InvalidInstance when there is no matrix, or they are not those of the architecture, or do not follow each
    other.

    Parameters
    ----------
    architecture : what they are said to be.
    shapes : rows and columns of each matrix.
    besides : what the columns leave out, for the messages.
    """
    if not shapes:
        raise InvalidInstance("layers: a network needs at least one layer, found none")
    if architecture is None:
        for n, (before, after) in enumerate(pairwise(shapes), start=1):
            if after[1] != before[0]:
                raise InvalidInstance(
                    f"layers.{n}: must take {before[0]} inputs, as the layer before has {before[0]} rows, "
                    f"found {after[1]}{besides}"
                )
        return FullyConnected((shapes[0][1], *(rows for rows, _ in shapes)))
    if tuple(shapes) != architecture.matrices:
        raise InvalidInstance(
            f"layers: the architecture has matrices of shapes {architecture.matrices}, found {tuple(shapes)}{besides}"
        )
    return architecture


def frozen_buffers(architecture: Architecture, buffers: Mapping[str, Any]) -> Buffers:
    """Read-only copies of running statistics of batch normalisation, by name.

    Raises InvalidInstance when they are not those that `architecture` lists, or a variance is negative.
    """
    shapes = architecture.buffers
    exact_keys(buffers, set(shapes), set(), "buffers", InvalidInstance)
    kept = {}
    for name, shape in shapes.items():
        kept[name] = frozen(buffers[name], f"buffers.{name}", float, 1, shape=shape)
        if name.startswith("variance") and (kept[name] < 0).any():
            raise InvalidInstance(f"buffers.{name} must be >= 0, found {kept[name].min()}")
    return MappingProxyType(kept)
