"""Sparse assignments: scipy's engine with the precautions it needs, and why there is none."""

import numpy as np

from matchopt import AssignmentInstance


def cheapest_columns(cost: np.ndarray, indptr: np.ndarray, indices: np.ndarray, n_cols: int) -> np.ndarray | None:
    """The cheapest assignment by scipy's sparse engine, costs being >= 0; None where there is none.

    It drops explicit zeros, so all costs are shifted by the largest one (every row takes exactly one pair), or by 1 if
    that is less and the costs are whole; a shift of their own size keeps the precision of small costs.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    highest = float(cost.max(initial=0.0))
    shift = highest if highest > 0 and bool((cost != np.round(cost)).any()) else 1.0
    graph = csr_array((cost + shift, indices, indptr), shape=(len(indptr) - 1, n_cols))
    try:
        rows, columns = min_weight_full_bipartite_matching(graph)
    except ValueError:  # infeasible
        return None
    col_of = np.full(len(indptr) - 1, -1, np.int64)
    col_of[rows] = columns
    return col_of


def hall_violator(instance: AssignmentInstance) -> tuple[int, int]:
    """The numbers of rows and columns of a set of rows that allow too few columns; (0, 0) where there is none.

    The rows reached by alternating paths from a row that a largest matching leaves out (Koenig's argument).
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    at, allowed, _ = instance.pairs()
    starts = np.searchsorted(at, np.arange(instance.n_rows + 1))
    pairs = csr_array((np.ones(len(at), np.int8), allowed, starts), shape=(instance.n_rows, instance.n_cols))
    col_of = maximum_bipartite_matching(pairs, perm_type="column")
    left_out = np.flatnonzero(col_of < 0)
    if len(left_out) == 0:
        return 0, 0
    row_of = {int(column): row for row, column in enumerate(col_of) if column >= 0}
    waiting = [int(left_out[0])]
    rows, columns = {waiting[0]}, set[int]()
    while waiting:
        row = waiting.pop()
        for column in allowed[starts[row] : starts[row + 1]].tolist():
            if column not in columns:
                columns.add(column)
                if row_of[column] not in rows:
                    rows.add(row_of[column])
                    waiting.append(row_of[column])
    return len(rows), len(columns)
