"""Proofs that an instance has no feasible solution: too few columns, or neurons, for some set of rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from matchopt.instances import (
    Assignment,
    AssignmentInstance,
    Instance,
    LayerInstance,
    LayerMapping,
    NetworkInstance,
    NetworkMapping,
    ProgramInstance,
    ProgramPoint,
    Solution,
)
from matchopt.instances.demands import ANY_AT_0_1, understanding


# No rule of these lets a row do with fewer cells, which is all that is counted; sharing a chip only takes cells away.
@understanding(
    "the proof of infeasibility",
    ANY_AT_0_1
    | {"several-neurons", "copies", "one-chip", "chained", "programmable-cells"}
    | {"write-budget", "hard-wired"},
)
def certify_infeasible(instance: Instance) -> bool | None:
    """Whether `instance` is proved infeasible, without help from any solver.

    Parameters
    ----------
    instance : an assignment (decided either way), or a layer or network, of which infeasibility is proved where some
        rows together fit fewer neurons than they are (by their numbers of cells, whatever the other rules say).

    Returns
    -------
    bool or None
        True with a proof in hand; False where a feasible solution was found; None where neither is known.

    Raises
    ------
    Refused
        when the instance has a demand that may change how many cells a row needs.

    References
    ----------
    P. Hall, "On representatives of subsets", Journal of the London Mathematical Society 10, 1935,
    doi:10.1112/jlms/s1-10.37.26.
    """
    match instance:
        case AssignmentInstance():
            return _decide(instance)
        case LayerInstance():
            return _too_few(instance)
        case NetworkInstance() if instance.one_chip and not any(_split(layer) for layer in instance.layers):
            return _decide(_fitting_chip(instance)) or None
        case NetworkInstance():
            return any(_too_few(layer) for layer in instance.layers) or None
    return None


def constructed(instance: Instance) -> Solution | None:
    """A plain solution to try, feasible or not: nothing is minimised, and only the simplest rules are kept.

    Parameters
    ----------
    instance : of a layer the rows are matched to neurons with cells enough and wired to these in order, or not at all
        where connections may be dropped; of a program every variable is as near to 0 as its bounds allow.

    Returns
    -------
    Solution or None
        None where the rows fit no neurons, and for assignments, which `certify_infeasible` decides.
    """
    match instance:
        case LayerInstance():
            return _wired(instance, _matched(_fitting(instance))[1])
        case NetworkInstance():
            layers = [_wired(layer, own) for layer, own in zip(instance.layers, _neurons_of(instance), strict=True)]
            return NetworkMapping(tuple(layers)) if None not in layers else None  # type: ignore[arg-type]
        case ProgramInstance():
            near = np.clip(0.0, instance.low, instance.high)
            return ProgramPoint(np.where(instance.integral, np.ceil(near), near)) if np.isfinite(near).all() else None
    return None


def _neurons_of(network: NetworkInstance) -> list[Int[np.ndarray, " rows"]]:
    """The neuron that each row of each layer is matched to, -1 for none."""
    if not network.one_chip:
        return [_matched(_fitting(layer))[1] for layer in network.layers]
    found, start = [], 0
    _, chosen = _matched(_fitting_chip(network))
    for layer in network.layers:
        at = {number: j for j, number in enumerate(layer.hardware.neuron.tolist())}
        numbers = np.append(_numbers(network), -1)[chosen[start : start + layer.n_rows]]  # -1 stays -1
        found.append(np.array([at.get(number, -1) for number in numbers.tolist()], dtype=np.int64))
        start += layer.n_rows
    return found


def _wired(layer: LayerInstance, neuron_of: Int[np.ndarray, " rows"]) -> LayerMapping | None:
    if neuron_of.min(initial=0) < 0:
        return None
    target, rules, usable = layer.target, layer.rules, layer.hardware.usable[neuron_of]
    cell_of = np.full(target.n_connections, -1)
    if not rules.drop and layer.hardware.hard_wired:
        for e, (i, x) in enumerate(zip(target.row_of.tolist(), target.indices.tolist(), strict=True)):
            own = np.flatnonzero(usable[i] & (layer.hardware.input[neuron_of[i]] == x))
            cell_of[e] = own[0] if len(own) else -1
    elif not rules.drop and layer.hardware.free_routing:
        for i in range(layer.n_rows):
            cells = np.flatnonzero(usable[i])[: target.fan_in[i]]
            cell_of[target.indptr[i] : target.indptr[i] + len(cells)] = cells
    elif not rules.drop:  # each input on a line of its own, the same for all
        line_of = np.unique(target.indices, return_inverse=True)[1]
        fits = line_of < layer.hardware.n_cells
        fits[fits] = usable[target.row_of[fits], line_of[fits]]
        cell_of[fits] = line_of[fits]
    left = np.zeros(0, np.int64) if rules.drop else np.flatnonzero(cell_of < 0)
    gains = rules.gains
    gain = np.full(layer.n_rows, gains.low if gains.values is None else gains.values[0])
    return LayerMapping.from_cells(target, neuron_of, cell_of, gain, left)


def _decide(instance: AssignmentInstance) -> bool | None:
    """Match rows to allowed columns; an unmatched row leads to a set of rows with too few columns."""
    columns_of, col_of = _matched(instance)
    if bool((col_of >= 0).all()):
        cost = instance.value(Assignment(col_of))
        distinct = len(np.unique(col_of)) == instance.n_rows
        return False if distinct and cost < np.inf else None
    return _violator(columns_of, col_of, instance.n_cols) is not None or None


def _violator(
    columns_of: list[np.ndarray], col_of: Int[np.ndarray, " rows"], n_cols: int
) -> tuple[list[int], list[int]] | None:
    """Rows with fewer columns than they are many, and these columns; None where they are not so few.

    No row can be spared: all but any one of them are matched to the columns, along the paths that reached it.
    """
    rows = _reached(columns_of, col_of, int(np.argmin(col_of)), n_cols)
    allowed = set().union(*(columns_of[i].tolist() for i in rows))
    return (sorted(rows), sorted(allowed)) if len(allowed) < len(rows) else None  # counted, so nothing is believed


@dataclass(frozen=True)
class Crowded:
    """Rows that together fit fewer columns, or hardware neurons, than they are many; no row can be spared.

    Parameters
    ----------
    rows : (layer, row) each; the layer is 0 of an assignment or of a single layer.
    columns : what any of them fits: columns, or numbers of neurons.
    """

    rows: tuple[tuple[int, int], ...]
    columns: tuple[int, ...]


@understanding(
    "the search for rows that are too many",
    ANY_AT_0_1 | {"one-chip", "programmable-cells", "write-budget", "hard-wired"},
)
def crowded(instance: Instance) -> Crowded | None:
    """A smallest reason why an assignment, a layer or a network has no solution, where it is one of numbers of cells.

    Parameters
    ----------
    instance : whose rows may have one hardware neuron each.

    Raises
    ------
    Refused
        when the instance has a demand that may change how many cells a row needs.
    """
    tables: list[tuple[AssignmentInstance, list[tuple[int, int]], list[int]]] = []
    match instance:
        case AssignmentInstance():
            tables = [(instance, [(0, i) for i in range(instance.n_rows)], list(range(instance.n_cols)))]
        case NetworkInstance() if instance.one_chip:
            rows = [(n, i) for n, layer in enumerate(instance.layers) for i in range(layer.n_rows)]
            tables = [(_fitting_chip(instance), rows, _numbers(instance).tolist())]
        case LayerInstance() | NetworkInstance():
            for n, layer in enumerate(instance.layers if isinstance(instance, NetworkInstance) else [instance]):
                rows = [(n, i) for i in range(layer.n_rows)]
                tables.append((_fitting(layer), rows, layer.hardware.neuron.tolist()))
    for table, rows, names in tables:
        columns_of, col_of = _matched(table)
        found = None if bool((col_of >= 0).all()) else _violator(columns_of, col_of, table.n_cols)
        if found is not None:
            return Crowded(tuple(rows[i] for i in found[0]), tuple(names[k] for k in found[1]))
    return None


def _matched(instance: AssignmentInstance) -> tuple[list[np.ndarray], Int[np.ndarray, " rows"]]:
    """The allowed columns of every row, and the column it is matched to, -1 for none."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    columns_of = [instance.row(i)[0] for i in range(instance.n_rows)]
    indptr = np.concatenate([[0], np.cumsum([len(columns) for columns in columns_of])]).astype(np.int32)
    indices = np.concatenate([np.zeros(0, np.int64), *columns_of]).astype(np.int32)
    graph = csr_array((np.ones(len(indices), np.int8), indices, indptr), shape=(instance.n_rows, instance.n_cols))
    return columns_of, np.asarray(maximum_bipartite_matching(graph, perm_type="column"), dtype=np.int64)


