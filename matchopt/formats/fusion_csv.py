"""Conductances in the CSV that IBM's Fusion chip takes and gives: layers, one below the other, in microsiemens.

Five lines of headings have a value for each layer: its number, the class that it has in aihwkit, how many conductances
it has, its rows, its columns. A sixth has its name. Then comes a line for each layer, row after row. Signs are those of
G+ minus G-, one of which is 0 in such files.

References
----------
IBM/aihwkit, `aihwkit/utils/export.py` (`fusion_export`, `fusion_import`).
"""

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np

from matchopt.errors import InvalidSolution
from matchopt.formats.atomic import write_bytes
from matchopt.formats.chip_units import parse_unit
from matchopt.formats.number_table import reading
from matchopt.formats.numbers import number_text
from matchopt.formats.sources import Source
from matchopt.formats.wiring import layers_of, wires_of
from matchopt.instances import Instance, Solution

UNIT = "uS"
HEADINGS = 6
MAX_DIGITS = 18  # of a number of cells


def is_fusion(source: Source) -> bool:
    """Whether the file begins like one: whole numbers, classes, and three lines of whole numbers, equally many."""
    lines = [line.strip().split(",") for line in source.start.decode("utf-8", "replace").splitlines()[:HEADINGS]]
    if len(lines) < HEADINGS or len({len(line) for line in lines}) > 1:
        return False
    whole = [all(word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS for word in line) for line in lines]
    return whole[0] and all(whole[2:5]) and all(word.isidentifier() for word in lines[1])


def read_fusion(source: Source, dead: bool) -> dict[str, dict[str, np.ndarray]]:
    """The array of every layer, by its name, in microsiemens.

    Parameters
    ----------
    source : a file that `is_fusion`.
    dead : whether cells without a reading cannot be used; else they are refused.

    Raises
    ------
    FormatError
        naming the line.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(source.words), strict=True) if line]
    except csv.Error as cause:
        raise source.error(f"not CSV: {cause}") from None
    sizes, heights, widths = ([int(word) for word in line] for line in lines[2:5])
    names = lines[HEADINGS - 1]
    if len(set(names)) < len(names):
        raise source.error("two layers have the same name", HEADINGS)
    if len(lines) != HEADINGS + len(names):
        raise source.error(f"{len(names)} layers need a line each, found {len(lines) - HEADINGS}")
    found = {}
    for n, (name, words) in enumerate(zip(names, lines[HEADINGS:], strict=True)):
        if not heights[n] * widths[n] == sizes[n] == len(words):
            raise source.error(f"layer {name[:40]!r} has {heights[n]} x {widths[n]} cells and {sizes[n]} conductances "
                               f"by its headings, found {len(words)} values", HEADINGS + 1 + n)  # fmt: skip
        fail = partial(source.error, line=HEADINGS + 1 + n)
        values = np.array([reading(word.strip(), dead, fail) for word in words])
        found[name] = {"weights": values.reshape(heights[n], widths[n])}
    return found


def write_fusion(solution: Solution, instance: Instance, path: Path) -> None:
    """Write the conductances of a mapping: for each layer a row for each target neuron, a column for each input.

    Of a wire the measured value of its cell counts, in microsiemens, added up where several have one input; cells that
    no wire uses are 0. Gains, scales and biases are digital and not in such a file.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance, has weights that are no measured conductance, or rows with several
        hardware neurons.
    """
    layers = layers_of(instance)
    matrices = [np.zeros((layer.n_rows, layer.target.n_inputs)) for layer in layers]
    neurons: dict[tuple[int, int], int] = {}
    for wire in wires_of(solution, instance):
        at = wire.on_chip
        unit = None if at is None else parse_unit(at.unit)
        where = f"layer {wire.layer}, row {wire.row}"
        if unit is None or unit.quantity != "conductance":
            raise InvalidSolution(f"{where}: a Fusion CSV holds conductances, and the values of the chip have the unit "
                                  f"{'' if at is None else at.unit!r}; say S or uS (export --unit)")  # fmt: skip
        if (
            wire.tunable
            or wire.written is not None
            or neurons.setdefault((wire.layer, wire.row), wire.neuron) != wire.neuron
        ):
            raise InvalidSolution(f"{where}: a Fusion CSV holds measured cells of one hardware neuron for each row, "
                                  "and none to be written")  # fmt: skip
        if at is not None and at.value is not None and wire.input is not None:
            power = unit.power + 6
            matrices[wire.layer][wire.row, wire.input] += at.value if power == 0 else at.value * 10.0**power
    shapes = [matrix.shape for matrix in matrices]
    heads = [(n + 1, "AnalogLinear", rows * columns, rows, columns, f"layer{n}")
             for n, (rows, columns) in enumerate(shapes)]  # fmt: skip
    lines = [",".join(map(str, line)) for line in zip(*heads, strict=True)]
    lines += [",".join(map(number_text, matrix.ravel().tolist())) for matrix in matrices]
    write_bytes(path, ("\n".join(lines) + "\n").encode())
