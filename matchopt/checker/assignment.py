"""Rules and objective of a linear assignment."""

from matchopt.checker.report import Violation, total
from matchopt.instances import Assignment, AssignmentInstance


def assignment_violations(instance: AssignmentInstance, assignment: Assignment) -> list[Violation]:
    """Every broken rule of an assignment."""
    columns = assignment.col_of.tolist()
    if len(columns) != instance.n_rows:
        return [Violation("row-count", f"col_of must name one column per row, {instance.n_rows}, found {len(columns)}")]
    found: list[Violation] = []
    row_on: dict[int, int] = {}
    for i, k in enumerate(columns):
        if not 0 <= k < instance.n_cols:
            message = f"row {i}: column {k} is not in 0 .. {instance.n_cols - 1}"
            found.append(Violation("column-range", message, row=i))
            continue
        if k in row_on:
            message = f"row {i}: column {k} is taken by row {row_on[k]} already; each row needs a column of its own"
            found.append(Violation("column-used-twice", message, row=i))
        row_on.setdefault(k, i)
        if _cost(instance, i, k) == float("inf"):
            found.append(Violation("forbidden-pair", f"row {i}: column {k} is forbidden for this row", row=i))
    return found


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
