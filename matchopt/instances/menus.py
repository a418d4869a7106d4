"""What can be written into the cells of a chip: a range of values, or a few levels, each with its variance."""

from typing import Any

import numpy as np

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import filled, frozen, is_constant

FIELDS = ("low", "high", "write_variance", "levels", "level_variance")


def checked_menus(
    shape: tuple[int, ...], low: Any, high: Any, write_variance: Any, levels: Any, level_variance: Any
) -> dict[str, np.ndarray]:
    """The fields of `Hardware` by these names, checked and read-only; what is None, or pads levels, is filled in.

    Raises InvalidInstance naming the field that is wrong.
    """
    ends = {"low": low, "high": high}
    found = {name: _with_gaps(value, f"hardware.{name}", shape) for name, value in ends.items()}
    low, high = found.values()
    ranged = ~np.isnan(low)
    _refuse(ranged != ~np.isnan(high), "low and hardware.high must be NaN for the same cells, found one number", low)
    _refuse(low > high, "low must be <= hardware.high, found", low)
    found["write_variance"] = filled(write_variance, "hardware.write_variance", float, shape, 0.0)
    _refuse(found["write_variance"] < 0.0, "write_variance must be >= 0, found", found["write_variance"])
    level_variance = None if np.size(level_variance) == 0 else level_variance  # of cells that had no levels before
    if levels is None and level_variance is not None:
        raise InvalidInstance("hardware.level_variance is of hardware.levels, which are not given")
    none = np.zeros((*shape, 0))
    levels = frozen(none if levels is None else levels, "hardware.levels", float, 3, shape=(*shape, None), finite=False)
    _refuse(np.isinf(levels), "levels must be finite, or NaN behind the last one, found", levels)
    ordered = np.sort(levels, axis=2)
    _refuse((ordered[:, :, 1:] == ordered[:, :, :-1]).any(axis=2), "levels of a cell must differ, found", levels)
    both = ranged & ~np.isnan(levels).all(axis=2) if levels.shape[2] else np.zeros(shape, bool)
    _refuse(both, "levels and a range are given for one cell, give one of them; found the range from", low)
    given = np.zeros(levels.shape) if level_variance is None else level_variance
    spread = frozen(given, "hardware.level_variance", float, 3, shape=levels.shape, finite=False)
    spread = np.where(np.isnan(levels), 0.0, spread)
    _refuse(~((spread >= 0.0) & (spread < np.inf)), "level_variance must be finite and >= 0, found", spread)
    spread.flags.writeable = False
    return {**found, "levels": levels, "level_variance": spread}


def stored_menus(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of the fields that are not at their defaults."""
    kept = {name: fields[name] for name in ("low", "high") if not _is_empty(fields[name])}
    if not is_constant(fields["write_variance"], 0.0):
        kept["write_variance"] = fields["write_variance"]
    if fields["levels"].shape[2]:
        kept["levels"] = fields["levels"]
    return kept | ({} if is_constant(fields["level_variance"], 0.0) else {"level_variance": fields["level_variance"]})


def some_programmable(low: np.ndarray, levels: np.ndarray) -> bool:
    """Whether any cell can be written."""
    return not (_is_empty(low) and bool(np.isnan(levels).all()))


def _with_gaps(value: Any, field: str, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers, or NaN."""
    if value is None or (isinstance(value, np.ndarray) and value.shape == shape and _is_empty(value)):
        return np.broadcast_to(np.nan, shape)
    array = frozen(value, field, float, len(shape), shape=shape, finite=False)
    _refuse(np.isinf(array), f"{field.removeprefix('hardware.')} must be finite, or NaN, found", array)
    return array


def _is_empty(array: np.ndarray) -> bool:
    """Whether every entry is NaN; immediate for views of one number."""
    return bool(np.isnan(array.reshape(-1)[:1] if array.size and not any(array.strides) else array).all())


def _refuse(wrong: np.ndarray, what: str, values: np.ndarray) -> None:
    """Raise InvalidInstance for the first cell, or level of one, that is wrong."""
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0].tolist())
        raise InvalidInstance(f"hardware.{what} {values[at]} at neuron {at[0]}, cell {at[1]}")
