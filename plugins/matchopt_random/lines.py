"""Random wiring of one bus: which of its lines carries which input."""

import numpy as np

from matchopt import LayerInstance


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
    if len(rows) == 1:  # one row alone: any of its usable cells
        cells = rng.permutation(np.flatnonzero(usable[neurons[0]]))[: len(edges)]
        served = rng.permutation(len(edges))[: len(cells)]
        cell_of[edges[served]] = cells[: len(served)]
        return
    allowed = np.ones((len(inputs), instance.hardware.n_cells), bool)
    np.logical_and.at(allowed, input_of, usable[neuron])
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
