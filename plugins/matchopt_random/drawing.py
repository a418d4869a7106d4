"""The best of some draws; random hardware neurons for the rows of a layer, and random cells on their buses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from matchopt import Hardware, LayerInstance, Limit, Limits, Result


def best_of(draws: int, draw: Callable[[], Any], instance: Any, limits: Limits) -> tuple[Result, bool]:
    """The best of so many drawn solutions, and whether it ended early because there was none to draw."""
    solution, steps = None, 0
    for _ in limits.steps(draws):
        steps += 1
        solution = draw()
        if solution is None:
            return Result(limits.best, limit=limits.reached()), True
        limits.offer(solution, instance.value(solution))
    # Time is up, or the caller's iteration limit is below `draws`.
    limit = None if steps == draws else limits.reached() or Limit.ITERATION
    return Result(limits.best or solution, limit=limit, stats={"draws": steps}), False  # costs may overflow to inf


def place(instance: LayerInstance, packed: bool, rng: np.random.Generator) -> np.ndarray:
    """A hardware neuron for every row.

    Rows with the most connections choose first, equals in random order. With free routing a row then finds a neuron
    with enough usable cells whenever the layer can be mapped without leaving connections out, for the neurons that
    suit a row suit every later one. On shared buses this is a heuristic.

    Parameters
    ----------
    instance : the layer.
    packed : whether a row goes where its bus has to carry the fewest new inputs, instead of to any bus with room.
    rng : source of randomness.
    """
    target, hardware = instance.target, instance.hardware
    buses, bus_of = np.unique(hardware.bus, return_inverse=True)
    shared = not hardware.free_routing
    # Inputs each bus carries so far; with free routing the rows' fan-in says it all.
    carried = np.zeros((len(buses), target.n_inputs), bool) if shared else np.zeros((0, 0), bool)
    free = np.ones(hardware.n_neurons, bool)
    neuron_of = np.full(instance.n_rows, -1)
    shuffled = rng.permutation(instance.n_rows)
    for i in shuffled[np.argsort(-target.fan_in[shuffled], kind="stable")]:
        inputs = target.indices[target.row(i)]
        candidates = np.flatnonzero(free)
        shortage = np.maximum(len(inputs) - hardware.n_usable[candidates], 0)
        if hardware.hard_wired:
            shortage = shortage + [_unserved(hardware, j, inputs) for j in candidates.tolist()]
        if shared:
            new = len(inputs) - carried[:, inputs].sum(axis=1)
            over = np.maximum(carried.sum(axis=1) + new - hardware.n_cells, 0)
            shortage = shortage + over[bus_of[candidates]]
            if packed:
                shortage = shortage * (target.n_inputs + 1) + new[bus_of[candidates]]
        j = rng.choice(candidates[shortage == shortage.min()])
        neuron_of[i] = j
        free[j] = False
        if shared:
            carried[bus_of[j], inputs] = True
    return neuron_of


def _unserved(hardware: Hardware, j: int, inputs: np.ndarray) -> int:
    """How many of the inputs find no cell on neuron j, neither their own nor one that can listen to any."""
    own = hardware.input[j][hardware.usable[j]]
    return max(0, int((~np.isin(inputs, own)).sum() - (own < 0).sum()))


def drive_lines(
    instance: LayerInstance, rows: np.ndarray, neurons: np.ndarray, cell_of: np.ndarray, rng: np.random.Generator
) -> None:
    """Give the connections of `rows` their cells, in `cell_of`; those without a line keep -1.

    Each input takes one line, on which every row that needs the input has a usable cell.
    """
    target, usable = instance.target, instance.hardware.usable
    edges = np.concatenate([np.arange(target.indptr[i], target.indptr[i + 1]) for i in rows])
    neuron = np.repeat(neurons, target.fan_in[rows])
    inputs, input_of = np.unique(target.indices[edges], return_inverse=True)
    if len(rows) == 1 and not instance.hardware.hard_wired:  # one row alone: any of its usable cells
        cells = rng.permutation(np.flatnonzero(usable[neurons[0]]))[: len(edges)]
        served = rng.permutation(len(edges))[: len(cells)]
        cell_of[edges[served]] = cells[: len(served)]
        return
    allowed = np.ones((len(inputs), instance.hardware.n_cells), bool)
    own = instance.hardware.input[neuron]
    np.logical_and.at(allowed, input_of, usable[neuron] & ((own < 0) | (own == inputs[input_of, None])))
    line_of = _random_matching(allowed, rng)
    cell_of[edges] = line_of[input_of]


def _random_matching(allowed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A line for as many inputs as possible, -1 for the others; a largest matching under a random numbering."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if allowed.size == 0:
        return np.full(len(allowed), -1)
    row_order, column_order = rng.permutation(allowed.shape[0]), rng.permutation(allowed.shape[1])
    shuffled = csr_array(allowed[np.ix_(row_order, column_order)].astype(np.int8))
    matched = maximum_bipartite_matching(shuffled, perm_type="column")
    line_of = np.full(len(allowed), -1)
    line_of[row_order] = np.where(matched >= 0, column_order[matched], -1)
    return line_of
