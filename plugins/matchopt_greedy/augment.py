"""Completing a partial assignment along shortest alternating paths."""

from collections.abc import Callable, Sequence

import numpy as np

from matchopt import Assignment, AssignmentInstance, Result, Solution, Status


def augment(instance: AssignmentInstance, col_of: np.ndarray, lift: Callable[[Sequence[Solution]], Solution]) -> Result:
    """Place the rows of column -1, others moving along a path with the fewest moves, and lift the whole.

    A row without such a path proves that there is no assignment: some largest matching leaves it out (Berge, 1957,
    doi:10.1073/pnas.43.9.842).
    """
    row_of = np.full(instance.n_cols, -1)
    placed = np.flatnonzero(col_of >= 0)
    row_of[col_of[placed]] = placed
    left_out = np.flatnonzero(col_of < 0).tolist()
    for row in left_out:
        if not _place(instance, row, col_of, row_of):
            return Result(None, Status.INFEASIBLE, message=f"row {row} cannot be placed, whichever others move")
    return Result(lift([Assignment(col_of)]), stats={"rows moved in": len(left_out)})


def _place(instance: AssignmentInstance, start: int, col_of: np.ndarray, row_of: np.ndarray) -> bool:
    """Breadth first over alternating paths, a row's cheapest columns first."""
    before = np.full(instance.n_cols, -1)  # the row from which a column was reached
    waiting = [start]
    for row in waiting:  # grows as it is read
        columns, costs = instance.row(row)
        for column in columns[np.argsort(costs, kind="stable")].tolist():
            if before[column] >= 0:
                continue
            before[column] = row
            if row_of[column] >= 0:
                waiting.append(int(row_of[column]))
                continue
            while column >= 0:
                mover = int(before[column])
                row_of[column] = mover
                col_of[mover], column = column, int(col_of[mover])
            return True
    return False
