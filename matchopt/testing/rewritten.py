"""Instances rewritten so that the optimum changes in a known way, or not at all."""

import dataclasses
from typing import Any

import numpy as np

from matchopt.instances import AssignmentInstance, Instance, LayerInstance, NetworkInstance, ProgramInstance
from matchopt.parts import Parts

ROW_CONSTANT = -3  # negative, so that zero costs turn negative and sums near 2^63 do not grow
SCALE = 2.0**-20  # a power of two scales floats without rounding; squared it is near 1e-12, past absolute tolerances


def with_row_constant(instance: AssignmentInstance) -> AssignmentInstance:
    """`ROW_CONSTANT` added to every cost of the first row; the optimum moves by as much."""
    size = instance.n_cols if instance.indptr is None else int(instance.indptr[1])
    cost = instance.cost.copy()
    cost.reshape(-1)[:size] += ROW_CONSTANT
    return AssignmentInstance(cost, instance.indptr, instance.indices, instance.n_cols)


def with_columns_reversed(instance: AssignmentInstance) -> AssignmentInstance:
    """The last column first; the optimum stays."""
    if instance.indptr is None or instance.indices is None:
        return AssignmentInstance(instance.cost[:, ::-1])
    order = np.lexsort((-instance.indices, _row_of(instance)))
    columns = instance.n_cols - 1 - instance.indices[order]
    return AssignmentInstance(instance.cost[order], instance.indptr, columns, instance.n_cols)


def transposed(instance: AssignmentInstance) -> AssignmentInstance | None:
    """Rows for columns, of a square instance; the optimum stays."""
    if instance.n_rows != instance.n_cols:
        return None
    if instance.indptr is None or instance.indices is None:
        return AssignmentInstance(instance.cost.T)
    rows = _row_of(instance)
    order = np.lexsort((rows, instance.indices))
    indptr = np.cumsum([0, *np.bincount(instance.indices, minlength=instance.n_cols)])
    return AssignmentInstance(instance.cost[order], indptr, rows[order], instance.n_rows)


def with_dominated_column(instance: AssignmentInstance) -> AssignmentInstance:
    """One more column, for every row as bad as its worst, so forbidden where any is; the optimum stays.

    Of the columns there were, one is free whenever a row takes the new one, and that one costs the row no more.
    """
    if instance.indptr is not None:  # a row that lists all columns gains none either: unlisted is forbidden
        return AssignmentInstance(instance.cost, instance.indptr, instance.indices, instance.n_cols + 1)
    if instance.n_cols == 0:
        return AssignmentInstance(np.zeros((0, 1)))
    return AssignmentInstance(np.hstack([instance.cost, instance.cost.max(axis=1, keepdims=True)]))


def listed(instance: AssignmentInstance) -> AssignmentInstance | None:
    """A dense instance as a list of its allowed pairs; the optimum stays."""
    if instance.is_sparse:
        return None
    rows, columns = np.nonzero(instance.cost < np.inf)
    indptr = np.cumsum([0, *np.bincount(rows, minlength=instance.n_rows)])
    return AssignmentInstance(instance.cost[rows, columns], indptr, columns, instance.n_cols)


def scaled(instance: LayerInstance) -> LayerInstance:
    """Target and hardware weights times `SCALE`; the optimum is multiplied by its square."""
    target, hardware = instance.target, instance.hardware
    return dataclasses.replace(
        instance, target=dataclasses.replace(target, weights=target.weights * SCALE), hardware=hardware.scaled(SCALE)
    )


def with_variables_reversed(instance: ProgramInstance) -> ProgramInstance:
    """The last variable first; the optimum stays."""
    rows = np.repeat(np.arange(instance.n_rows), np.diff(instance.indptr))
    order = np.lexsort((-instance.indices, rows))
    return ProgramInstance(
        instance.cost[::-1],
        instance.indptr,
        instance.n_variables - 1 - instance.indices[order],
        instance.coefficients[order],
        instance.row_low,
        instance.row_high,
        instance.low[::-1],
        instance.high[::-1],
        instance.integral[::-1],
        instance.offset,
    )


def spelled_out(instance: Instance) -> Instance | None:
    """A layer or network with every default written out in an array of its own; its content stays. None for others."""
    if isinstance(instance, NetworkInstance):
        return dataclasses.replace(instance, layers=tuple(_spelled_layer(layer) for layer in instance.layers))
    return _spelled_layer(instance) if isinstance(instance, LayerInstance) else None


def _spelled_layer(layer: LayerInstance) -> LayerInstance:
    old, cells = layer.target, layer.hardware
    target = dataclasses.replace(old, importance=np.array(old.importance))
    names = ("variance", "usable", "off", "bus", "input", "low", "high", "write_variance", "levels", "level_variance")
    arrays: dict[str, Any] = {name: np.array(getattr(cells, name)) for name in names}
    hardware = dataclasses.replace(cells, **arrays)
    taken = layer.objective.parts()
    by_column = {name: np.asfortranarray(array) for name, array in taken.arrays.items()}
    objective = layer.objective.from_parts(Parts(taken.facts, by_column))
    return dataclasses.replace(layer, target=target, hardware=hardware, objective=objective)


def _row_of(instance: AssignmentInstance) -> np.ndarray:
    assert instance.indptr is not None
    return np.repeat(np.arange(instance.n_rows), np.diff(instance.indptr))