def _reached(columns_of: list[np.ndarray], col_of: Int[np.ndarray, " rows"], start: int, n_cols: int) -> list[int]:
    """The rows that alternating paths reach from an unmatched row."""
    row_of = np.full(n_cols, -1)
    row_of[col_of[col_of >= 0]] = np.flatnonzero(col_of >= 0)
    rows, seen, turn = [start], {start}, 0
    while turn < len(rows):
        for other in row_of[columns_of[rows[turn]]].tolist():
            if other >= 0 and other not in seen:
                seen.add(other)
                rows.append(other)
        turn += 1
    return rows


def _too_few(layer: LayerInstance) -> bool | None:
    """Whether some rows need more hardware neurons than there are; None where that is not shown."""
    most = layer.rules.neurons_per_row
    if not _split(layer):
        return _decide(_fitting(layer)) or None
    held = np.cumsum(np.sort(layer.hardware.n_usable)[::-1])  # by the widest neurons
    needed = 1 + np.searchsorted(held, layer.target.fan_in - layer.rules.tunable)
    return bool((needed > min(most, len(held))).any() or needed.sum() > len(held)) or None


def _split(layer: LayerInstance) -> bool:
    """Whether a row may need more than one hardware neuron."""
    return layer.rules.neurons_per_row > 1 and not layer.rules.drop


