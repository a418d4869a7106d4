"""What the commands that read measured chips share: options that say what files do not, and the reading."""

from typing import TYPE_CHECKING, Any

import click

from matchopt.cli.settings import together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matchopt.instances import Chip

_NAMES = ("unit", "stuck_below", "stuck_above", "cells")  # of the options, and of the fields of `Reading`

reading_options = together(
    click.option("--unit", default="", help="Unit of the file's values, such as S; only named, never converted."),
    click.option("--stuck-below", type=float, metavar="VALUE",
                 help="Cells that read less are stuck: they add their value whenever their line is driven."),
    click.option("--stuck-above", type=float, metavar="VALUE", help="Cells that read more are stuck."),
    click.option("--cells", type=click.IntRange(min=1), metavar="K",
                 help="Every K cells, in the order of the file, make a hardware neuron.  [default: its rows do]"),
)  # fmt: skip


def read_measured(files: "Sequence[str]", options: "Mapping[str, Any]") -> "Chip":
    """The chip in FILE or FILE:NAME, several files as several arrays, by `reading_options`."""
    from matchopt.formats import ChipFile, Reading, read_chip

    how = Reading(**{name: options[name] for name in _NAMES})
    return read_chip([ChipFile.parse(file) for file in files], how)
