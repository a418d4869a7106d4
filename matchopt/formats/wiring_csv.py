"""Wiring tables as CSV: `layer,row,neuron,gain,cell,input,tunable,weight`, one wire on a line.

Further columns are there where there is something in them: `bias`, the digital bias of the row; `written`, values to
write into cells; and where the chip was measured seven more: `file,array,chip_row,chip_column,value,unit,scale`.
"""

import csv
import io
import re
from pathlib import Path

from matchopt.formats.atomic import write_bytes
from matchopt.formats.numbers import number_of
from matchopt.formats.own import SolutionFile
from matchopt.formats.sources import Source
from matchopt.formats.wiring import OnChip, Wire, layers_of, mapping_from, wires_of
from matchopt.instances import Instance, Solution

COLUMNS = ("layer", "row", "neuron", "gain", "cell", "input", "tunable", "weight")
OF_CHIP = ("file", "array", "chip_row", "chip_column", "value", "unit", "scale")  # the fields of `OnChip`
MORE = ("bias", "written")
_WHOLE = re.compile(r"([0-9]{1,18})(?:[.,]0+)?")  # tools whose columns hold gaps write 3.0


def is_wiring_csv(source: Source) -> bool:
    """Whether the first line names the columns."""
    return re.match(rb'"?layer"?([,;\t])"?row"?\1"?neuron"?\1', source.start) is not None


def read_wiring_csv(source: Source, instance: Instance) -> SolutionFile:
    """Read a mapping of `instance`.

    Raises
    ------
    FormatError
        naming the line of what is wrong, or of what does not fit the instance.
    """
    head, *lines = source.lines_of_csv
    columns = tuple(head)
    more = columns[len(COLUMNS) :]
    known = (*MORE, *OF_CHIP) if "scale" in more else MORE
    if columns[: len(COLUMNS)] != COLUMNS or more != tuple(n for n in known if n in more or n not in MORE):
        raise source.error(
            f"the first line must be {','.join(COLUMNS)}, with or without ,bias and ,written after it, and "
            f",{','.join(OF_CHIP)} after that",
            1,
        )
    wires = [_wire(line, columns, source, number) for number, line in enumerate(lines, start=2) if any(line)]
    return SolutionFile(mapping_from(wires, instance, source.error), instance.digest)


def write_wiring_csv(solution: Solution, instance: Instance, path: Path) -> None:
    """Write a mapping of `instance`.

    Raises
    ------
    InvalidSolution
        when the mapping does not fit the instance.
    """
    wires = list(wires_of(solution, instance))
    columns = (*COLUMNS, *(name for name in MORE if any(getattr(wire, name) is not None for wire in wires)))
    of_chip = OF_CHIP if any(layer.hardware.origin is not None for layer in layers_of(instance)) else ()
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")  # floats as their shortest text that reads back equal
    lines.writerow([*columns, *of_chip])
    for wire in wires:
        cells = [int(wire.tunable) if name == "tunable" else getattr(wire, name) for name in columns]
        lines.writerow([*cells, *(getattr(wire.on_chip, name, None) for name in of_chip)])
    write_bytes(path, text.getvalue().encode())


def _wire(line: list[str], columns: tuple[str, ...], source: Source, number: int) -> Wire:
    if len(line) != len(columns):
        raise source.error(f"a line has {len(columns)} values, found {len(line)}", number)
    texts = dict(zip(columns, (text.strip() for text in line), strict=True))

    if texts["tunable"] not in ("0", "1"):
        raise source.error(f"tunable must be 0 or 1, found {texts['tunable'][:40]!r}", number)
    return Wire(
        layer=_whole(texts, "layer", source, number),
        row=_whole(texts, "row", source, number),
        neuron=_whole(texts, "neuron", source, number),
        gain=_real(texts, "gain", source, number),
        cell=_whole(texts, "cell", source, number) if texts["cell"] else None,
        input=_whole(texts, "input", source, number) if texts["input"] else None,
        tunable=texts["tunable"] == "1",
        weight=_real(texts, "weight", source, number) if texts["weight"] else None,
        bias=_real(texts, "bias", source, number) if "bias" in texts else None,
        written=_real(texts, "written", source, number) if texts.get("written") else None,
        place=number,
        on_chip=_on_chip(texts, source, number) if texts.get("scale") else None,
    )


def _on_chip(texts: dict[str, str], source: Source, line: int) -> OnChip:
    wired = bool(texts["chip_column"])
    return OnChip(
        file=texts["file"],
        array=texts["array"],
        chip_row=_whole(texts, "chip_row", source, line),
        chip_column=_whole(texts, "chip_column", source, line) if wired else None,
        value=_real(texts, "value", source, line) if wired else None,
        unit=texts["unit"],
        scale=_real(texts, "scale", source, line),
    )


def _whole(texts: dict[str, str], name: str, source: Source, line: int) -> int:
    found = _WHOLE.fullmatch(texts[name])
    if found is None:
        raise source.error(f"{name} must be a whole number >= 0, found {texts[name][:40]!r}", line)
    return int(found[1])


def _real(texts: dict[str, str], name: str, source: Source, line: int) -> float:
    value = number_of(texts[name].replace(",", "."))  # where a comma separates values, none has one
    if value is None:
        raise source.error(f"{name} must be a finite number, found {texts[name][:40]!r}", line)
    return value
