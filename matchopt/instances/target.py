"""The trained sparse weights of one layer, one row per target neuron."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from matchopt.errors import InvalidInstance
from matchopt.instances.arrays import MAX_INDEX, ReadOnly, filled, frozen, is_constant, set_fields
from matchopt.instances.demands import asks, demands_of
from matchopt.parts import exact_keys


@dataclass(frozen=True, eq=False)
class Target(ReadOnly):
    """Sparse target weights W (m x n) with their importance Q, in compressed rows.

    A connection is an entry of the support; its weight may be zero. Connections are numbered in row order, and in
    ascending order of the input within a row: that number is the `e` of `LayerMapping.tunable`.

    Parameters
    ----------
    indptr : start of each row in the other arrays, shape (m + 1,), from 0, never falling.
    indices : input of each connection, in 0 .. n_inputs - 1, strictly rising within a row.
    weights : weight of each connection, finite, any unit the hardware weights share.
    n_inputs : number of inputs n of the layer.
    importance : weight of each squared error, >= 0; default 1 everywhere.

    Raises
    ------
    InvalidInstance
        naming the field that breaks one of these rules.
    """

    indptr: Int[np.ndarray, " rows_and_one"]
    indices: Int[np.ndarray, " connections"]
    weights: Float[np.ndarray, " connections"]
    n_inputs: int
    importance: Float[np.ndarray, " connections"] = None  # type: ignore[assignment]  # an array once made

    def __post_init__(self) -> None:
        indptr, indices = check_rows(self.indptr, self.indices, int(self.n_inputs), "target", "n_inputs")
        size = (len(indices),)
        weights = frozen(self.weights, "target.weights", float, 1, shape=size)
        importance = filled(self.importance, "target.importance", float, size, 1.0)
        if (importance < 0).any():
            worst = int(np.argmax(importance < 0))
            raise InvalidInstance(f"target.importance must be >= 0, found {importance[worst]} at connection {worst}")
        set_fields(self, indptr=indptr, indices=indices, weights=weights, importance=importance)

    @classmethod
    def from_dense(
        cls,
        weights: Float[np.ndarray, "rows inputs"],
        support: Bool[np.ndarray, "rows inputs"] | None = None,
        importance: Float[np.ndarray, "rows inputs"] | None = None,
    ) -> "Target":
        """Build from full matrices; without `support` every non-zero weight is a connection."""
        full = frozen(weights, "target.weights", float, 2)
        mask = full != 0 if support is None else frozen(support, "target.support", bool, 2, shape=full.shape)
        indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
        rows, inputs = np.nonzero(mask)
        chosen: Any = None
        if importance is not None:
            chosen = frozen(importance, "target.importance", float, 2, shape=full.shape)[rows, inputs]
        return cls(indptr, inputs, full[rows, inputs], full.shape[1], chosen)

    @property
    def n_rows(self) -> int:
        """Number of target neurons m."""
        return len(self.indptr) - 1

    @property
    def n_connections(self) -> int:
        """Number of connections of the whole layer."""
        return len(self.indices)

    @cached_property
    def demands(self) -> frozenset[str]:
        """See `Instance.demands`."""
        unequal = asks("importance", not is_constant(self.importance, 1.0))
        return demands_of(self, "indptr indices weights n_inputs", importance=unequal)

    @cached_property
    def fan_in(self) -> Int[np.ndarray, " rows"]:
        """Number of connections n_i of each row."""
        return np.diff(self.indptr)

    @cached_property
    def row_of(self) -> Int[np.ndarray, " connections"]:
        """Row of each connection."""
        return np.repeat(np.arange(self.n_rows), self.fan_in)

    def with_constant(self, weights: Float[np.ndarray, " rows"]) -> "Target":
        """The same with one more input, the last, to which every row has a connection of this weight."""
        starts, ends = np.arange(self.n_rows + 1), self.indptr[1:]
        indices = np.insert(self.indices, ends, self.n_inputs)
        given = (np.insert(self.weights, ends, weights), self.n_inputs + 1, np.insert(self.importance, ends, 1.0))
        return Target(self.indptr + starts, indices, *given)

    def row(self, i: int) -> slice:
        """The connections of row `i`, as a slice into `indices`, `weights` and `importance`."""
        return slice(int(self.indptr[i]), int(self.indptr[i + 1]))

    def keys(self, rows: Int[np.ndarray, " pairs"], inputs: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " pairs"]:
        """A number for each (row, input) pair, in their order."""
        return np.asarray(rows * self.n_inputs + inputs)

    def dense(self) -> Float[np.ndarray, "rows inputs"]:
        """The weights as a full matrix, zero outside the support."""
        full = np.zeros((self.n_rows, self.n_inputs))
        full[self.row_of, self.indices] = self.weights
        return full

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that make this target; a default importance is left out."""
        arrays = {"indptr": self.indptr, "indices": self.indices, "weights": self.weights}
        if not is_constant(self.importance, 1.0):
            arrays["importance"] = self.importance
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], n_inputs: int) -> "Target":
        """Rebuild from `arrays()`."""
        exact_keys(arrays, {"indptr", "indices", "weights"}, {"importance"}, "target", InvalidInstance)
        return cls(arrays["indptr"], arrays["indices"], arrays["weights"], n_inputs, arrays.get("importance"))  # type: ignore[arg-type]


def check_rows(indptr: Any, indices: Any, n_columns: int, field: str, columns: str) -> tuple[np.ndarray, np.ndarray]:
    """Check a compressed-row structure and return (indptr, indices), read-only.

    Raises InvalidInstance when the row starts fall or do not span the entries, or an index is out of range, repeated or
    out of order.
    """
    starts = frozen(indptr, f"{field}.indptr", int, 1)
    entries = frozen(indices, f"{field}.indices", int, 1)
    if not 0 <= n_columns <= MAX_INDEX:
        raise InvalidInstance(f"{field}: {columns} must be in 0 .. {MAX_INDEX}, found {n_columns}")
    if len(starts) == 0 or starts[0] != 0 or starts[-1] != len(entries) or bool((np.diff(starts) < 0).any()):
        raise InvalidInstance(f"{field}.indptr must rise from 0 to the number of entries, {len(entries)}")
    row_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    outside = (entries < 0) | (entries >= n_columns)
    if outside.any():
        e = int(np.argmax(outside))
        raise InvalidInstance(f"{field}.indices, row {row_of[e]}: {entries[e]} is not in 0 .. {n_columns - 1}")
    falls = (np.diff(entries) <= 0) & (np.diff(row_of) == 0)
    if falls.any():
        e = int(np.argmax(falls)) + 1
        raise InvalidInstance(f"{field}.indices, row {row_of[e]}: {entries[e]} is repeated or out of order")
    return starts, entries
