"""Rules and objective of a linear assignment."""

from collections.abc import Iterator

from matchopt.checker.report import Violation, total
from matchopt.instances import Assignment, AssignmentInstance


def assignment_violations(instance: AssignmentInstance, assignment: Assignment) -> Iterator[Violation]:
    """Every broken rule of an assignment."""
    columns = assignment.col_of.tolist()
    if len(columns) != instance.n_rows:
        yield Violation("row-count", f"col_of must name one column per row, {instance.n_rows}, found {len(columns)}")
        return
    row_on: dict[int, int] = {}
    for i, k in enumerate(columns):
        if not 0 <= k < instance.n_cols:
            yield Violation.of_row("column-range", i, f"column {k} is not in 0 .. {instance.n_cols - 1}")
            continue
        if k in row_on:
            message = f"column {k} is taken by row {row_on[k]} already; each row needs a column of its own"
            yield Violation.of_row("column-used-twice", i, message)
        row_on.setdefault(k, i)
        if _cost(instance, i, k) == float("inf"):
            yield Violation.of_row("forbidden-pair", i, f"column {k} is forbidden for this row")


def assignment_objective(instance: AssignmentInstance, assignment: Assignment) -> float | int:
    """The total cost of a feasible assignment; integers add up exactly."""
    costs = [_cost(instance, i, k) for i, k in enumerate(assignment.col_of.tolist())]
    return sum(int(cost) for cost in costs) if instance.is_integral else total(costs)


def _cost(instance: AssignmentInstance, i: int, k: int) -> float | int:
    """The cost of row `i` on column `k`; inf where the pair is not listed."""
    if instance.indptr is None or instance.indices is None:
        dense: float | int = instance.cost[i, k].item()
        return dense
    for entry in range(int(instance.indptr[i]), int(instance.indptr[i + 1])):
        if int(instance.indices[entry]) == k:
            listed: float | int = instance.cost[entry].item()
            return listed
    return float("inf")
