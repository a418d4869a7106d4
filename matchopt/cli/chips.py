"""The command chip."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.measured import read_measured, reading_options
from matchopt.cli.settings import OutputFile, debug_option

if TYPE_CHECKING:
    from matchopt.instances import Chip
    from matchopt.instances.chip_figures import ArrayFigures

LISTED = 8  # numbers of dead lines that a cell of the table names


@click.command(epilog="Example: matchopt chip kernel0.txt --stuck-below 2e-5 --stuck-above 3.5e-4 --picture chip.svg")
@click.argument("files", metavar="FILE[:NAME]...", nargs=-1, required=True)
@reading_options
@click.option("--picture", type=OutputFile(".svg"), metavar="FILE.svg",
              help="Also draw every array: heat maps of values and of faults.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@debug_option
def chip(files: tuple[str, ...], picture: Path | None, as_json: bool, **given: Any) -> None:
    """Describe the measured chip in FILE: sizes, values, faults, neighbours, noise, drift.

    Every row of an array is a hardware neuron, every column a line of cells. Several files, or several arrays of an
    .npz file, are the tiles of one chip; NAME chooses an array of an .npz file. Read are .npy, .csv and text of one
    matrix (blanks, tabs, commas or semicolons; headings, units, decimal commas), lists with a line for each cell (row,
    column, value, read), HDF5 of ArC TWO, Fusion CSV, and .npz with any of these arrays, for one tile or as
    NAME.weights, NAME.usable ..:

    \b
      weights   (M, K) measured values, in any unit; negative readings are legal
      usable    (M, K) false for cells that must not be used: mask out what is broken
      stuck     (M, K) true, or the value, for cells that are stuck (or use --stuck-below, --stuck-above)
      off       (M, K) what a cell adds while it is switched off
      variance  (M, K) read noise, the unit squared
      bus       (M)    rows with equal numbers share the wiring from inputs to cells
      readings  (R, M, K) repeated readings in place of weights, with `seconds` (R): mean and variance of the
                latest time are used
      conductance (cells, R) with `seconds`: cells in a list, read again and again; needs --cells

    The tables say what to expect: weights that share a device correlate with their neighbours, faults in lines are
    worse than as many scattered ones, and noise limits every mapping. Then: matchopt export NETWORK --hardware FILE
    --one-chip
    """
    from matchopt.instances.chip_figures import figures_of

    found = read_measured(files, given)
    figures = [figures_of(array) for array in found.arrays]
    if picture is not None:
        from matchopt.formats.atomic import write_bytes
        from matchopt.study.chip_plot import draw_chip

        write_bytes(picture, draw_chip(found).encode())
    if as_json:
        described = {"unit": found.unit, "neurons": found.n_neurons, "cells": found.n_cells}
        click.echo(json.dumps(described | {"arrays": [asdict(each) for each in figures]}, allow_nan=False))
        return
    _show(found, figures)
    if picture is not None:
        click.echo(f"picture {picture}")


def _show(found: "Chip", figures: "list[ArrayFigures]") -> None:
    from matchopt.terminal.figures import number
    from matchopt.terminal.table import print_table

    unit = f", values in {found.unit}" if found.unit else ""
    arrays = "one array" if len(figures) == 1 else f"{len(figures)} arrays"
    click.echo(f"{arrays}, {found.n_neurons} hardware neurons of up to {found.n_cells} cells{unit}")
    names = [_name(each) for each in figures]
    rows = [
        [name, f"{each.place.neurons} x {each.n_cells}", str(each.levels), *map(number, each.quantiles or [None] * 5),
         number(each.mean), number(each.deviation), str(each.negative)]
        for name, each in zip(names, figures, strict=True)
    ]  # fmt: skip
    columns = ["array", ">rows x columns", ">levels", ">least", ">5 %", ">median", ">95 %", ">largest", ">mean", ">sd",
               ">below 0"]  # fmt: skip
    print_table(columns, rows, "values of healthy cells")
    rows = [
        [name, str(each.unusable), str(each.stuck_low), str(each.stuck_high), _lines(each.dead_rows),
         _lines(each.dead_columns), str(each.shared_lines)]
        for name, each in zip(names, figures, strict=True)
    ]  # fmt: skip
    columns = ["array", ">unusable", ">stuck low", ">stuck high", "dead rows", "dead columns", ">shared buses"]
    print_table(columns, rows, "faults: cells, and lines of which 60 % are faulty")
    rows = [
        [name, number(each.along_row, 2), number(each.along_column, 2), str(each.readings), number(each.noise),
         ", ".join(f"{time:g}" for time in each.times) or "-", number(each.drift)]
        for name, each in zip(names, figures, strict=True)
    ]  # fmt: skip
    columns = ["array", ">next in row", ">next in column", ">readings", ">noise (sd)", "at seconds", ">drift (rms)"]
    print_table(columns, rows, "correlation of neighbours, noise and drift")


def _name(figures: "ArrayFigures") -> str:
    return ":".join(part for part in (figures.place.file, figures.place.array) if part)


def _lines(numbers: tuple[int, ...]) -> str:
    listed = ", ".join(map(str, numbers[:LISTED]))
    return f"{listed} .. ({len(numbers)})" if len(numbers) > LISTED else listed or "-"
