"""Branch and bound over a layer on one bus: its costs for the compiled loops, and trees searched side by side."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from matchopt import LayerInstance, LayerMapping, Limits, best_states, kernels
from matchopt_crossbar.ascent import ConnectionCosts
from matchopt_crossbar.exact_loops import TIED, Layer, Tree, descend, open_node, search, tree
from matchopt_crossbar.layer import places

CHUNK = 200  # nodes between two looks at the clock
ROUNDS = 8  # of the ascent at a node, at most
PARTS = 16  # subtrees for each thread


def compiled_layer(layer: LayerInstance) -> tuple[Layer, int, int]:
    """The costs of all connections on all cells, and the numbers of rows and of inputs with connections.

    A neuron has a place for each gain. Where cells leak, a row's other inputs have connections of their own, which cost
    what the cell leaks. Where connections may be dropped, lines are added until there is one for every input, and where
    cells leak as well, one more for every input: a line that is not driven does not leak.
    """
    target, costs, leaks = layer.target, ConnectionCosts(layer), bool(np.any(layer.hardware.off))
    inputs, input_of = np.unique(target.indices, return_inverse=True)
    gains = layer.rules.gains.values or ()
    every, row_of = slice(None), target.row_of
    cost = _by_place([costs.at(every, gain) for gain in gains])
    forced = leaks and layer.rules.drop
    factor = layer.objective.importance(target)[:, None, None]
    with np.errstate(invalid="ignore"):
        wired = _by_place([factor * costs.wired(every, gain) for gain in gains])
    more = wired - cost if forced else np.zeros((0, 1, 1))
    if leaks:
        silent = np.ones((layer.n_rows, len(inputs)), bool)
        silent[row_of, input_of] = False
        rows, others = np.nonzero(silent)
        counts = layer.objective.diagonal(target, rows, inputs[others])[:, None, None]
        leak, listen = _spilled(layer)
        order = np.argsort(np.concatenate([row_of, rows]), kind="stable")
        cost = np.concatenate([cost, counts * leak])[order]
        row_of, input_of = (np.concatenate(pair)[order] for pair in ((row_of, rows), (input_of, others)))
        with np.errstate(invalid="ignore"):
            more = np.concatenate([more, counts * listen])[order] if forced else more
    extra = (len(inputs) if forced else max(0, len(inputs) - layer.hardware.n_cells)) if layer.rules.drop else 0
    if extra:
        dropped = np.zeros((len(row_of), 1, 1))
        dropped[:, 0, 0][_inside(layer, row_of, inputs[input_of])] = factor[:, 0, 0] * target.weights**2
        cost = np.concatenate([cost, np.broadcast_to(dropped, (*cost.shape[:2], extra))], axis=2)
    starts = [np.concatenate([[0], np.cumsum(np.bincount(of, minlength=size))])
              for of, size in ((row_of, layer.n_rows), (input_of, len(inputs)))]  # fmt: skip
    by_input = np.argsort(input_of, kind="stable")
    tables = [np.ascontiguousarray(cost), np.where(np.isnan(more), np.inf, more)]
    made = Layer._make([*tables, *starts, by_input, row_of, input_of, len(gains), ROUNDS])
    return made, layer.n_rows, len(inputs)


def _by_place(costs: list[np.ndarray]) -> np.ndarray:
    """Costs at each gain, shape (connections, neurons, cells), as places of neurons with their gains."""
    stacked = np.stack(costs, axis=2)
    return stacked.reshape(len(stacked), -1, stacked.shape[3])


def _spilled(layer: LayerInstance) -> tuple[np.ndarray, np.ndarray]:
    """What a cell on a driven line costs a row without that input, and how much more if it has to listen."""
    chip, gains = layer.hardware, np.array(layer.rules.gains.values)[None, :, None]
    leak, (neurons, cells) = chip.off[:, None] ** 2, places(chip)
    listens = best_states(chip, neurons, cells, np.zeros(chip.usable.shape))[0][:, None]
    listens = np.where(layer.rules.extra_inputs, listens, np.inf)
    least, shape = np.minimum(leak, listens), (1, -1, chip.n_cells)
    return (gains**2 * least).reshape(shape), (gains**2 * (listens - least)).reshape(shape)


def _inside(layer: LayerInstance, row: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Which of these pairs are connections; they are in the order of the target's."""
    return np.isin(layer.target.keys(row, x), layer.target.keys(layer.target.row_of, layer.target.indices))


