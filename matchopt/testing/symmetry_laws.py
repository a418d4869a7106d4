"""Laws for exact solvers: an instance is rewritten, and the optimum moves as mathematics says."""

from matchopt.instances import AssignmentInstance, Instance, LayerInstance, ProgramInstance
from matchopt.solver import Status
from matchopt.testing.case import Broken, Case, Law, Skipped, refusal_of
from matchopt.testing.rewritten import (
    ROW_CONSTANT,
    SCALE,
    listed,
    scaled,
    transposed,
    with_columns_reversed,
    with_dominated_column,
    with_row_constant,
    with_variables_reversed,
)
from matchopt.testing.tiny import TinyInstance


def row_constant_adds_to_optimum(case: Case) -> None:
    """A constant added to one row of an assignment is added to the optimum."""
    instance = _assignment(case)
    if instance.n_rows == 0:
        raise Skipped("the instance has no rows")
    _expect(case, with_row_constant(instance), shift=ROW_CONSTANT)


def column_order_is_free(case: Case) -> None:
    """Reversing the columns of an assignment keeps the optimum."""
    _expect(case, with_columns_reversed(_assignment(case)))


def transpose_keeps_optimum(case: Case) -> None:
    """Exchanging rows and columns of a square assignment keeps the optimum."""
    _expect(case, transposed(_assignment(case)))


def dominated_column_is_free(case: Case) -> None:
    """One more column that is as bad as the worst for every row keeps the optimum."""
    _expect(case, with_dominated_column(_assignment(case)))


def sparse_form_is_free(case: Case) -> None:
    """Listing the allowed pairs of a dense assignment keeps the optimum."""
    _expect(case, listed(_assignment(case)))


def scale_squares_into_optimum(case: Case) -> None:
    """Target and hardware weights of a layer scaled by c scale the optimum by c^2; no tolerance is absolute."""
    assert isinstance(case.instance, LayerInstance)
    _expect(case, scaled(case.instance), factor=SCALE**2)


def variable_order_is_free(case: Case) -> None:
    """Reversing the variables of a program keeps the optimum."""
    assert isinstance(case.instance, ProgramInstance)
    _expect(case, with_variables_reversed(case.instance))


def _assignment(case: Case) -> AssignmentInstance:
    assert isinstance(case.instance, AssignmentInstance)
    return case.instance


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
    rewritten = Case(case.solver, TinyInstance(f"{case.tiny.name}, rewritten", instance), grace=case.grace)
    result = rewritten.answer("on the rewritten instance")
    wanted = Status.INFEASIBLE if known.value is None else Status.OPTIMAL
    if result.status is not wanted:
        raise Broken(f"on the rewritten instance status is {result.status}, it must be {wanted}")
    if known.value is None or result.solution is None:
        return
    optimum = known.value * factor + shift  # an int stays one
    value = rewritten.objective(result.solution, "on the rewritten instance, the solution")
    if abs(value - optimum) > rewritten.tiny.tolerance:
        raise Broken(f"on the rewritten instance the claimed optimum is {value!r}, it must be {optimum!r}")


SYMMETRY_LAWS = (
    Law(row_constant_adds_to_optimum, exact=True, kinds=("assignment",)),
    Law(column_order_is_free, exact=True, kinds=("assignment",)),
    Law(transpose_keeps_optimum, exact=True, kinds=("assignment",)),
    Law(dominated_column_is_free, exact=True, kinds=("assignment",)),
    Law(sparse_form_is_free, exact=True, kinds=("assignment",)),
    Law(scale_squares_into_optimum, exact=True, kinds=("layer",)),
    Law(variable_order_is_free, exact=True, kinds=("program",)),
)
