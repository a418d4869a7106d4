"""Column potentials of an assignment by shortest paths: a proof that it is optimal, or a way to better it.

A row i that leaves its column s(i) for column k changes the cost by c[i,k] - c[i,s(i)]: the length of an arc from s(i)
to k. An assignment is optimal exactly when no cycle of arcs, and no path from any column to a free one, has negative
length; the shortest path lengths v are then optimal duals (Ahuja, Magnanti & Orlin 1993, Network Flows, sections 5.3
and 12.4). The labels are found by policy iteration: one relaxation of all changed rows, then all labels at once from
the tree of predecessors. That needs some 15 passes where plain Bellman-Ford sweeps need 1000.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from matchopt.proofs.effort import Effort
from matchopt.proofs.entries import Entries, Number


@dataclass(frozen=True)
class Potentials:
    """Where the search for potentials ended.

    Parameters
    ----------
    v : label of every column, <= 0.
    fixed : whether no arc can lower a label any more.
    rows, cols : rows that a negative cycle or path moves and the columns they move to; empty without one.
    """

    v: Shaped[np.ndarray, " cols"]
    fixed: bool
    rows: Int[np.ndarray, " moves"]
    cols: Int[np.ndarray, " moves"]


@dataclass
class _Tree:
    """For every column the row that gave it its label, that row's column, and the length of that arc.

    The column n_cols stands for "no predecessor"; there the arc's length is the label itself.
    """

    row: Int[np.ndarray, " cols"]
    column: Int[np.ndarray, " cols_and_one"]
    length: Shaped[np.ndarray, " cols_and_one"]

    @classmethod
    def rooted(cls, v: Shaped[np.ndarray, " cols"]) -> "_Tree":
        size = len(v)
        zero = v[:1] - v[:1] if size else np.zeros(1)
        return cls(np.full(size, -1), np.full(size + 1, size), np.concatenate([v, zero]))

    def labels(self) -> tuple[Shaped[np.ndarray, " cols"], Int[np.ndarray, " cycles"]]:
        """The length of every column's path from its root by pointer doubling, and a column of each cycle met."""
        size = len(self.row)
        sums, ahead = self.length.copy(), self.column.copy()
        for _ in range(max(1, size).bit_length() + 1):
            sums = sums + sums[ahead]
            ahead = ahead[ahead]
        return sums[:size], np.unique(ahead[:size][ahead[:size] != size])

    def trace(self, column: int) -> tuple[Int[np.ndarray, " moves"], Int[np.ndarray, " moves"]]:
        """The moves (rows, columns) of the path that ends in `column`, or of the cycle through it."""
        rows: list[int] = []
        cols: list[int] = []
        at = column
        while at != len(self.row) and self.row[at] >= 0 and (not cols or at != column):
            rows.append(int(self.row[at]))
            cols.append(at)
            at = int(self.column[at])
        return np.array(rows, np.int64), np.array(cols, np.int64)


def potentials(
    entries: Entries, col_of: Int[np.ndarray, " rows"], own: Shaped[np.ndarray, " rows"], slack: Number, effort: Effort
) -> Potentials:
    """Search potentials for an assignment.

    Parameters
    ----------
    entries : the costs.
    col_of : column of each row, all different, every pair allowed.
    own : cost of each row on its column.
    slack : a label is lowered only by more than this; 0 on integers.
    effort : once it is spent the labels found so far are returned.
    """
    size = entries.n_cols
    row_on = np.full(size, -1)
    row_on[col_of] = np.arange(len(col_of))
    v = np.zeros(size, own.dtype)
    tree, nothing = _Tree.rooted(v), np.zeros(0, np.int64)
    changed = np.arange(len(col_of))
    while len(changed):
        effort.spend(2.0 * len(changed) * size)
        if effort.late:
            return Potentials(v, False, nothing, nothing)
        columns, best, rows = entries.relax(changed, v[col_of[changed]] - own[changed], v, slack)
        if len(columns) == 0:
            break
        tree.row[columns], tree.column[columns] = rows, col_of[rows]
        tree.length[columns] = best - v[col_of[rows]]
        labels, cycles = tree.labels()
        if len(cycles):
            return Potentials(v, False, *tree.trace(int(cycles[0])))
        lower = v.copy()
        lower[columns] = best
        lower = np.minimum(lower, labels)
        free = np.flatnonzero((row_on < 0) & (lower < 0))
        if len(free):
            return Potentials(v, False, *tree.trace(int(free[np.argmin(lower[free])])))
        changed = np.sort(row_on[(lower < v) & (row_on >= 0)])  # in order: a pass over all rows needs no gathering
        v = lower
    return Potentials(v, True, nothing, nothing)
