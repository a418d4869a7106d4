"""Programming masks: a mapping as one archive of arrays in the shapes of the chip's own, for writing switches at once.

NAME is that of the array in the chip's file, or the file's without its ending, or `layerN` where hardware was drawn;
all but the first of one name have their number among the arrays behind it.

- `NAME`: which cells are switched on, shape (rows, columns) as in the file;
- `NAME.input`: the input that each of them listens to, -1 elsewhere;
- `NAME.layer`, `NAME.row`: the target neuron that each row of the array serves, -1 for none;
- `NAME.factor`: what the measured sum of each row is multiplied by: its gain times the scale of its layer, with the
  other sign in G- of free pairs; of copies the mean counts;
- `NAME.written`: values to write into cells, in the chip's unit, NaN elsewhere; only where there are some.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from matchopt.formats.atomic import write_bytes
from matchopt.formats.wiring import Wire, layers_of, wires_of
from matchopt.instances import Instance, Solution


def write_masks(solution: Solution, instance: Instance, path: Path) -> None:
    """Write the masks of a mapping of `instance`; fully tunable weights are no cells, and left to wiring tables.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    held = io.BytesIO()
    np.savez_compressed(held, **_masks(solution, instance))  # type: ignore[arg-type]  # names are free
    write_bytes(path, held.getvalue())


def write_mask_tables(solution: Solution, instance: Instance, path: Path) -> tuple[Path, ...]:
    """Write which cells are switched on as CSV, 1 or 0 in the shape of the array; the wiring table says the rest.

    Returns
    -------
    tuple of Path
        the file; where the chip has several arrays, one for each, with NAME before the ending.
    """
    masks = {name: on for name, on in _masks(solution, instance).items() if on.dtype == bool}
    named: dict[Path, np.ndarray] = {}
    for number, (name, on) in enumerate(masks.items()):
        plain = re.sub(r"[^\w-]", "_", name)[:80]  # it comes from a file, and leads nowhere
        file = path.with_name(f"{path.stem}.{plain}.csv") if len(masks) > 1 else path
        named[file if file not in named else file.with_name(f"{path.stem}.{plain}_{number}.csv")] = on
    for file, on in named.items():
        lines = [",".join(map(str, row)) for row in on.astype(int).tolist()]
        write_bytes(file, "".join(f"{line}\n" for line in lines).encode())
    return tuple(named)


def _masks(solution: Solution, instance: Instance) -> dict[str, np.ndarray]:
    shapes: dict[tuple[str, str], tuple[int, int]] = {}
    signs, names = {}, dict[tuple[str, str], str]()
    for array, shape, sign in _arrays(instance):
        before = shapes.get(array, (0, 0))
        shapes[array], signs[array] = (max(shape[0], before[0]), max(shape[1], before[1])), sign
    for file, name in shapes:
        stem = Path(file).name.removesuffix(".gz").rpartition(".")[0] or Path(file).name
        short = name or stem
        names[file, name] = short if short not in names.values() else f"{short}_{len(names)}"
    found: dict[str, np.ndarray] = {}
    for array, shape in shapes.items():
        name, rows = names[array], shape[0]
        found |= {name: np.zeros(shape, bool), f"{name}.input": np.full(shape, -1)}
        found |= {f"{name}.{what}": np.full(rows, -1) for what in ("layer", "row")}
        found |= {f"{name}.factor": np.ones(rows)}
    for wire in wires_of(solution, instance):
        array, row, column, scale = _place(wire)
        name, scale = names[array], scale * signs[array]
        found[f"{name}.layer"][row], found[f"{name}.row"][row] = wire.layer, wire.row
        found[f"{name}.factor"][row] = wire.gain * scale
        if wire.cell is not None:
            found[name][row, column], found[f"{name}.input"][row, column] = True, wire.input
        if wire.written is not None:
            values = found.setdefault(f"{name}.written", np.full(shapes[array], np.nan))
            values[row, column] = wire.written / scale
    return found


def _arrays(instance: Instance) -> Iterator[tuple[tuple[str, str], tuple[int, int], float]]:
    """File and name of every array of the chip, its shape, and the sign of its cells."""
    for number, layer in enumerate(layers_of(instance)):
        chip = layer.hardware
        if chip.origin is None:
            yield ("", f"layer{number}"), (int(chip.neuron.max(initial=-1)) + 1, chip.n_cells), 1.0
        for place in () if chip.origin is None else chip.origin.places:
            width = place.column + (place.cells or chip.n_cells)
            yield (place.file, place.array), (place.row + place.neurons, width), -1.0 if place.first_cell else 1.0


def _place(wire: Wire) -> tuple[tuple[str, str], int, int, float]:
    """File and name of the wire's array, row and column there, and the scale of its layer."""
    at: Any = wire.on_chip
    if at is None:
        return ("", f"layer{wire.layer}"), wire.neuron, wire.cell or 0, 1.0
    return (at.file, at.array), at.chip_row, at.chip_column or 0, at.scale
