"""What the commands that read measured chips share: options that say what files do not, and the reading."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import Real, together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matchopt.instances import Chip

_NAMES = ("unit", "stuck_below", "stuck_above", "cells", "dead_blanks")  # of options, and of the fields of `Reading`

HOW_READ = (*_NAMES, "pairs")  # options that say how files are taken

reading_options = together(
    click.option("--unit", help="Unit of the file's values, such as S; only named, never converted.  [default: what "
                 "the file says]"),
    click.option("--stuck-below", type=float, metavar="VALUE",
                 help="Cells that read less are stuck: they add their value whenever their line is driven."),
    click.option("--stuck-above", type=float, metavar="VALUE", help="Cells that read more are stuck."),
    click.option("--cells", type=click.IntRange(min=1), metavar="K",
                 help="Every K cells, in the order of the file, make a hardware neuron.  [default: its rows do]"),
    click.option("--dead-blanks", is_flag=True, default=None,
                 help="Cells without a reading (nothing, NaN, OL, 9.9e37) are dead: cannot be used.  [default: such "
                 "files are refused]"),
)  # fmt: skip


# What a chip is taken for.
state_options = together(
    click.option("--pairs", type=click.Choice(["none", "fixed", "free"]), default="none", show_default=True,
                 help="fixed: a weight is the difference of the two devices at one place of G+ and G-. free: of any "
                 "two of a neuron (with --cells-per-weight 2). An .npz file holds both, as arrays positive and "
                 "negative (of NAME: NAME.positive, NAME.negative); of other files the first is G+, the next G-."),
    click.option("--line-resistance", type=Real(min=0), default=0.0, show_default=True, metavar="R",
                 help="Resistance of the wire between two neighbouring cells times a typical conductance; takes of "
                 "every weight what its place in the array costs."),
)  # fmt: skip


def by_chip(files: "Sequence[str]", options: "Mapping[str, Any]") -> list[list[str]]:
    """The files of each chip, where files are not all of one: single ones, or the two of pairs."""
    if options["pairs"] == "none":
        return [[file] for file in files]
    groups, left = [], list(files)
    while left:
        size = 1 if Path(left[0].rpartition(":")[0] or left[0]).suffix == ".npz" else 2
        if len(left) < size:
            raise click.UsageError(f"--pairs: {left[0]} is G+, and no file for its G- follows")
        groups.append(left[:size])
        del left[:size]
    return groups


def read_measured(files: "Sequence[str]", options: "Mapping[str, Any]") -> "Chip":
    """The chip in FILE or FILE:NAME, several files as several arrays, by `reading_options` and `state_options`.

    Of several readings the option `readings` names the times that count; None for the latest.
    """
    from matchopt.formats import ChipFile, Reading, read_chip
    from matchopt.instances.chip_state import ChipState

    how = Reading(**{name: options[name] for name in _NAMES if options[name] is not None})
    chip = read_chip([ChipFile.parse(file) for file in files], how, options.get("pairs", "none"))
    return ChipState(options.get("readings"), options.get("line_resistance", 0.0)).of(chip)
