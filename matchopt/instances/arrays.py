"""Arrays that go into instances: converted once, checked once, read-only from then on."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance, MatchoptError

MAX_INDEX = 2**31 - 1  # rows, columns and cells are int32 in compiled kernels; larger is refused, never wrapped


def frozen(
    value: Any,
    field: str,
    dtype: type,
    ndim: int,
    *,
    shape: Sequence[int | None] | None = None,
    finite: bool = True,
    error: type[MatchoptError] = InvalidInstance,
) -> np.ndarray:
    """Return a read-only C-ordered copy of `value` as `dtype`, or raise an error that names `field`.

    Raises InvalidInstance (or `error`) when the value has the wrong type, number of dimensions, shape, or is not
    finite.

    Parameters
    ----------
    value : anything numpy can turn into an array; never kept, so later changes of it do not reach the instance.
    field : name of the field in messages, such as "target.weights".
    dtype : float, int or bool; an int field given whole floats is accepted, anything lossy is refused.
    ndim : number of dimensions the field must have.
    shape : expected lengths, None where any length will do.
    finite : whether NaN and infinities are refused.
    error : the exception to raise.
    """
    wanted = {float: np.float64, int: np.int64, bool: np.bool_}[dtype]
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError) as cause:
        raise error(f"{field} cannot be read as an array: {cause}") from None
    if raw.ndim != ndim:
        raise error(f"{field} must have {ndim} dimension(s), found shape {raw.shape}")
    kinds = {float: "biuf", int: "iuf", bool: "b"}[dtype] if raw.size else "biuf"
    if raw.dtype.kind not in kinds:
        raise error(f"{field} must hold {dtype.__name__} values, found type {raw.dtype}")
    if dtype is int and raw.dtype.kind == "f" and not bool(np.all(raw == np.round(raw))):
        raise error(f"{field} must hold whole numbers, found {_first(raw, raw != np.round(raw))}")
    if shape is not None and any(
        want is not None and want != have for want, have in zip(shape, raw.shape, strict=True)
    ):
        pretty = tuple("any" if want is None else want for want in shape)
        raise error(f"{field} must have shape {pretty}, found {raw.shape}")
    if dtype is int and raw.dtype.kind in "uf" and raw.size:
        beyond = [end for end in (raw.max(), raw.min()) if not -(2.0**63) <= float(end) < 2.0**63]
        if beyond:
            raise error(f"{field} must fit 64-bit integers, found {beyond[0]}")
    array: np.ndarray = np.array(raw, dtype=wanted, order="C")
    if finite and dtype is float and not bool(np.isfinite(array).all()):
        raise error(f"{field} must be finite, found {_first(array, ~np.isfinite(array))}")
    array.flags.writeable = False
    return array


class ReadOnly:
    """Copied or unpickled, it has read-only arrays and mappings again."""

    def __getstate__(self) -> dict[str, Any]:
        return {k: dict(value) if isinstance(value, MappingProxyType) else value for k, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            vars(self)[name] = MappingProxyType(value) if isinstance(value, dict) else value
            held = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            for array in held:
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False


def filled(value: Any, field: str, dtype: type, shape: tuple[int, ...], default: float) -> np.ndarray:
    """Return `value` frozen to `shape`, or a read-only view that is `default` everywhere and takes no memory."""
    if value is None:
        wanted = {float: np.float64, int: np.int64, bool: np.bool_}[dtype]
        return np.broadcast_to(np.asarray(default, dtype=wanted), shape)
    is_view = isinstance(value, np.ndarray) and not any(value.strides) and value.size
    if is_view and value.shape == shape and value.dtype == np.dtype(dtype):
        only = frozen(value.reshape(-1)[:1], field, dtype, 1)
        return np.broadcast_to(only[0], shape)
    return frozen(value, field, dtype, len(shape), shape=shape)


def is_constant(array: np.ndarray, value: float) -> bool:
    """Whether every entry equals `value`; immediate for the views `filled` makes."""
    if array.size and not any(array.strides):
        return bool(array.reshape(-1)[0] == value)
    return bool(np.all(array == value))


def _first(array: np.ndarray, wrong: np.ndarray) -> str:
    position = np.argwhere(wrong)[0]
    where = ", ".join(str(int(i)) for i in position)
    return f"{array[tuple(position)]} at position {where}"


def set_fields(owner: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass while it is made."""
    for name, value in values.items():
        object.__setattr__(owner, name, value)
