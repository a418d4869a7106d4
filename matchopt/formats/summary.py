"""What a mapping asks of a chip, counted, and as a page that a person can read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matchopt.formats.atomic import write_bytes
from matchopt.formats.wiring import Wire, layers_of, wires_of
from matchopt.instances import Instance, LayerInstance, Solution


@dataclass(frozen=True)
class Programming:
    """What has to be set on the chip for one layer, or for all of them.

    Parameters
    ----------
    neurons : hardware neurons in use.
    cells : cells that are switched on; all others are off.
    switches : routing switches that are closed: a cell, or on a bus that neurons share a line, and the input that it
        listens to. Hard-wired cells have none.
    writes : cells that a value is written into.
    tunable : fully tunable weights that are programmed.
    dropped : connections of the network that nothing serves.
    """

    neurons: int
    cells: int
    switches: int
    writes: int
    tunable: int
    dropped: int


def programming_of(solution: Solution, instance: Instance) -> tuple[Programming, ...]:
    """What each layer needs.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    layers = layers_of(instance)
    wires: list[list[Wire]] = [[] for _ in layers]
    for wire in wires_of(solution, instance):
        wires[wire.layer].append(wire)
    return tuple(_counted(own, layer) for own, layer in zip(wires, layers, strict=True))


def _counted(wires: list[Wire], layer: LayerInstance) -> Programming:
    chip, target = layer.hardware, layer.target
    place = {int(number): j for j, number in enumerate(chip.neuron)}
    wired = [wire for wire in wires if wire.cell is not None]
    routed = [wire for wire in wired if chip.input[place[wire.neuron], wire.cell] < 0]
    served = {(wire.row, wire.input) for wire in wires if wire.input is not None}
    asked = zip(target.row_of.tolist(), target.indices.tolist(), strict=True)
    return Programming(
        neurons=len({wire.neuron for wire in wires}),
        cells=len({(wire.neuron, wire.cell) for wire in wired}),
        switches=len({(int(chip.bus[place[wire.neuron]]), wire.cell, wire.input) for wire in routed}),
        writes=sum(wire.written is not None for wire in wired),
        tunable=sum(wire.tunable for wire in wires),
        dropped=len(set(asked) - served),
    )


def total(parts: tuple[Programming, ...]) -> Programming:
    """The sums over layers."""
    return Programming(*(sum(getattr(part, name) for part in parts) for name in Programming.__dataclass_fields__))


def write_summary(solution: Solution, instance: Instance, path: Path) -> None:
    """Write a page of text: what is switched on and written, layer by layer and array by array, and how to read on.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    text = "\n".join(_page(solution, instance)) + "\n"
    write_bytes(path, text.encode())


def _page(solution: Solution, instance: Instance) -> Iterator[str]:
    layers, parts = layers_of(instance), programming_of(solution, instance)
    yield f"Mapping of {instance.name or instance.kind}, instance {instance.digest}"
    yield ""
    names = ["layer", "rows", "connections", *Programming.__dataclass_fields__]
    rows = [
        [str(n), str(layer.n_rows), str(layer.target.n_connections), *map(str, vars(part).values())]
        for n, (layer, part) in enumerate(zip(layers, parts, strict=True))
    ]
    sums = [str(sum(int(row[k]) for row in rows)) for k in (1, 2)]
    yield from _table([names, *rows, ["all", *sums, *map(str, vars(total(parts)).values())]])
    yield ""
    yield from _arrays(list(wires_of(solution, instance)), layers)
    yield "rows: neurons of the network. neurons: hardware neurons in use. cells: switched on, all others are off."
    yield "switches: routing switches closed. writes: cells to write a value into. tunable: weights to program."
    yield "Which cell listens to which input: the wiring table (.csv, .json) of the same mapping; as arrays: its masks."
    if any(layer.hardware.off.any() for layer in layers):
        yield "Cells of this chip leak, or are stuck: they add to sums also where no wire of the table uses them."


def _arrays(wires: list[Wire], layers: tuple[LayerInstance, ...]) -> Iterator[str]:
    """The arrays of a measured chip, and what is in use of each."""
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    for layer in layers:
        for place in () if layer.hardware.origin is None else layer.hardware.origin.places:
            sizes[place.file, place.array] = (place.neurons, place.cells)
    if not sizes:
        return
    rows = [["array", "size", "rows in use", "cells in use", "least", "largest", "unit"]]
    for (file, array), size in sizes.items():
        own = [at for wire in wires if (at := wire.on_chip) is not None and (at.file, at.array) == (file, array)]
        values = np.array([at.value for at in own if at.value is not None], float)
        cells = {(at.chip_row, at.chip_column) for at in own if at.chip_column is not None}
        span = [f"{values.min():.4g}", f"{values.max():.4g}"] if values.size else ["-", "-"]
        name = f"{file}:{array}" if array else file
        rows.append([name, f"{size[0]} x {size[1]}", str(len({at.chip_row for at in own})), str(len(cells)), *span,
                     own[0].unit if own else ""])  # fmt: skip
    yield from _table(rows)
    yield ""


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (word.rjust(width) for word, width in zip(row, widths, strict=True))
        yield "  ".join([row[0].ljust(len(first)), *rest]).rstrip()