def _fitting(layer: LayerInstance) -> AssignmentInstance:
    """Which rows have cells enough where: without drops, each connection takes a cell or a tunable weight.

    Connections without a usable cell that is hard-wired to their input take one that can listen to any.
    """
    target, chip, spare = layer.target, layer.hardware, layer.rules.tunable
    fits = np.ones((layer.n_rows, chip.n_neurons), bool)
    if not layer.rules.drop:
        fits = target.fan_in[:, None] - spare <= chip.n_usable[None, :]
    for j in range(chip.n_neurons if chip.hard_wired and not layer.rules.drop else 0):
        own = np.zeros(target.n_inputs + 1, bool)
        own[chip.input[j][chip.usable[j]]] = True  # the last for -1, any input
        left = np.bincount(target.row_of[~own[target.indices]], minlength=layer.n_rows)
        fits[:, j] &= left - spare <= int((chip.usable[j] & (chip.input[j] < 0)).sum())
    return AssignmentInstance(np.where(fits, 0.0, np.inf))


def _numbers(network: NetworkInstance) -> Int[np.ndarray, " neurons"]:
    """Of all neurons that the one chip offers its layers."""
    return np.unique(np.concatenate([layer.hardware.neuron for layer in network.layers]))


def _fitting_chip(network: NetworkInstance) -> AssignmentInstance:
    """The same for all rows of all layers; columns are the neurons of the one chip."""
    numbers = _numbers(network)
    blocks = []
    for layer in network.layers:
        block = np.full((layer.n_rows, len(numbers)), np.inf)
        block[:, np.searchsorted(numbers, layer.hardware.neuron)] = _fitting(layer).dense
        blocks.append(block)
    return AssignmentInstance(np.concatenate(blocks))
