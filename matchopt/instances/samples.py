"""Sample inputs kept as compactly as they came: the images of a data set as bytes, one factor beside them."""

from typing import Any

import numpy as np
from jaxtyping import Float, Num

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import frozen
from matchopt.settings import PositiveFloat, checked

CHUNK = 5_000  # samples at a time: some tens of megabytes per layer of a few hundred units, however many there are
_KEPT = (np.dtype(np.uint8), np.dtype(np.float32))


def compact(value: Any, field: str) -> Num[np.ndarray, "samples inputs"]:
    """Return a read-only copy of sample inputs; uint8, float32 and float64 keep their type, all else becomes float64.

    Raises InvalidInstance naming `field`, when there is no sample, or the values are no finite numbers in two
    dimensions.
    """
    kept = isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype in _KEPT
    if kept:
        if value.dtype.kind == "f" and not bool(np.isfinite(value).all()):
            raise InvalidInstance(f"{field} must be finite")
        array: np.ndarray = np.array(value, order="C")
        array.flags.writeable = False
    else:
        array = frozen(value, field, float, 2)
    if len(array) == 0:
        raise InvalidInstance(f"{field} must hold at least one sample, found none")
    return array


def positive_scale(value: Any, field: str) -> float:
    """Return the factor on sample inputs as a float, or raise InvalidInstance unless it is finite and above 0."""
    scale: float = checked(value, PositiveFloat, field, InvalidInstance)
    return scale


def scaled_rows(inputs: Num[np.ndarray, "samples inputs"], scale: float, which: Any) -> Float[np.ndarray, "..."]:
    """The samples `which` (an index, a slice or an array of numbers) times `scale`, as float64."""
    if scale == 1.0:
        return np.asarray(inputs[which], dtype=np.float64)
    return np.asarray(np.multiply(inputs[which], scale, dtype=np.float64))


def scaled_columns(inputs: Num[np.ndarray, "samples inputs"], scale: float, which: Any) -> Float[np.ndarray, "..."]:
    """The same, laid out so that the samples of one input are next to each other: sparse layers read it so."""
    chosen = np.ascontiguousarray(inputs[which].T)
    return np.asarray(np.multiply(chosen, scale, dtype=np.float64)).T
