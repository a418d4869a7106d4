"""Cost tables, dense or sparse, with the two passes over all entries that a dual certificate needs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int, Shaped

Number = float | int  # spelled out: run-time type checks take no int for a float

# The columns a relaxation improves, their new values, and the rows that give them.
Improved = tuple[Int[np.ndarray, " better"], Shaped[np.ndarray, " better"], Int[np.ndarray, " better"]]

CHUNK = 2**15  # entries handled at once: 256 KiB, so that a block stays in the second-level cache


@dataclass(frozen=True, eq=False)
class DenseEntries:
    """A full table.

    Parameters
    ----------
    cost : shape (rows, cols), of floats (inf forbids), integers, or Python integers in an object array.
    """

    cost: Shaped[np.ndarray, "rows cols"]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.cost.shape[0])

    @property
    def n_cols(self) -> int:
        """Number of columns."""
        return int(self.cost.shape[1])

    def relax(
        self,
        rows: Int[np.ndarray, " some"],
        offset: Shaped[np.ndarray, " some"],
        v: Shaped[np.ndarray, " cols"],
        slack: Number,
    ) -> Improved:
        """Columns k where min over `rows` of offset[i] + c[i,k] is below v[k] - slack, these minima, and their rows."""
        step = min(max(1, CHUNK // max(1, self.n_cols)), len(rows))
        best, chunk_of = v.copy(), np.zeros(self.n_cols, np.int64)
        for start in range(0, len(rows), step):
            block = self._rows(rows, start, step) + offset[start : start + step, None]
            lowest = block.min(axis=0)
            lower = np.flatnonzero(lowest < best)
            best[lower] = lowest[lower]
            chunk_of[lower] = start
        columns = np.flatnonzero(best < v - slack)
        # Only the chunk that holds a column's minimum is searched for the row that attains it.
        members = np.minimum(chunk_of[columns] + np.arange(step)[:, None], len(rows) - 1)
        values = self.cost[rows[members], columns] + offset[members]
        chosen = members[values.argmin(axis=0), np.arange(len(columns))] if len(columns) else members[0]
        return columns, best[columns], rows[chosen]

    def row_minima(self, v: Shaped[np.ndarray, " cols"]) -> Shaped[np.ndarray, " rows"]:
        """u[i] = min over k of c[i,k] - v[k]; every row must have an entry."""
        step = max(1, CHUNK // max(1, self.n_cols))
        parts = [(self.cost[start : start + step] - v).min(axis=1) for start in range(0, self.n_rows, step)]
        return np.concatenate(parts) if parts else np.zeros(0, self.cost.dtype)

    def at(
        self, rows: Int[np.ndarray, " pairs"], cols: Int[np.ndarray, " pairs"]
    ) -> Shaped[np.ndarray, " pairs"] | None:
        """The costs c[rows, cols]; None when a pair is forbidden."""
        found: np.ndarray = self.cost[rows, cols]
        return None if found.dtype.kind == "f" and bool(np.isposinf(found).any()) else found

    def _rows(self, rows: Int[np.ndarray, " some"], start: int, step: int) -> Shaped[np.ndarray, "block cols"]:
        block: np.ndarray = (
            self.cost[start : start + step] if len(rows) == self.n_rows else self.cost[rows[start : start + step]]
        )
        return block


@dataclass(frozen=True, eq=False)
class SparseEntries:
    """Listed pairs only, in compressed rows; nothing of the size rows x cols is ever made.

    Parameters
    ----------
    indptr : start of each row, shape (rows + 1,).
    indices : column of each entry, rising within a row.
    cost : cost of each entry, finite.
    n_cols : number of columns.
    """

    indptr: Int[np.ndarray, " rows_and_one"]
    indices: Int[np.ndarray, " pairs"]
    cost: Shaped[np.ndarray, " pairs"]
    n_cols: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @cached_property
    def _row_of(self) -> Int[np.ndarray, " pairs"]:
        return np.repeat(np.arange(self.n_rows), np.diff(self.indptr))

    @cached_property
    def _by_column(self) -> tuple[Int[np.ndarray, " pairs"], Int[np.ndarray, " used"], Int[np.ndarray, " used"]]:
        """The entries in column order, the columns that have any, and where each begins in that order."""
        order = np.argsort(self.indices, kind="stable")
        columns, starts = np.unique(self.indices[order], return_index=True)
        return order, columns, starts

    def relax(
        self,
        rows: Int[np.ndarray, " some"],
        offset: Shaped[np.ndarray, " some"],
        v: Shaped[np.ndarray, " cols"],
        slack: Number,
    ) -> Improved:
        """Columns k where min over `rows` of offset[i] + c[i,k] is below v[k] - slack, these minima, and their rows."""
        best = v.copy()
        if len(rows) == self.n_rows:
            order, columns, starts = self._by_column
            entries, values = order, (np.repeat(offset, np.diff(self.indptr)) + self.cost)[order]
            best[columns] = (
                np.minimum(best[columns], np.minimum.reduceat(values, starts)) if len(starts) else v[columns]
            )
        else:
            lengths = np.diff(self.indptr)[rows]
            ends = np.cumsum(lengths)
            entries = np.arange(int(lengths.sum())) + np.repeat(self.indptr[rows] - ends + lengths, lengths)
            values = self.cost[entries] + np.repeat(offset, lengths)
            np.minimum.at(best, self.indices[entries], values)
        improved = best < v - slack
        # The first entry of a column that attains its minimum: written last, so it stays.
        hits = np.flatnonzero((values == best[self.indices[entries]]) & improved[self.indices[entries]])[::-1]
        row_at = np.zeros(self.n_cols, np.int64)
        row_at[self.indices[entries[hits]]] = self._row_of[entries[hits]]
        found = np.flatnonzero(improved)
        return found, best[found], row_at[found]

    def row_minima(self, v: Shaped[np.ndarray, " cols"]) -> Shaped[np.ndarray, " rows"]:
        """u[i] = min over k of c[i,k] - v[k]; every row must have an entry."""
        if self.n_rows == 0:
            return np.zeros(0, self.cost.dtype)
        return np.asarray(np.minimum.reduceat(self.cost - v[self.indices], self.indptr[:-1]))

    def at(
        self, rows: Int[np.ndarray, " pairs"], cols: Int[np.ndarray, " pairs"]
    ) -> Shaped[np.ndarray, " pairs"] | None:
        """The costs c[rows, cols]; None when a pair is forbidden."""
        keys, wanted = self._row_of * self.n_cols + self.indices, rows * self.n_cols + cols
        places = np.searchsorted(keys, wanted)
        if len(rows) and (len(keys) == 0 or bool((keys[np.minimum(places, len(keys) - 1)] != wanted).any())):
            return None
        found: np.ndarray = self.cost[places]
        return found


Entries = DenseEntries | SparseEntries
