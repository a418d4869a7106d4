"""Where XBTorch puts a layer on its crossbar: on the free rectangle with the fewest stuck cells.

    from xbtorch_mapping import fewest_faults
    accelerator = SimpleFixedPoint(.., stuck_percentage=5.0, xb_mapping_scheme=fewest_faults)
    model.initialize_array_mappings()

XBTorch keeps a layer's rows and columns in order, so that its place is all there is to choose; every place is tried.
"""

from typing import Any

import numpy as np


def fewest_faults(
    accelerator: Any, layer_shape: tuple[int, int], beta: int = 1, current_mappings: Any = None
) -> list[tuple[int, int]]:
    """First row and column of `beta` rectangles of this shape, by XBTorch's convention for mapping schemes."""
    taken = [] if current_mappings is None else current_mappings
    rows, columns = layer_shape
    sides = (accelerator.rows, accelerator.columns)
    faults = np.zeros(sides, dtype=np.int64)
    faults[tuple(np.asarray(index) for index in accelerator.defect_map[0])] = 1
    placed: list[tuple[int, int]] = []
    for _ in range(beta):
        blocked = faults.copy()
        for (row, column), (height, width) in taken:
            blocked[row : row + height, column : column + width] = rows * columns + 1
        sums = np.pad(blocked, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
        if not inside.size or inside.min() > rows * columns:
            raise ValueError(f"no free rectangle of {rows} x {columns} cells is left on {sides[0]} x {sides[1]}")
        row, column = np.unravel_index(int(inside.argmin()), inside.shape)
        placed.append((int(row), int(column)))
        taken.append((placed[-1], (rows, columns)))
    return placed
