"""The mapping of blocks onto their tiles: rows and lines of each annealed, then connections dealt to tiles anew."""

import numpy as np

from matchopt import Hardware, LayerInstance, LayerMapping, Limits, Target, kernels
from matchopt_parts.tiles_cover import Block

HOT, COLD = 0.6, 0.03  # first and last temperature as a share of a typical change of the error


class Tiles:
    """Neurons of all parts of all rows, and the line of every input on every tile.

    Parameters
    ----------
    layer : a layer with several neurons per row whose neurons share lines.
    blocks : what goes on which tile.
    """

    def __init__(self, layer: LayerInstance, blocks: list[Block]) -> None:
        self.layer, self.blocks = layer, blocks
        self.importance = layer.objective.importance(layer.target)
        self.neurons = [np.zeros(len(block.rows), int) for block in blocks]
        self.line = np.full((len(blocks), layer.target.n_inputs), -1)

    def place(self, b: int, scans: int, rng: np.random.Generator) -> None:
        """Anneal rows and lines of one tile."""
        block, chip = self.blocks[b], self.layer.hardware
        counts = [len(e) for e in block.connections]
        e = np.concatenate([np.zeros(0, int), *block.connections])
        if not len(e):
            self.neurons[b] = block.neurons[: len(block.rows)]
            return
        gain = np.repeat(block.gains, counts)
        rows = Target(
            np.concatenate([[0], np.cumsum(counts)]), self.layer.target.indices[e], self.layer.target.weights[e] / gain,
            self.layer.target.n_inputs, self.importance[e] * gain**2,
        )  # fmt: skip
        own = block.neurons
        tile = Hardware(chip.weights[own], chip.variance[own], chip.usable[own], chip.off[own], np.zeros(len(own), int))
        search = kernels.Crossbar(rows, tile, rng, drop=self.layer.rules.drop)
        search.anneal(scans, HOT * search.unit, (COLD / HOT) ** (1.0 / scans))
        search.resume()
        search.descend()
        search.polish()
        found, cells = search.best()
        self.neurons[b] = own[found]
        self.line[b] = -1
        self.line[b, rows.indices[cells >= 0]] = cells[cells >= 0]

    def deal(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every connection to the neuron of its row whose cell on its input's line is best: error, tile and part."""
        target, chip = self.layer.target, self.layer.hardware
        none = self.importance * target.weights**2 if self.layer.rules.drop else np.full(target.n_connections, np.inf)
        best, tile, part = none.copy(), np.full(target.n_connections, -1), np.full(target.n_connections, -1)
        for b, block in enumerate(self.blocks):
            for p, (i, g, j) in enumerate(zip(block.rows, block.gains, self.neurons[b], strict=True)):
                e = np.arange(*target.indptr[i : i + 2])
                k = self.line[b, target.indices[e]]
                error = (target.weights[e] - g * chip.weights[j, k]) ** 2 + g * g * chip.variance[j, k]
                error = np.where((k >= 0) & chip.usable[j, k], self.importance[e] * error, np.inf)
                better = e[error < best[e]]
                best[better], tile[better], part[better] = error[error < best[e]], b, p
        return best, tile, part

    def improve(self, scans: int, limits: Limits, rng: np.random.Generator) -> None:
        """Anneal every tile for the connections that it serves now, and those that nobody serves but it could."""
        for b, block in enumerate(self.blocks):
            if limits.reached():
                return
            error, tile, part = self.deal()
            before = float(error.sum())
            kept = self.neurons[b].copy(), self.line[b].copy(), block.connections
            mine = [np.flatnonzero((tile == b) & (part == p)) for p in range(len(block.rows))]
            lost = [e[tile[e] < 0] for e in block.connections]
            block.connections[:] = [np.union1d(one, other) for one, other in zip(mine, lost, strict=True)]
            self.place(b, scans, rng)
            if float(self.deal()[0].sum()) > before:
                self.neurons[b], self.line[b] = kept[:2]

    def _worthwhile(self, tile: np.ndarray, part: np.ndarray) -> np.ndarray:
        """The tiles of connections, -1 for those on lines that cost more than they serve, leaks on them included."""
        target, chip, tile = self.layer.target, self.layer.hardware, tile.copy()
        rest, every = target.dense(), np.arange(self.layer.n_rows)
        driven = []
        for b, block in enumerate(self.blocks):
            served, rows = np.flatnonzero(tile == b), np.unique(block.rows)
            for x in np.unique(target.indices[served]).tolist():
                e, k = served[target.indices[served] == x], self.line[b, x]
                j, p = self.neurons[b], part[e]
                real = block.gains * chip.off[j, k]
                real[p] = block.gains[p] * chip.weights[j[p], k]
                noise = float((self.importance[e] * block.gains[p] ** 2 * chip.variance[j[p], k]).sum())
                added = np.bincount(block.rows, real, minlength=len(every))[rows]
                rest[rows, x] -= added
                driven.append((e, x, rows, added, noise))
        weight = {x: self.layer.objective.diagonal(target, every, np.full(len(every), x)) for _, x, *_ in driven}
        changed = True
        while changed:
            changed = False
            for e, x, rows, added, noise in driven:
                more = float((weight[x][rows] * ((rest[rows, x] + added) ** 2 - rest[rows, x] ** 2)).sum())
                if (tile[e] >= 0).any() and more < noise:
                    tile[e], changed = -1, True
                    rest[rows, x] += added
        return tile

    def mapping(self) -> LayerMapping | None:
        """The mapping as it stands, None where a row has no neuron left or a connection nobody serves it."""
        error, tile, part = self.deal()
        if np.isinf(error).any():
            return None
        if self.layer.rules.drop and bool(np.any(self.layer.hardware.off)):
            tile = self._worthwhile(tile, part)
        flat = [(int(i), b, p) for b, block in enumerate(self.blocks) for p, i in enumerate(block.rows)]
        place = {(b, p): a for a, (_, b, p) in enumerate(sorted(flat))}
        neuron_of = [int(self.neurons[b][p]) for _, b, p in sorted(flat)]
        gain = [float(self.blocks[b].gains[p]) for _, b, p in sorted(flat)]
        row = [i for i, _, _ in sorted(flat)]
        target, served = self.layer.target, tile >= 0
        cell_of = np.where(served, self.line[tile, target.indices], -1)
        place_of = np.array([place.get(key, 0) for key in zip(tile.tolist(), part.tolist(), strict=True)], int)
        found = self._completed(np.array(neuron_of), np.array(gain), np.array(row), cell_of, place_of)

        if found is None or self.layer.rules.neurons_per_row > 1:
            return found
        return min((each for each in (found, self._rewired(found)) if each is not None), key=self.layer.value)

    def _rewired(self, found: LayerMapping) -> LayerMapping | None:
        """The best mapping with these neurons and lines, where every row has one neuron."""
        buses, inputs = np.unique(self.layer.hardware.bus), np.unique(self.layer.target.indices)
        lines = np.full((len(buses), len(inputs)), -1)
        for b, block in enumerate(self.blocks):
            bus = self.layer.hardware.bus[block.neurons[0]]
            lines[np.searchsorted(buses, bus)] = self.line[b, inputs]
        return kernels.wire_lines(self.layer, found.neuron_of, lines)

    def _completed(
        self, neuron_of: np.ndarray, gain: np.ndarray, row: np.ndarray, cell_of: np.ndarray, place_of: np.ndarray
    ) -> LayerMapping | None:
        """With a neuron that listens to nothing for every row without any."""
        missing = np.setdiff1d(np.arange(self.layer.n_rows), row)
        free = np.setdiff1d(np.arange(self.layer.hardware.n_neurons), neuron_of)
        if len(missing) > len(free):
            return None
        order = np.argsort(np.concatenate([row, missing]), kind="stable")
        moved = np.argsort(order)
        return LayerMapping.from_cells(
            self.layer.target,
            np.concatenate([neuron_of, free[: len(missing)]])[order].astype(np.int64),
            cell_of,
            np.concatenate([gain, np.full(len(missing), self.layer.rules.gains.default)])[order],
            row=np.concatenate([row, missing])[order].astype(np.int64),
            place_of=moved[place_of],
        )
