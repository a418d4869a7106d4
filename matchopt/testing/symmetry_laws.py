"""Laws for exact solvers: an instance is rewritten, and the optimum moves as mathematics says."""

from collections.abc import Callable
from typing import Any

from matchopt.instances import AssignmentInstance, Instance
from matchopt.solver import Status
from matchopt.testing import rewritten
from matchopt.testing.case import Broken, Case, Law, Skipped, refusal_of
from matchopt.testing.tiny import TinyInstance


def _expect(case: Case, instance: Instance | None, *, shift: int = 0, factor: float = 1) -> None:
    """Raise `Broken` unless the solver proves value * factor + shift on the rewritten instance."""
    if instance is None:
        raise Skipped("the instance cannot be rewritten so")
    if case.result.status not in (Status.OPTIMAL, Status.INFEASIBLE):
        raise Skipped("the instance itself is not solved; see exact-solves")
    known = case.tiny.optimum
    if not known.proven:
        raise Skipped("enumeration does not prove the optimum of this instance")
    reason = refusal_of(case.solver, instance)
    if reason is not None:
        raise Skipped(f"the rewritten instance is refused: {reason}")
    moved = Case(case.solver, TinyInstance(f"{case.tiny.name}, rewritten", instance), grace=case.grace)
    result = moved.answer("on the rewritten instance")
    wanted = Status.INFEASIBLE if known.value is None else Status.OPTIMAL
    if result.status is not wanted:
        raise Broken(f"on the rewritten instance status is {result.status}, it must be {wanted}")
    if known.value is None or result.solution is None:
        return
    optimum = known.value * factor + shift  # an int stays one
    value = moved.objective(result.solution, "on the rewritten instance, the solution")
    if abs(value - optimum) > moved.tiny.tolerance:
        raise Broken(f"on the rewritten instance the claimed optimum is {value!r}, it must be {optimum!r}")


def _with_row_constant(instance: AssignmentInstance) -> Instance:
    if instance.n_rows == 0:
        raise Skipped("the instance has no rows")
    return rewritten.with_row_constant(instance)


def _law(
    name: str, kind: str, rewrite: Callable[[Any], Instance | None], claim: str, *, shift: int = 0, factor: float = 1
) -> Law:
    """The law of this name and claim: of instances so rewritten, the solver proves value * factor + shift."""

    def check(case: Case) -> None:
        _expect(case, rewrite(case.instance), shift=shift, factor=factor)

    check.__name__, check.__doc__ = name, claim
    return Law(check, exact=True, kinds=(kind,))


SYMMETRY_LAWS = (
    _law("row_constant_adds_to_optimum", "assignment", _with_row_constant,
         "A constant added to one row of an assignment is added to the optimum.", shift=rewritten.ROW_CONSTANT),
    _law("column_order_is_free", "assignment", rewritten.with_columns_reversed,
         "Reversing the columns of an assignment keeps the optimum."),
    _law("transpose_keeps_optimum", "assignment", rewritten.transposed,
         "Exchanging rows and columns of a square assignment keeps the optimum."),
    _law("dominated_column_is_free", "assignment", rewritten.with_dominated_column,
         "One more column that is as bad as the worst for every row keeps the optimum."),
    _law("sparse_form_is_free", "assignment", rewritten.listed,
         "Listing the allowed pairs of a dense assignment keeps the optimum."),
    _law("scale_squares_into_optimum", "layer", rewritten.scaled,
         "Target and hardware weights of a layer scaled by c scale the optimum by c^2; no tolerance is absolute.",
         factor=rewritten.SCALE**2),
    _law("variable_order_is_free", "program", rewritten.with_variables_reversed,
         "Reversing the variables of a program keeps the optimum."),
)  # fmt: skip
