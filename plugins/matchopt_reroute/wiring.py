"""What a row may choose from: inputs, gains, hardware neurons; and its wiring as a table of what each cell hears."""

from __future__ import annotations

import numpy as np

from matchopt import (
    FunctionalError,
    Hardware,
    LayerInstance,
    LayerMapping,
    Limits,
    NetworkInstance,
    OutputError,
    Target,
    assign,
    is_feasible,
    kernels,
)


class Unplaceable(Exception):
    """No choice of hardware neurons gives every row cells enough for its connections; its text says so."""


class NotFound(Exception):
    """No mapping was found that keeps the rules of shared lines, though there may be one; its text says so."""


def never() -> bool:
    """A stop that never comes."""
    return False


def assigned(cost: np.ndarray) -> np.ndarray:
    """The hardware neurons of the cheapest assignment.

    Raises
    ------
    Unplaceable
        when there is none of finite cost.
    """
    neuron_of = assign(cost)
    if neuron_of is None:
        raise Unplaceable("no choice of hardware neurons gives every row cells enough for its connections")
    return neuron_of


def with_assigned(cost: np.ndarray, few: int) -> np.ndarray:
    """The `few` cheapest hardware neurons of each row, those of the cheapest assignment among them, (rows, few).

    Raises
    ------
    Unplaceable
        when there is no assignment.
    """
    chosen = assigned(cost)
    if few == 1:
        return chosen[:, None]
    order = np.argsort(cost, axis=1, kind="stable")[:, :few]
    left_out = (order != chosen[:, None]).all(axis=1)
    order[left_out, -1] = chosen[left_out]
    return order


# One cell on an input, neurons routed freely, no budget left unspent; importance plays no part in an output error.
UNDERSTOOD = frozenset(
    {"importance", "read-noise", "unusable-cells", "leak", "drop", "gains", "output-error", "correlated-inputs"}
)


def refuses_wiring(instance: LayerInstance, solver: str) -> str | None:
    """Why a solver of output errors refuses `instance`, or None."""
    if instance.objective.shared_quadratic is None:
        return f"{solver} minimises output errors; under the weight error hungarian is exact"
    return None


def smallest() -> LayerInstance:
    """A layer of one row, to be solved before any clock starts: that loads or compiles all that solving calls."""
    moments = OutputError(np.array([[1.0, 0.5], [0.5, 1.0]]))
    return LayerInstance(Target.from_dense(np.array([[1.0, 0.5]])), Hardware(np.array([[1.0, 0.4]])), objective=moments)


def smallest_networks(instance: NetworkInstance | None) -> list[NetworkInstance]:
    """Of one such layer; where neurons of the instance share lines, or for None, also of one on two that do."""
    layer, chip = smallest(), Hardware(np.ones((2, 2)), bus=np.zeros(2, np.int64))
    layers = [layer]
    if instance is None or "shared-bus" in instance.demands:
        layers.append(LayerInstance(layer.target, chip, objective=layer.objective))
    return [NetworkInstance((each,), (np.zeros(1),), objective=FunctionalError(np.eye(2))) for each in layers]


def take_start(instance: LayerInstance, limits: Limits) -> None:
    """Offer the caller's start, if it is feasible."""
    start = limits.start
    if isinstance(start, LayerMapping) and is_feasible(instance, start):
        limits.offer(start, instance.value(start))


def cell_table(mapping: LayerMapping, n_cells: int) -> np.ndarray:
    """The input that every cell of a row's hardware neuron listens to, -1 for none, shape (rows, cells)."""
    table = np.full((mapping.n_rows, n_cells), -1)
    table[mapping.row_of, mapping.cell] = mapping.input
    return table


def from_table(neuron_of: np.ndarray, table: np.ndarray, gain: np.ndarray) -> LayerMapping:
    """The mapping of rows on these neurons, with these gains, whose cells listen as `cell_table` says."""
    rows, cells = np.nonzero(table >= 0)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(table)))])
    return LayerMapping(neuron_of, starts, cells, table[rows, cells], gain)


def gain_choices(
    layer: LayerInstance, threads: int, *, single: bool = False
) -> tuple[dict[float, kernels.CellPlacement], kernels.Scales]:
    """For each gain of a finite set (1 under an interval) the search on cells of that gain; the scales besides."""
    gains = layer.rules.gains
    finite = gains.values if gains.values is not None else (1.0,)
    placers = {
        gain: kernels.CellPlacement(layer.hardware, factor=gain, single=single, threads=threads) for gain in finite
    }
    return placers, kernels.Scales() if gains.low is None or gains.high is None else kernels.Scales(
        gains.low, gains.high
    )


def likely_inputs(errors: kernels.RowErrors, support: np.ndarray, most: int) -> np.ndarray | None:
    """The `most` inputs of each row that alone explain most of its signal, and its support; None for all."""
    if most >= support.shape[1]:
        return None
    power = errors.moments.diagonal()
    worth = np.abs(errors.linear) / np.sqrt(np.maximum(power, power.dtype.type(1e-30)))
    worth[support] = np.inf
    least = -np.partition(-worth, most - 1, axis=1)[:, most - 1 : most]
    more, equal = worth > least, worth == least  # of equals those of lower numbers
    return listed(support | more | (equal & (equal.cumsum(axis=1) <= most - more.sum(axis=1, keepdims=True))))


def listed(mask: np.ndarray) -> np.ndarray:
    """The true columns of each row, rising, -1 filling up."""
    rows, columns = np.nonzero(mask)
    count = mask.sum(axis=1)
    found = np.full((len(mask), max(1, int(count.max(initial=0)))), -1)
    found[rows, np.arange(len(rows)) - np.repeat(count.cumsum() - count, count)] = columns
    return found
