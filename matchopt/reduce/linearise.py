"""A linear assignment as an integer linear program: one binary per allowed pair."""

from collections.abc import Sequence

import numpy as np

from matchopt.errors import Refused
from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    ProgramInstance,
    ProgramPoint,
    Provenance,
    Solution,
)
from matchopt.instances.demands import AT_0_1, understanding
from matchopt.reduce.reduction import Reduction

MAX_PAIRS = 4_000_000  # binaries; an engine needs some 1 KB for each, so this is where 24 GB machines end
EXACT = 2**53  # whole numbers up to here are exact as floats


UNDERSTOOD = AT_0_1["assignment"]


@understanding("the program of an assignment", UNDERSTOOD)
def linearise(instance: Instance) -> Reduction:
    """Minimise sum c x subject to every row taking one column and every column serving at most one row.

    Raises
    ------
    Refused
        when there are too many pairs, or integer costs too large to be exact in a program's floats.
    """
    if not isinstance(instance, AssignmentInstance):
        raise Refused(f"expected an assignment instance, found a {instance.kind} instance")
    if instance.n_pairs > MAX_PAIRS:
        raise Refused(f"{instance.n_pairs} pairs make too large a program (at most {MAX_PAIRS})")
    if instance.is_integral and instance.n_pairs and int(np.abs(instance.cost).max()) > EXACT:
        raise Refused(f"integer costs beyond 2^53 are not exact in a program, found {np.abs(instance.cost).max()}")
    rows, columns, cost = instance.pairs()
    program = _program(instance, rows, columns, cost.astype(np.float64))

    def lift(solutions: Sequence[Solution]) -> Assignment:
        (point,) = solutions
        if not isinstance(point, ProgramPoint) or len(point.x) != len(cost):
            raise Refused(f"expected a point with {len(cost)} variables")
        col_of = np.full(instance.n_rows, -1)
        chosen = point.x > 0.5
        col_of[rows[chosen]] = columns[chosen]
        return Assignment(col_of)

    def lower(solution: Solution) -> tuple[ProgramPoint]:
        if not isinstance(solution, Assignment):
            raise Refused(f"expected an assignment, found a {solution.kind} solution")
        x = np.zeros(len(cost))
        place = {pair: v for v, pair in enumerate(zip(rows.tolist(), columns.tolist(), strict=True))}
        for pair in enumerate(solution.col_of.tolist()):
            if pair not in place:
                raise Refused(f"the start uses the forbidden pair of row {pair[0]} and column {pair[1]}")
            x[place[pair]] = 1.0
        return (ProgramPoint(x),)

    return Reduction("program", (program,), lift, lower)


def _program(instance: AssignmentInstance, rows: np.ndarray, columns: np.ndarray, cost: np.ndarray) -> ProgramInstance:
    size = len(cost)
    by_column = np.argsort(columns, kind="stable")
    per_row = np.bincount(rows, minlength=instance.n_rows)
    per_column = np.bincount(columns, minlength=instance.n_cols)
    served = per_column > 0
    indptr = np.concatenate([[0], np.cumsum(np.concatenate([per_row, per_column[served]]))])
    row_low = np.concatenate([np.ones(instance.n_rows), np.full(int(served.sum()), -np.inf)])
    return ProgramInstance(
        cost,
        indptr,
        np.concatenate([np.arange(size), by_column]),
        np.ones(2 * size),
        row_low,
        np.ones(len(row_low)),
        np.zeros(size),
        np.ones(size),
        np.ones(size, bool),
        provenance=Provenance(name=instance.provenance.name, source=f"linearised assignment {instance.digest}"),
    )