class TreeSearch:
    """The search for a mapping better than a given value, until none is left or a limit is reached.

    Parameters
    ----------
    layer : a layer on one bus.
    best : value to beat; above that of every mapping where none is known.
    limits : time, nodes as iterations, and threads.
    """

    def __init__(self, layer: LayerInstance, best: float, limits: Limits) -> None:
        self._layer, self._limits = layer, limits
        self._compiled, self._rows, self._cols = compiled_layer(layer)
        self._best = np.array([best - TIED * abs(best)])
        self._open: dict[int, float] = {}  # least bound of each part that is not done
        self._trees: list[Tree] = []

    def run(self) -> bool:
        """Search; returns whether all is done."""
        root = self._new()
        threads = max(1, self._limits.threads)
        if threads == 1:
            return self._finish(0, root, 0)
        parts = self._split(root, PARTS * threads)
        self._open = {number: float(part[3]) for number, part in enumerate(parts)}

        def work(number: int) -> bool:
            own = self._new()
            for array, value in zip((own.rows_open[0], own.cols_open[0], own.share[0]), parts[number], strict=False):
                array[:] = value
            own.value[0], own.left[0] = parts[number][4], -1
            return self._finish(number, own, 0)

        with ThreadPoolExecutor(threads) as pool:
            return all(list(pool.map(work, range(len(parts)))))

    @property
    def best(self) -> LayerMapping | None:
        """The best mapping found, None where nothing beats the value that was given."""
        found = min(self._trees, key=lambda each: float(each.mine[0]))
        if not np.isfinite(found.mine[0]):
            return None
        line_of = found.found[self._rows :]
        lines = np.where(line_of < self._layer.hardware.n_cells, line_of, -1)
        return kernels.wire_lines(self._layer, found.found[: self._rows] // self._compiled.gains, lines[None, :])

    @property
    def nodes(self) -> int:
        """Nodes visited."""
        return int(sum(each.count[0] for each in self._trees))

    @property
    def bound(self) -> float:
        """No mapping is better than this, up to rounding."""
        return min([float(self._best[0]), *self._open.values()])

    def _new(self) -> Tree:
        made = tree(self._compiled, self._rows, self._cols, self._best)
        made.left[0] = -1
        self._trees.append(made)
        return made

    def _finish(self, number: int, own: Tree, floor: int) -> bool:
        depth = floor
        self._open.setdefault(number, 0.0)
        while depth >= floor:
            if self._limits.reached() or (self._limits.iterations or np.inf) <= self.nodes:
                return False
            depth = int(search(self._compiled, own, depth, floor, CHUNK))
            if depth > floor:
                self._open[number] = max(self._open[number], _least_open(own, depth))
        self._open.pop(number, None)
        return True

    def _split(self, root: Tree, most: int) -> list[tuple[Any, ...]]:
        """Nodes that together hold the whole tree, breadth first."""
        nodes = [(root.rows_open[0].copy(), root.cols_open[0].copy(), root.share[0].copy(), 0.0, 0.0)]
        done = 0
        while 0 < len(nodes) < most and done < most and not self._limits.reached():
            rows, cols, share, _, value = nodes.pop(0)
            root.rows_open[0], root.cols_open[0], root.share[0], root.value[0] = rows, cols, share, value
            open_node(self._compiled, root, 0)
            done += 1
            for at in reversed(range(int(root.left[0]))):
                descend(self._compiled, root, 0, root.places[0, at])
                below = (root.rows_open[1].copy(), root.cols_open[1].copy(), root.share[1].copy())
                nodes.append((*below, float(root.bounds[0, at]), float(root.value[1])))
        return nodes


def _least_open(own: Tree, depth: int) -> float:
    """The least bound of all that is left of a tree, up to the node about to be opened."""
    waiting = [float(own.bounds[d, : max(0, own.left[d])].min(initial=np.inf)) for d in range(depth + 1)]
    begun = [float(own.bounds[d, own.left[d]]) for d in range(depth)]
    return min([*waiting, begun[-1] if own.left[depth] < 0 else np.inf])
