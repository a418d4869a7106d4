"""Linear assignment: every row gets a column of its own, at least total cost."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from matchopt.errors import InvalidInstance, InvalidSolution
from matchopt.instances.arrays import MAX_INDEX, frozen, set_fields
from matchopt.instances.base import Instance, Provenance, Solution
from matchopt.instances.demands import asks, demands_of
from matchopt.instances.target import check_rows
from matchopt.parts import Parts, exact_keys
from matchopt.settings import checked

MAX_DENSE = 2**28  # entries that a sparse instance may be expanded to: 2 GiB of costs


@dataclass(frozen=True, eq=False)
class Assignment(Solution):
    """Which column every row takes.

    Parameters
    ----------
    col_of : column of each row, shape (n_rows,).
    """

    kind = "assignment"

    col_of: Int[np.ndarray, " rows"]

    def __post_init__(self) -> None:
        set_fields(self, col_of=frozen(self.col_of, "col_of", int, 1, error=InvalidSolution))


@dataclass(frozen=True, eq=False)
class AssignmentInstance(Instance):
    """Costs of all row and column pairs; integers stay integers, so that proofs on them are exact.

    Dense: `cost` alone. Sparse: `cost` holds the allowed pairs row by row, with `indptr` and `indices`; a pair that is
    not listed is forbidden, and a listed cost of 0 is a cost.

    Parameters
    ----------
    cost : cost of placing a row on a column, shape (n_rows, n_cols) or (pairs,); inf forbids the pair; never NaN, -inf.
    indptr, indices : rows and columns of a sparse instance, columns rising within a row; None for a dense one.
    n_cols : number of columns of a sparse instance; of a dense one it follows from `cost`.
    provenance : where the instance comes from; no part of its content.

    Raises
    ------
    InvalidInstance
        for more rows than columns (transpose it), NaN, or indices that do not fit.
    """

    kind = "assignment"

    cost: Num[np.ndarray, "..."]
    indptr: Int[np.ndarray, " rows_and_one"] | None = None
    indices: Int[np.ndarray, " pairs"] | None = None
    n_cols: int = -1
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        if (self.indptr is None) != (self.indices is None):
            raise InvalidInstance("a sparse assignment needs both indptr and indices")
        if self.indptr is None:
            cost = self._cost(2, None)
            n_rows, n_cols = cost.shape
            if self.n_cols not in (-1, n_cols):
                raise InvalidInstance(f"n_cols is {self.n_cols}, but cost has {n_cols} columns")
            if max(cost.shape) > MAX_INDEX:
                raise InvalidInstance(f"cost: at most {MAX_INDEX} rows and columns, found {cost.shape}")
        else:
            starts, columns = check_rows(self.indptr, self.indices, int(self.n_cols), "cost", "n_cols")
            cost = self._cost(1, (len(columns),))
            n_rows, n_cols = len(starts) - 1, int(self.n_cols)
            set_fields(self, indptr=starts, indices=columns)
        if n_rows > n_cols:
            raise InvalidInstance(f"cost: {n_rows} rows need as many columns, found {n_cols}; transpose it")
        set_fields(self, cost=cost, n_cols=n_cols)

    def _cost(self, ndim: int, shape: tuple[int, ...] | None) -> np.ndarray:
        try:
            integral = np.asarray(self.cost).dtype.kind in "biu"
        except ValueError:  # said below
            integral = False
        cost = frozen(self.cost, "cost", int if integral else float, ndim, shape=shape, finite=False)
        bad = np.zeros(cost.shape, bool) if integral else np.isnan(cost) | np.isneginf(cost)
        if bad.any():
            where = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
            raise InvalidInstance(f"cost must be numbers or inf, found {cost[bad][0]} at position {where}")
        return cost

    @property
    def n_rows(self) -> int:
        """Number of rows, each of which takes one column."""
        return int(self.cost.shape[0]) if self.indptr is None else len(self.indptr) - 1

    @property
    def is_sparse(self) -> bool:
        """Whether the allowed pairs are listed."""
        return self.indptr is not None

    @property
    def is_integral(self) -> bool:
        """Whether the costs are integers, so that sums and proofs are exact."""
        return self.cost.dtype.kind == "i"

    @cached_property
    def demands(self) -> frozenset[str]:
        complete = self.n_pairs == self.n_rows * self.n_cols and (self.is_integral or bool((self.cost < np.inf).all()))
        listed = asks("sparse", self.is_sparse)
        return demands_of(
            self,
            "provenance",
            cost=asks("integer-costs", self.is_integral) | asks("forbidden-pairs", not complete),
            indptr=listed,
            indices=listed,
            n_cols=asks("rectangular", self.n_rows < self.n_cols),
        )

    @property
    def n_pairs(self) -> int:
        """Number of stored costs."""
        return int(self.cost.size)

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The allowed columns of row `i`, ascending, and their costs."""
        if self.indptr is None or self.indices is None:
            costs = self.cost[i]
            columns = np.flatnonzero(costs < np.inf) if not self.is_integral else np.arange(self.n_cols)
            return columns, costs[columns]
        part = slice(int(self.indptr[i]), int(self.indptr[i + 1]))
        allowed = self.cost[part] < np.inf
        return self.indices[part][allowed], self.cost[part][allowed]

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, columns and costs of the allowed pairs, row by row and by column."""
        allowed = self.cost < np.inf
        if self.indptr is None or self.indices is None:
            rows, columns = np.nonzero(allowed)
            return rows, columns, self.cost[allowed]
        rows = np.repeat(np.arange(self.n_rows), np.diff(self.indptr))
        return rows[allowed], self.indices[allowed], self.cost[allowed]

    @cached_property
    def dense(self) -> Float[np.ndarray, "rows cols"]:
        """All costs as floats, inf where forbidden, shape (n_rows, n_cols), read-only.

        Raises InvalidInstance when a sparse instance is too large to expand.
        """
        if self.n_rows * self.n_cols > MAX_DENSE:
            raise InvalidInstance(f"{self.n_rows} x {self.n_cols} costs are too many to expand (at most {MAX_DENSE})")
        if self.indptr is None:
            full = self.cost if self.cost.dtype.kind == "f" else self.cost.astype(np.float64)
        else:
            full = np.full((self.n_rows, self.n_cols), np.inf)
            full[np.repeat(np.arange(self.n_rows), np.diff(self.indptr)), self.indices] = self.cost
        full.flags.writeable = False
        return full

    def value(self, assignment: Assignment) -> float:
        """The total cost of an assignment of fitting shape (the fast form; `matchopt.check` has the plain one)."""
        if self.indptr is None or self.indices is None:
            return self._total(self.cost[np.arange(self.n_rows), assignment.col_of])
        rows, columns, costs = self.pairs()
        taken = columns == assignment.col_of[rows]
        return self._total(costs[taken]) if taken.sum() == self.n_rows else float("inf")

    def _total(self, costs: np.ndarray) -> float:
        # A 64-bit sum of integers would wrap around without a word.
        return float(sum(costs.tolist())) if self.is_integral else float(costs.sum())

    def parts(self) -> Parts:
        if self.indptr is None or self.indices is None:
            return Parts({}, {"cost": self.cost})
        arrays = {"cost": self.cost, "indptr": self.indptr, "indices": self.indices}
        return Parts({"n_cols": self.n_cols}, arrays)

    @classmethod
    def from_parts(cls, parts: Parts, provenance: Provenance | None = None) -> "AssignmentInstance":
        sparse = "indptr" in parts.arrays or "indices" in parts.arrays
        names = {"cost", "indptr", "indices"} if sparse else {"cost"}
        exact_keys(parts.arrays, names, set(), "assignment", InvalidInstance)
        exact_keys(parts.facts, {"n_cols"} if sparse else set(), set(), "assignment", InvalidInstance)
        facts: dict[str, Any] = dict(parts.facts)
        if sparse:
            checked(facts["n_cols"], int, "n_cols", InvalidInstance)
        return cls(**{**parts.arrays, **facts}, provenance=provenance or Provenance())
