"""Which rows and inputs of a layer go on which tile: one dense block of the target after the other."""

from dataclasses import dataclass

import numpy as np

from matchopt import Hardware, LayerInstance

TURNS = 6  # of rows for inputs and inputs for rows; most blocks settle in three


@dataclass(frozen=True, eq=False)
class Block:
    """Part of a layer on one tile.

    Parameters
    ----------
    neurons : hardware neurons of the tile.
    rows, gains : row and gain of each of its parts.
    connections : for each part the connections that it serves.
    """

    neurons: np.ndarray
    rows: np.ndarray
    gains: np.ndarray
    connections: list[np.ndarray]


def best_gains(layer: LayerInstance) -> np.ndarray:
    """The gain of each connection at which half of the usable cells come nearest to its weight."""
    cells = layer.hardware.weights[layer.hardware.usable]
    typical = np.quantile(cells, np.linspace(0.1, 0.9, 9)) if len(cells) else np.zeros(1)
    gains = np.array(layer.rules.gains.values or (1.0,))
    errors = np.abs(layer.target.weights[:, None, None] - gains[:, None] * typical)
    return np.asarray(np.median(np.sort(errors, axis=2)[:, :, :5], axis=2).argmin(axis=1))


def lines_of(chip: Hardware, neurons: np.ndarray) -> int:
    """Lines of a tile on which half of the cells can be used and none leaks, at least one."""
    healthy = (2 * chip.usable[neurons].sum(axis=0) >= max(1, len(neurons))) & ~np.any(chip.off[neurons] != 0.0, axis=0)
    return max(1, int(healthy.sum()))


def cover(layer: LayerInstance, kept: np.ndarray, gain_of: np.ndarray) -> list[Block]:
    """Blocks that together serve as much of the connections in `kept` as the tiles hold, best tiles first.

    Greedy: on each tile the inputs and parts of rows are chosen by turns that carry most squared weight not yet served.
    """
    target, chip, rules = layer.target, layer.hardware, layer.rules
    if target.n_connections == 0:
        return []
    gains = np.array(rules.gains.values or (1.0,))
    worth = layer.objective.importance(target) * target.weights**2 + 1e-300
    part_of = target.row_of * len(gains) + gain_of
    left = np.zeros((layer.n_rows * len(gains), target.n_inputs))
    left[part_of[kept], target.indices[kept]] = worth[kept]
    number = np.full(left.shape, -1)
    number[part_of, target.indices] = np.arange(target.n_connections)
    room = np.full(layer.n_rows, rules.neurons_per_row)
    tiles = [np.flatnonzero(chip.bus == bus) for bus in np.unique(chip.bus)]
    tiles.sort(key=lambda neurons: -lines_of(chip, neurons))
    blocks, spare = [], chip.n_neurons - layer.n_rows
    for neurons in tiles:
        open_ = left * (np.repeat(room, len(gains)) > 0)[:, None]
        most, started = (len(neurons), lines_of(chip, neurons)), room < rules.neurons_per_row
        rows, inputs = _dense(open_, most, room, started, spare)
        if not len(rows):
            continue
        taken = [inputs[open_[r, inputs] > 0] for r in rows]
        owners = rows // len(gains)
        spare -= len(owners) - int((~started[np.unique(owners)]).sum())
        np.subtract.at(room, owners, 1)
        served = [number[r, x] for r, x in zip(rows, taken, strict=True)]
        blocks.append(Block(neurons, owners, gains[rows % len(gains)], served))
        left[np.ix_(rows, inputs)] = 0.0
    return blocks


def _dense(
    worth: np.ndarray, most: tuple[int, int], room: np.ndarray, started: np.ndarray, spare: int
) -> tuple[np.ndarray, np.ndarray]:
    """So many parts and inputs that carry much, found by turns."""
    inputs = np.argsort(-worth.sum(axis=0), kind="stable")[: most[1]]
    rows = np.zeros(0, int)
    for _ in range(TURNS):
        carried = worth[:, inputs].sum(axis=1)
        order = np.argsort(-carried, kind="stable")
        chosen = _admitted(order[carried[order] > 0], len(worth) // len(room), most[0], room, started, spare)
        if np.array_equal(chosen, rows):
            break
        rows = chosen
        heard = worth[rows].sum(axis=0)
        inputs = np.argsort(-heard, kind="stable")[: most[1]]
        inputs = inputs[heard[inputs] > 0]
    return rows, np.sort(inputs)


def _admitted(
    parts: np.ndarray, gains: int, most: int, room: np.ndarray, started: np.ndarray, spare: int
) -> np.ndarray:
    """The first parts that leave every row within its number, and a neuron for each row that has none yet."""
    chosen: list[int] = []
    count = np.zeros(len(room), int)
    for r in parts.tolist():
        i = r // gains
        further = bool(started[i] or count[i])
        if count[i] < room[i] and (spare > 0 or not further) and len(chosen) < most:
            chosen.append(r)
            count[i] += 1
            spare -= further
    return np.array(chosen, int)
